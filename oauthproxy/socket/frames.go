package socket

import "encoding/binary"

// frameTracker tracks where the frames of one direction of a WebSocket begin and
// end (RFC 6455 §5.2). A close frame of our own may be inserted between two frames
// only; that may be in the middle of a fragmented message.
type frameTracker struct {
	header    [14]byte // of the current frame
	headerLen int      // bytes of header received so far
	remaining uint64   // payload bytes that are still to come
	closed    bool     // the last complete frame was a close frame: nothing may follow it
}

const (
	opcodeMask  = 0x0f
	opcodeClose = 0x8
	finalBit    = 0x80
	maskBit     = 0x80
	lengthMask  = 0x7f
	length16    = 126 // the length is in the next two bytes
	length64    = 127 // the length is in the next eight bytes
)

// atBoundary reports whether the last frame is complete and no other has begun.
func (f *frameTracker) atBoundary() bool { return f.headerLen == 0 }

// restOfFrame returns how many bytes of p belong to the frame that has begun. It is
// 0 between two frames.
func (f *frameTracker) restOfFrame(p []byte) int {
	ahead := *f
	n := 0
	for n < len(p) && !ahead.atBoundary() {
		n += ahead.step(p[n:])
	}
	return n
}

// advance moves the position past p.
func (f *frameTracker) advance(p []byte) {
	for len(p) > 0 {
		p = p[f.step(p):]
	}
}

// step moves the position past some bytes of p and returns how many: at least one,
// and never more than the current frame has.
func (f *frameTracker) step(p []byte) int {
	n := 1
	if f.headerLen < headerSize(f.header[:f.headerLen]) {
		f.header[f.headerLen] = p[0]
		f.headerLen++
		if f.headerLen == headerSize(f.header[:f.headerLen]) {
			f.remaining = payloadSize(f.header[:f.headerLen])
		}
	} else {
		n = int(min(uint64(len(p)), f.remaining)) //nolint:gosec // at most len(p)
		f.remaining -= uint64(n)
	}
	if f.headerLen == headerSize(f.header[:f.headerLen]) && f.remaining == 0 {
		f.closed = f.header[0]&opcodeMask == opcodeClose
		f.headerLen = 0
	}
	return n
}

// headerSize returns the size of a frame's header, as far as its first bytes tell.
func headerSize(header []byte) int {
	if len(header) < 2 {
		return 2
	}
	n := 2
	switch header[1] & lengthMask {
	case length16:
		n += 2
	case length64:
		n += 8
	}
	if header[1]&maskBit != 0 {
		n += 4
	}
	return n
}

// payloadSize reads the size of the payload from a complete header.
func payloadSize(header []byte) uint64 {
	switch n := header[1] & lengthMask; n {
	case length16:
		return uint64(binary.BigEndian.Uint16(header[2:]))
	case length64:
		return binary.BigEndian.Uint64(header[2:])
	default:
		return uint64(n)
	}
}

// closeFrame returns a close frame as a server sends it (RFC 6455 §5.5.1): unmasked,
// with a reason of at most 123 bytes.
func closeFrame(code uint16, reason string) []byte {
	frame := []byte{finalBit | opcodeClose, byte(2 + len(reason))} //nolint:gosec // at most 125
	return append(binary.BigEndian.AppendUint16(frame, code), reason...)
}
