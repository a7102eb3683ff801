package session

import "encoding/hex"

// Cognito's claims are full of UUIDs, most of them twice: 36 characters that
// no compression brings under 20 bytes, though they hold 16. So they are taken
// out of the text before it is compressed: each leaves a mark and goes to the
// raw bytes, and where it comes again there is a reference.
const (
	uuidLen  = 36
	uuidSize = 16
	// markNew stands for the next UUID of the raw bytes, markAgain with the byte
	// after it (from firstRef on) for one that was there before. JSON holds no
	// such bytes; where a text does, markByte stands before it.
	markNew   = 0x01
	markAgain = 0x02
	markByte  = 0x03
	firstRef  = ' '
	maxUUIDs  = 64
)

// packer takes UUIDs out of texts, one text after the other.
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

// parseUUID reads the canonical form, lower case, at the head of text.
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

// unpackUUIDs puts them back, appending to dst; at most limit bytes come out.
func unpackUUIDs(dst, packed, uuids []byte, limit int) ([]byte, bool) {
	next, end := 0, len(dst)+limit
	for i := 0; i < len(packed); i++ {
		c := packed[i]
		if c > markByte || c == 0 {
			if len(dst) >= end {
				return nil, false
			}
			dst = append(dst, c)
			continue
		}
		at := next
		if c == markNew {
			next += uuidSize
		} else {
			// The two other marks have a byte behind them.
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
	return dst, next == len(uuids) && len(dst) <= end
}

func appendUUID(dst, id []byte) []byte {
	dst = append(hex.AppendEncode(dst, id[:4]), '-')
	dst = append(hex.AppendEncode(dst, id[4:6]), '-')
	dst = append(hex.AppendEncode(dst, id[6:8]), '-')
	dst = append(hex.AppendEncode(dst, id[8:10]), '-')
	return hex.AppendEncode(dst, id[10:])
}
