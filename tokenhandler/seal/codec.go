package seal

import (
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/gorilla/securecookie"
)

// Codec is a [securecookie.Codec] that seals with a [Keyring]. It is safe for
// concurrent use.
type Codec struct {
	// Keys are the keys. Required.
	Keys *Keyring
	// MaxLength is the largest number of characters of a sealed value, for
	// encoding and for decoding. Required.
	MaxLength int
	// Binding is what the values belong to. A value opens only with the binding that it
	// was sealed with.
	Binding Binding
	// Unbound decides whether a value opens that an earlier release has sealed, without
	// a binding. The plaintext is authentic, and must not be kept. Nil: none opens.
	Unbound func(plaintext []byte) bool
}

// Binding stands for what sealed values belong to, beside the name of their cookie. The
// zero value stands for nothing.
type Binding [sha256.Size]byte

// Bind returns the binding to these texts, in this order.
func Bind(texts ...string) Binding {
	hash := sha256.New()
	for _, text := range texts {
		_ = binary.Write(hash, binary.BigEndian, uint64(len(text))) // a hash never fails
		_, _ = io.WriteString(hash, text)
	}
	return Binding(hash.Sum(nil))
}

// Encode implements [securecookie.Codec]. The value is a []byte or an
// [encoding.BinaryMarshaler]. Unlike gorilla's own codec it adds no time stamp:
// what is sealed carries its own lifetime.
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
	if length := EncodedLen(len(plain)); length > c.MaxLength {
		return "", fmt.Errorf("encoding cookie %q: %d characters, at most %d", name, length, c.MaxLength)
	}
	return c.Keys.seal(c.Binding, name, plain), nil
}

// Decode implements [securecookie.Codec]. The destination is a *[]byte or an
// [encoding.BinaryUnmarshaler]. Errors: [ErrMalformed], [ErrUnknownKey],
// [ErrTampered], and those of UnmarshalBinary.
func (c Codec) Decode(name, value string, dst any) error {
	_, err := c.DecodeParts(name, dst, value)
	return err
}

// DecodeParts is [Codec.Decode] for a value that was split between cookies. It
// saves joining them. Every part but the last must have a multiple of four
// characters, so that each is base64url by itself. It returns the id of the key that
// sealed the value.
func (c Codec) DecodeParts(name string, dst any, parts ...string) (KeyID, error) {
	b, _ := c.Keys.buffers.Get().(*buffers) // nothing else is in the pool
	defer c.Keys.buffers.Put(b)
	id, err := c.open(name, parts, b, dst)
	if err != nil {
		return id, fmt.Errorf("decoding cookie %q: %w", name, err)
	}
	return id, nil
}

// open opens the value into dst. UnmarshalBinary copies what it keeps, as its
// interface demands: the plaintext lies in b.
func (c Codec) open(name string, parts []string, b *buffers, dst any) (KeyID, error) {
	if err := b.decode(parts, c.MaxLength); err != nil {
		return KeyID{}, err
	}
	plain, id, err := c.Keys.open(&c.Binding, name, b)
	switch {
	case err != nil:
		return id, err
	case b.isUnbound() && (c.Unbound == nil || !c.Unbound(plain)):
		return id, ErrTampered
	}
	switch v := dst.(type) {
	case *[]byte:
		*v = append((*v)[:0], plain...)
		return id, nil
	case encoding.BinaryUnmarshaler:
		return id, v.UnmarshalBinary(plain)
	default:
		return id, fmt.Errorf("a %T is neither *[]byte nor a BinaryUnmarshaler", dst)
	}
}

// EncodedLen is the number of characters of a sealed value whose plaintext has n
// bytes.
func EncodedLen(n int) int { return base64.RawURLEncoding.EncodedLen(n + Overhead) }

var _ securecookie.Codec = Codec{}
