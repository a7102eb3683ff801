package session

import "encoding/hex"

// Cognito's claims hold many UUIDs, most of them twice. A UUID has 16 bytes, but its
// 36 characters compress to 20 bytes at best. So UUIDs are removed from the text
// before it is compressed: a mark takes the place of each, and its 16 bytes are
// stored raw. Where a UUID occurs again, a reference takes its place.
const (
	uuidLen  = 36
	uuidSize = 16
	// markNew stands for the next raw UUID. markAgain and the byte after it, which
	// counts from firstRef, stand for an earlier one. JSON holds no such bytes; where
	// a text does, markByte is written before the byte.
	markNew   = 0x01
	markAgain = 0x02
	markByte  = 0x03
	firstRef  = ' '
	maxUUIDs  = 64
)

// packer removes the UUIDs from texts, one text after the other.
type packer struct {
	seen  map[[uuidSize]byte]byte
	uuids []byte
}

func (p *packer) count() int { return len(p.uuids) / uuidSize }

// pack appends text without its UUIDs to out.
func (p *packer) pack(out, text []byte) []byte {
	if p.seen == nil {
		p.seen = make(map[[uuidSize]byte]byte)
	}
	for i := 0; i < len(text); {
		id, ok := parseUUID(text[i:])
		if !ok {
			if text[i] >= markNew && text[i] <= markByte {
				out = append(out, markByte)
			}
			out = append(out, text[i])
			i++
			continue
		}
		ref, again := p.seen[id]
		switch {
		case again:
			out = append(out, markAgain, firstRef+ref)
		case len(p.seen) < maxUUIDs:
			p.seen[id] = byte(len(p.seen)) //nolint:gosec // below maxUUIDs
			p.uuids = append(p.uuids, id[:]...)
			out = append(out, markNew)
		default:
			out = append(out, text[i:i+uuidLen]...)
		}
		i += uuidLen
	}
	return out
}

// parseUUID reads a UUID in canonical form and lower case from the beginning of
// text.
func parseUUID(text []byte) (id [uuidSize]byte, ok bool) {
	if len(text) < uuidLen || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return id, false
	}
	var digits [2 * uuidSize]byte
	n := 0
	for i, c := range text[:uuidLen] {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return id, false
		}
		digits[n] = c
		n++
	}
	_, err := hex.Decode(id[:], digits[:])
	return id, err == nil
}

// unpackUUIDs appends packed to dst with the UUIDs in their places. It fails unless that
// takes textLen bytes, and before UUIDs take more.
func unpackUUIDs(dst, packed, uuids []byte, textLen int) ([]byte, bool) {
	next, end := 0, len(dst)+textLen
	for i := 0; i < len(packed); i++ {
		c := packed[i]
		if c > markByte || c == 0 {
			dst = append(dst, c)
			continue
		}
		at := next
		if c == markNew {
			next += uuidSize
		} else {
			// The other two marks are followed by a byte.
			i++
			if i == len(packed) {
				return nil, false
			}
			if c == markByte {
				dst = append(dst, packed[i])
				continue
			}
			at = (int(packed[i]) - firstRef) * uuidSize
		}
		if at < 0 || at+uuidSize > len(uuids) || len(dst)+uuidLen > end {
			return nil, false
		}
		dst = appendUUID(dst, uuids[at:at+uuidSize])
	}
	return dst, next == len(uuids) && len(dst) == end
}

func appendUUID(dst, id []byte) []byte {
	dst = append(hex.AppendEncode(dst, id[:4]), '-')
	dst = append(hex.AppendEncode(dst, id[4:6]), '-')
	dst = append(hex.AppendEncode(dst, id[6:8]), '-')
	dst = append(hex.AppendEncode(dst, id[8:10]), '-')
	return hex.AppendEncode(dst, id[10:])
}
