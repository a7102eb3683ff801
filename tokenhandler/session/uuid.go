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
	// such bytes; a text that does is left as it is.
	markNew   = 0x01
	markAgain = 0x02
	firstRef  = ' '
	maxUUIDs  = 64
)

// packUUIDs takes the UUIDs out of text.
func packUUIDs(text []byte) (packed, uuids []byte) {
	seen := make(map[[uuidSize]byte]byte)
	packed = make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		if text[i] == markNew || text[i] == markAgain {
			return text, nil
		}
		id, ok := parseUUID(text[i:])
		if !ok {
			packed = append(packed, text[i])
			i++
			continue
		}
		ref, again := seen[id]
		switch {
		case again:
			packed = append(packed, markAgain, firstRef+ref)
		case len(seen) < maxUUIDs:
			seen[id] = byte(len(seen)) //nolint:gosec // below maxUUIDs
			packed = append(packed, markNew)
			uuids = append(uuids, id[:]...)
		default:
			packed = append(packed, text[i:i+uuidLen]...)
		}
		i += uuidLen
	}
	return packed, uuids
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
	for len(packed) > 0 {
		c := packed[0]
		packed = packed[1:]
		var at int
		switch c {
		default:
			if len(dst) >= end {
				return nil, false
			}
			dst = append(dst, c)
			continue
		case markNew:
			at = next
			next += uuidSize
		case markAgain:
			if len(packed) == 0 || packed[0] < firstRef {
				return nil, false
			}
			at = int(packed[0]-firstRef) * uuidSize
			packed = packed[1:]
		}
		if at+uuidSize > len(uuids) || len(dst)+uuidLen > end {
			return nil, false
		}
		dst = appendUUID(dst, uuids[at:at+uuidSize])
	}
	return dst, next == len(uuids)
}

func appendUUID(dst, id []byte) []byte {
	dst = append(hex.AppendEncode(dst, id[:4]), '-')
	dst = append(hex.AppendEncode(dst, id[4:6]), '-')
	dst = append(hex.AppendEncode(dst, id[6:8]), '-')
	dst = append(hex.AppendEncode(dst, id[8:10]), '-')
	return hex.AppendEncode(dst, id[10:])
}
