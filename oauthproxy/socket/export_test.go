package socket

// FrameTracker lets tests follow the frames of one direction of a WebSocket.
type FrameTracker struct{ f frameTracker }

// Advance moves the position past p, and returns how many bytes of p belonged to the
// frame that had begun.
func (f *FrameTracker) Advance(p []byte) (rest int) {
	rest = f.f.restOfFrame(p)
	f.f.advance(p)
	return rest
}

// AtBoundary reports whether the last frame is complete and no other has begun.
func (f *FrameTracker) AtBoundary() bool { return f.f.atBoundary() }

// Closed reports whether the last complete frame was a close frame.
func (f *FrameTracker) Closed() bool { return f.f.closed }
