package oauthproxy

import "encoding/binary"

// frames follows where the frames of one direction of a WebSocket begin and end
// (RFC 6455 §5.2): between two of them, and nowhere else, a close frame of our
// own can be put in. That may be in the middle of a fragmented message.
type frames struct {
	head   [14]byte // of the frame that has begun
	have   int      // bytes of head that are there
	left   uint64   // bytes of the payload to come
	closed bool     // the last whole frame was a close frame: nothing may follow
}

const (
	opcodeMask  = 0x0f
	opcodeClose = 0x8
	finalBit    = 0x80
	maskBit     = 0x80
	lengthMask  = 0x7f
	length16    = 126 // the length is in the next two bytes
	length64    = 127 // in the next eight
)

// between reports whether no frame has begun.
func (f *frames) between() bool { return f.have == 0 }

// rest is how many bytes of p still belong to the frame that has begun; none
// between two frames.
func (f *frames) rest(p []byte) int {
	ahead := *f
	n := 0
	for n < len(p) && !ahead.between() {
		n += ahead.step(p[n:])
	}
	return n
}

// pass takes note of p.
func (f *frames) pass(p []byte) {
	for len(p) > 0 {
		p = p[f.step(p):]
	}
}

// step takes note of some bytes of p, at least one and never more than the frame
// has, and returns how many.
func (f *frames) step(p []byte) int {
	n := 1
	if f.have < headLen(f.head[:f.have]) {
		f.head[f.have] = p[0]
		f.have++
		if f.have == headLen(f.head[:f.have]) {
			f.left = payloadLen(f.head[:f.have])
		}
	} else {
		n = int(min(uint64(len(p)), f.left)) //nolint:gosec // at most len(p)
		f.left -= uint64(n)
	}
	if f.have == headLen(f.head[:f.have]) && f.left == 0 {
		f.closed = f.head[0]&opcodeMask == opcodeClose
		f.have = 0
	}
	return n
}

// headLen is how long a frame's head is, as far as its beginning tells.
func headLen(head []byte) int {
	if len(head) < 2 {
		return 2
	}
	n := 2
	switch head[1] & lengthMask {
	case length16:
		n += 2
	case length64:
		n += 8
	}
	if head[1]&maskBit != 0 {
		n += 4
	}
	return n
}

// payloadLen reads a whole head.
func payloadLen(head []byte) uint64 {
	switch n := head[1] & lengthMask; n {
	case length16:
		return uint64(binary.BigEndian.Uint16(head[2:]))
	case length64:
		return binary.BigEndian.Uint64(head[2:])
	default:
		return uint64(n)
	}
}

// closeFrame is a server's close frame (RFC 6455 §5.5.1): unmasked, at most 123
// bytes of reason.
func closeFrame(code uint16, reason string) []byte {
	frame := []byte{finalBit | opcodeClose, byte(2 + len(reason))} //nolint:gosec // at most 125
	return append(binary.BigEndian.AppendUint16(frame, code), reason...)
}
