package session

import (
	"fmt"

	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
)

// sessionCodec is a securecookie.Codec for a *[Session].
type sessionCodec struct{ seal.Codec }

// Encode implements [securecookie.Codec]. Errors: a [*TooLargeError] for a session
// that Decode would refuse; those of [Session.Tokens].
func (c sessionCodec) Encode(name string, value any) (string, error) {
	s, ok := value.(*Session)
	if !ok {
		return "", fmt.Errorf("encoding a session: it is a %T", value)
	}
	t, err := s.Tokens()
	if err != nil {
		return "", err
	}
	payload, ok := encode(s, t)
	if size := seal.EncodedLen(len(payload)); !ok || size > c.MaxLength {
		return "", tooLarge(size, t)
	}
	return c.Codec.Encode(name, payload)
}

// Decode implements [securecookie.Codec]. It decodes all tokens at once. Errors:
// [ErrUnreadable], [ErrUnknownKey].
func (c sessionCodec) Decode(name, value string, dst any) error {
	s, ok := dst.(*Session)
	if !ok {
		return fmt.Errorf("decoding a session: into a %T", dst)
	}
	if err := c.Codec.Decode(name, value, whole{s}); err != nil {
		return unreadable(err)
	}
	return nil
}

// whole decodes a payload with all tokens.
type whole struct{ *Session }

// UnmarshalBinary implements [encoding.BinaryUnmarshaler].
func (w whole) UnmarshalBinary(payload []byte) error {
	var all tokens
	if err := all.UnmarshalBinary(payload); err != nil {
		return err
	}
	var o remembered
	if err := o.UnmarshalBinary(payload); err != nil {
		return err
	}
	*w.Session = o.session
	w.tokens, w.cookies = &all.Tokens, new(cookieValues)
	return nil
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler]. It decodes only those parts
// of a payload that every request needs. The other tokens are decoded when
// [Session.Tokens] asks for them.
func (o *remembered) UnmarshalBinary(payload []byte) error {
	b, _ := scratches.Get().(*scratch) // nothing else is in the pool
	defer scratches.Put(b)
	return decode(payload, b, &o.session, &o.authorization)
}

// tokens decodes all tokens of a payload.
type tokens struct{ secret.Tokens }

// UnmarshalBinary implements [encoding.BinaryUnmarshaler].
func (t *tokens) UnmarshalBinary(payload []byte) error {
	b, _ := scratches.Get().(*scratch) // nothing else is in the pool
	defer scratches.Put(b)
	var err error
	t.Tokens, err = decodeTokens(payload, b)
	return err
}
