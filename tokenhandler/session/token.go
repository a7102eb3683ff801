package session

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// A token is taken apart before it is stored: base64url makes it a third longer, and
// the JSON in it compresses well only after base64url is removed. A JWS has three
// parts (RFC 7515 §7.1), a JWE five (RFC 7516 §7.1).
const (
	shapeNone = iota // there is no token
	shapeText        // the token as it came, if it cannot be put together to the same bytes
	shapeJWS         // header and payload are compressed; the signature is raw
	shapeJWE         // the header is compressed; key, IV, ciphertext and tag are raw
)

const (
	partsJWS = 3
	partsJWE = 5
)

// shape is how a token was taken apart: its kind and the lengths of its parts in
// bytes.
type shape struct {
	kind  byte
	parts [partsJWE]int
}

// apart is a token taken apart: the parts that are compressed, and those that are
// not.
type apart struct {
	shape

	text, raw []byte
}

// strict refuses base64url with stray bits after the last byte: such a token would
// be put together to other bytes.
//
//nolint:gochecknoglobals // a constant
var strict = base64.RawURLEncoding.Strict()

func takeApart(token string) apart {
	if token == "" {
		return apart{}
	}
	asText := apart{shape: shape{kind: shapeText, parts: [partsJWE]int{len(token)}}, text: []byte(token)}
	parts := strings.Split(token, ".")
	var a apart
	switch len(parts) {
	case partsJWS:
		a.kind = shapeJWS
	case partsJWE:
		a.kind = shapeJWE
	default:
		return asText
	}
	for i, part := range parts {
		decoded, err := strict.DecodeString(part)
		if err != nil {
			return asText
		}
		a.parts[i] = len(decoded)
		if i < a.texts() {
			a.text = append(a.text, decoded...)
		} else {
			a.raw = append(a.raw, decoded...)
		}
	}
	// The decoder skips line breaks, so the result has to be compared.
	if back, _, _ := a.appendToken(nil, a.raw, a.text); string(back) != token {
		return asText
	}
	return a
}

// count is the number of parts.
func (s *shape) count() int {
	switch s.kind {
	case shapeText:
		return 1
	case shapeJWS:
		return partsJWS
	case shapeJWE:
		return partsJWE
	}
	return 0
}

// texts is how many of the parts, the first ones, are compressed.
func (s *shape) texts() int {
	switch s.kind {
	case shapeText, shapeJWE:
		return 1
	case shapeJWS:
		return 2
	}
	return 0
}

func (s *shape) textLen() int { return sum(s.parts[:s.texts()]) }

func (s *shape) rawLen() int { return sum(s.parts[s.texts():s.count()]) }

func sum(lengths []int) int {
	total := 0
	for _, n := range lengths {
		total += n
	}
	return total
}

func (s *shape) appendShape(out []byte) []byte {
	out = append(out, s.kind)
	for _, n := range s.parts[:s.count()] {
		out = binary.AppendUvarint(out, uint64(n)) //nolint:gosec // lengths are not negative
	}
	return out
}

func (r *reader) shape() shape {
	s := shape{kind: r.byte()}
	if s.kind > shapeJWE {
		r.take(-1)
		return shape{}
	}
	for i := range s.count() {
		s.parts[i] = r.length()
	}
	return s
}

// appendToken puts a token together from the first bytes of raw and text, and
// returns the bytes that follow them. The caller has checked that raw and text are
// long enough.
func (s *shape) appendToken(out, raw, text []byte) (token, rawRest, textRest []byte) {
	for i, n := range s.parts[:s.count()] {
		var part []byte
		if i < s.texts() {
			part, text = text[:n], text[n:]
		} else {
			part, raw = raw[:n], raw[n:]
		}
		if s.kind == shapeText {
			out = append(out, part...)
			continue
		}
		if i > 0 {
			out = append(out, '.')
		}
		out = base64.RawURLEncoding.AppendEncode(out, part)
	}
	return out, raw, text
}
