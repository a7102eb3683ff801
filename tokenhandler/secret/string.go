package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what every printed or marshalled [String] looks like.
const Redacted = "[redacted]"

// String holds a secret. The zero value is the empty secret.
//
// fmt, encoding/json, encoding/xml, text templates and slog all write
// [Redacted]; [String.Reveal] is the only way to the value, so that a search
// for its callers lists every place where a secret leaves its wrapping.
type String struct {
	// A pointer, because fmt cannot call methods of an unexported field: it
	// prints what it finds there, which then is an address.
	value *string
	// isBearer says that value begins with bearer, which is not part of the secret.
	isBearer bool
}

// bearer is the scheme in an Authorization header (RFC 6750 §2.1).
const bearer = "Bearer "

// New wraps value.
func New(value string) String { return String{value: &value} }

// WrapBearer wraps the token in the string that value points to, which must not change
// afterwards: "Bearer " and the token. [String.Bearer] then need not make that string.
func WrapBearer(value *string) String { return String{value: value, isBearer: true} }

// Reveal returns the secret itself. Pass the result on at once; never store,
// format or log it.
func (s String) Reveal() string {
	switch {
	case s.value == nil:
		return ""
	case s.isBearer:
		return (*s.value)[len(bearer):]
	}
	return *s.value
}

// Bearer returns the Authorization header with the secret as its token (RFC 6750 §2.1).
// The rules of [String.Reveal] apply to it.
func (s String) Bearer() string {
	if s.isBearer {
		return *s.value
	}
	return bearer + s.Reveal()
}

// IsZero reports whether the secret is empty.
func (s String) IsZero() bool { return s.Reveal() == "" }

// Equal compares in constant time. Two empty secrets are NOT equal: a check of
// a parameter that was never set must not pass because both sides are missing.
func (s String) Equal(other String) bool {
	if s.IsZero() || other.IsZero() {
		return false
	}
	// Hashing first hides the lengths, which ConstantTimeCompare alone reveals.
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(other.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// Format implements [fmt.Formatter] for every verb, %#v and %x included.
func (String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalText implements [encoding.TextMarshaler].
func (String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON implements [json.Marshaler].
func (String) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// UnmarshalText implements [encoding.TextUnmarshaler], so that decoders can
// fill a secret without its value passing through another type.
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
