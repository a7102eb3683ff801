package oauthproxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

var errGoingAway = errors.New("the service shuts down")

// eventStream is the body of an answer that is a stream of events. On its own it
// would last until a shutdown has no more time. Ended before, it comes to a clean
// end, in the middle of an event perhaps: a client drops what is incomplete, and
// asks again from the last whole event (HTML Standard, server-sent events).
type eventStream struct {
	io.ReadCloser

	call *call

	mu     sync.Mutex
	closed bool // the answer is written, nothing may be done to its writer
}

// isEventStream reports whether an answer is a stream of events that its client
// opens again when it ends. What another method began nobody repeats, and what
// has a length ends by itself.
func isEventStream(answer *http.Response) bool {
	return answer.StatusCode == http.StatusOK && answer.ContentLength < 0 && answer.Request.Method == http.MethodGet && holdsEvents(answer.Header)
}

func holdsEvents(header http.Header) bool {
	mediaType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream")
}

// follow makes an answer's body an eventStream, until it is closed.
func (h *Handler) follow(c *call, answer *http.Response) {
	s := &eventStream{ReadCloser: answer.Body, call: c}
	answer.Body = s
	h.lastings.add(s)
}

// Read ends with io.EOF if that is what goAway did, and nothing else.
func (s *eventStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && errors.Is(context.Cause(s.call), errGoingAway) {
		err = io.EOF
	}
	return n, err
}

// Close is called when the answer is written, or cannot be.
func (s *eventStream) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.call.handler.lastings.remove(s)
	return s.ReadCloser.Close()
}

func (s *eventStream) goAway() { s.end(closeGrace) }
func (s *eventStream) hangUp() { s.end(0) }

// end takes the upstream away. What was read from it the client may take within
// the grace.
func (s *eventStream) end(grace time.Duration) {
	s.call.cancel(errGoingAway)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		_ = http.NewResponseController(s.call.writer).SetWriteDeadline(s.call.handler.cfg.Site.Now().Add(grace))
	}
}
