package oauthproxy

import (
	"errors"
	"io"
	"sync/atomic"
)

// movingBody restarts the call's time-out with every read, and remembers a
// failure of the client's.
type movingBody struct {
	io.ReadCloser

	call *call
	read atomic.Bool // somebody has begun to
}

func (b *movingBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	n, err := b.ReadCloser.Read(p)
	b.call.route.toUpstream.Add(float64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		b.call.broken.Store(&err)
	}
	if b.call.timer.Stop() {
		b.call.timer.Reset(b.call.route.Timeout)
		if b.call.answering.Load() { // since the time-out was stopped above
			b.call.timer.Stop()
		}
	}
	return n, err
}

// Close leaves the client's body open: what an upstream did not read may be
// sent again, and net/http closes it in the end.
func (*movingBody) Close() error { return nil }

// answerBody counts the upstream's body on its way.
type answerBody struct {
	io.ReadCloser

	call *call
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.call.route.toClient.Add(float64(n))
	if err != nil && !errors.Is(err, io.EOF) && b.call.Err() == nil {
		b.call.upstreamFailed("interrupted")
	}
	return n, err
}
