package web

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// BodyPace is how fast a client must send the body of a request. The time in which nobody
// reads the body does not count.
type BodyPace int

const (
	// ShortBody is for the service's own calls, and for every request whose handler asks for
	// nothing else: the body must arrive within 10 seconds.
	ShortBody BodyPace = iota
	// SteadyBody is for bodies of any size from clients that nobody knows: at least 1 KiB a
	// second, after the first 10 seconds. Otherwise one byte now and then would hold a
	// connection, and one to the upstream, for hours.
	SteadyBody
	// SlowBody is for bodies of any size from users: the client must not stop for a minute.
	SlowBody
)

const (
	shortBodyTime = 10 * time.Second
	// steadyByte is how much longer a steady body may take for every byte.
	steadyByte = time.Second / 1024
)

// SetBodyPace sets how fast the client must send the body of r. It must be called before the
// body is read. It has no effect without [Site.Deadlines].
func SetBodyPace(r *http.Request, pace BodyPace) {
	if body, ok := r.Body.(*stallReader); ok {
		body.mu.Lock()
		defer body.mu.Unlock()
		body.pace = pace
	}
}

// stallReader sets a deadline for each read of a request's body.
type stallReader struct {
	io.ReadCloser

	rc     *http.ResponseController
	now    func() time.Time
	strict bool // see stallWriter

	mu       sync.Mutex
	left     bool // the handler has returned
	pace     BodyPace
	received int64
	waited   time.Duration // for the client, in all
}

// Read leaves the deadline in force over HTTP/1. The server removes it when the body
// has ended. After any other error the deadline must stay: the server reads the rest
// of the body, and would wait for it forever.
func (r *stallReader) Read(p []byte) (int, error) {
	start := r.now()
	r.setDeadline(start.Add(r.timeout()))
	if r.strict {
		defer r.setDeadline(time.Time{})
	}
	n, err := r.ReadCloser.Read(p)
	r.mu.Lock()
	r.received += int64(n)
	r.waited += r.now().Sub(start)
	r.mu.Unlock()
	return n, err
}

// timeout returns how long the next read may take.
func (r *stallReader) timeout() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.pace {
	case SlowBody:
	case SteadyBody:
		return min(stallTimeout, shortBodyTime+time.Duration(r.received)*steadyByte-r.waited)
	case ShortBody:
		return shortBodyTime - r.waited
	}
	return stallTimeout
}

// setDeadline does nothing after the handler has returned: a Transport may still read
// the body for a moment after an early response, and the writer of HTTP/2 panics then.
func (r *stallReader) setDeadline(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.left {
		_ = r.rc.SetReadDeadline(at) // fails if the writer supports no deadlines, as httptest's
	}
}

func (r *stallReader) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = true
}
