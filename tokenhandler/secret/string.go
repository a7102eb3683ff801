package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is the text of every printed or marshalled [String].
const Redacted = "[redacted]"

// String holds a secret. The zero value is the empty secret.
//
// fmt, encoding/json, encoding/xml, text templates and slog all write
// [Redacted]. Only [String.Reveal] and [String.Bearer] return the value, so that a
// search for their callers lists every place that uses a secret.
type String struct {
	// The value is behind a pointer, because fmt does not call the methods of an
	// unexported field but prints its content. That is then only an address.
	value *string
	// isBearer is set if value starts with bearer, which is not part of the secret.
	isBearer bool
}

// bearer is the scheme in an Authorization header (RFC 6750 §2.1).
const bearer = "Bearer "

// New wraps value.
func New(value string) String { return String{value: &value} }

// WrapBearer wraps the token of an Authorization header. The string that value points
// to consists of "Bearer " and the token, and must not change afterwards.
// [String.Bearer] returns it without allocating.
func WrapBearer(value *string) String { return String{value: value, isBearer: true} }

// Reveal returns the secret itself. Use the result at once; never store, format or log
// it.
func (s String) Reveal() string {
	switch {
	case s.value == nil:
		return ""
	case s.isBearer:
		return (*s.value)[len(bearer):]
	}
	return *s.value
}

// Bearer returns the value of an Authorization header with the secret as its token
// (RFC 6750 §2.1). It must be treated like the result of [String.Reveal].
func (s String) Bearer() string {
	if s.isBearer {
		return *s.value
	}
	return bearer + s.Reveal()
}

// IsZero reports whether the secret is empty.
func (s String) IsZero() bool { return s.Reveal() == "" }

// Equal compares two secrets in constant time. Two empty secrets are NOT equal: a
// comparison must not succeed because both values are missing.
func (s String) Equal(other String) bool {
	if s.IsZero() || other.IsZero() {
		return false
	}
	// ConstantTimeCompare alone would reveal the lengths, so hashes are compared.
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(other.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Format implements [fmt.Formatter] for every verb, %#v and %x included.
func (String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalText implements [encoding.TextMarshaler].
func (String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON implements [json.Marshaler].
func (String) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// UnmarshalText implements [encoding.TextUnmarshaler], so that decoders write directly
// into a secret.
func (s *String) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}

// LogValue implements [slog.LogValuer].
func (String) LogValue() slog.Value { return slog.StringValue(Redacted) }

var (
	_ fmt.Formatter  = String{}
	_ json.Marshaler = String{}
	_ slog.LogValuer = String{}
)
