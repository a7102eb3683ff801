package seal

import (
	"encoding"
	"fmt"

	"github.com/gorilla/securecookie"
)

// Codec adapts a [Keyring] to gorilla: it seals values that are []byte or
// [encoding.BinaryMarshaler], and opens into *[]byte or
// [encoding.BinaryUnmarshaler].
type Codec struct {
	// Keys seals and opens. Required.
	Keys *Keyring
	// MaxLength bounds an encoded value in characters, on both ways. Required.
	MaxLength int
}

// Encode implements [securecookie.Codec]. Unlike gorilla's own it does not
// stamp the value with a time: a session carries its own lifetimes.
func (c Codec) Encode(name string, value any) (string, error) {
	var plain []byte
	switch v := value.(type) {
	case []byte:
		plain = v
	case encoding.BinaryMarshaler:
		var err error
		if plain, err = v.MarshalBinary(); err != nil {
			return "", fmt.Errorf("encoding cookie %q: %w", name, err)
		}
	default:
		return "", fmt.Errorf("encoding cookie %q: a %T is neither []byte nor a BinaryMarshaler", name, value)
	}
	sealed := c.Keys.Seal(nil, name, plain)
	if len(sealed) > c.MaxLength {
		return "", fmt.Errorf("encoding cookie %q: %d characters, at most %d", name, len(sealed), c.MaxLength)
	}
	return string(sealed), nil
}

// Decode implements [securecookie.Codec].
func (c Codec) Decode(name, value string, dst any) error {
	if len(value) > c.MaxLength {
		return fmt.Errorf("decoding cookie %q: %w", name, ErrMalformed)
	}
	raw, err := AppendDecode(nil, value)
	if err != nil {
		return fmt.Errorf("decoding cookie %q: %w", name, err)
	}
	plain, _, err := c.Keys.Open(name, raw)
	if err != nil {
		return fmt.Errorf("decoding cookie %q: %w", name, err)
	}
	switch v := dst.(type) {
	case *[]byte:
		*v = plain
		return nil
	case encoding.BinaryUnmarshaler:
		if err := v.UnmarshalBinary(plain); err != nil {
			return fmt.Errorf("decoding cookie %q: %w", name, err)
		}
		return nil
	default:
		return fmt.Errorf("decoding cookie %q: a %T is neither *[]byte nor a BinaryUnmarshaler", name, dst)
	}
}

var _ securecookie.Codec = Codec{}
