package session

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// A token is taken apart before it is stored: base64url costs a third, and
// what is JSON underneath compresses only without it. The parts of a JWS
// (RFC 7515 §7.1) and of a JWE (RFC 7516 §7.1) are told by their number.
const (
	shapeNone = iota // no token
	shapeText        // as it came: whatever does not reassemble to the same bytes
	shapeJWS         // header, payload compressed; signature raw
	shapeJWE         // header compressed; key, IV, ciphertext, tag raw
)

const (
	partsJWS = 3
	partsJWE = 5
)

// shape says how a token was taken apart: its kind and the lengths of its
// parts in bytes.
type shape struct {
	kind  byte
	parts [partsJWE]int
}

// apart is a token taken apart.
type apart struct {
	shape

	text, raw []byte
}

// strict refuses encodings that a decoder would accept but that do not come
// back as they were.
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
	// base64 skips line breaks: the only way to be sure is to look.
	if back, _, _ := a.appendToken(nil, a.raw, a.text); string(back) != token {
		return asText
	}
	return a
}

// count is the number of parts, texts how many of them are text.
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

// appendToken puts a token together again from the heads of raw and text, and
// returns what follows in them. The caller checked that they are long enough.
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
