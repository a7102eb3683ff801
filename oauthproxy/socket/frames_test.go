package socket_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"cognito-token-handler/oauthproxy/socket"
)

// frame makes one as RFC 6455 §5.2 draws it; a mask is one of zeros.
func frame(first byte, size int, masked bool) []byte {
	f := []byte{first}
	switch {
	case size < 126:
		f = append(f, byte(size))
	case size < 1<<16:
		f = binary.BigEndian.AppendUint16(append(f, 126), uint16(size))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 127), uint64(size))
	}
	if masked {
		f[1] |= 0x80
		f = append(f, 0, 0, 0, 0)
	}
	return append(f, bytes.Repeat([]byte{0x88}, size)...)
}

// However the bytes are cut into reads, the ends of frames are found.
func TestFrameEnds(t *testing.T) {
	var stream []byte
	var ends []int
	for _, f := range [][]byte{
		frame(0x81, 0, false), frame(0x01, 1, false), frame(0x89, 125, false), frame(0x80, 126, false), frame(0x82, 127, true),
		frame(0xc2, 1<<16-1, false), frame(0x82, 1<<16, true), frame(0x8a, 0, true), frame(0x88, 2, false),
	} {
		stream = append(stream, f...)
		ends = append(ends, len(stream))
	}
	for _, size := range []int{1, 2, 3, 7, 125, 128, 4096, 8192, len(stream)} {
		f := &socket.FrameTracker{}
		at := 0
		for chunk := range slices.Chunk(stream, size) {
			begun := !f.AtBoundary()
			next, _ := slices.BinarySearch(ends, at+1) // the end of the frame under way
			rest := f.Advance(chunk)
			if want := min(len(chunk), ends[next]-at); begun && rest != want || !begun && rest != 0 {
				t.Fatalf("reads of %d, at %d: %d bytes belong to the frame under way, want %d", size, at, rest, want)
			}
			at += len(chunk)
			if _, found := slices.BinarySearch(ends, at); f.AtBoundary() != found {
				t.Fatalf("reads of %d, at %d: between frames: %v", size, at, f.AtBoundary())
			}
			if f.Closed() != (at == len(stream)) {
				t.Fatalf("reads of %d, at %d: closed: %v", size, at, f.Closed())
			}
		}
	}
}

// A length that no payload has must not wrap around.
func TestFrameOfAbsurdLength(t *testing.T) {
	f := &socket.FrameTracker{}
	f.Advance([]byte{0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	for range 1000 {
		if rest := f.Advance(make([]byte, 8192)); rest != 8192 || f.AtBoundary() {
			t.Fatalf("%d bytes, between: %v", rest, f.AtBoundary())
		}
	}
}
