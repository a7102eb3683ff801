package oauthproxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"cognito-token-handler/oauthproxy/socket"
)

var errGoingAway = errors.New("the service shuts down")

// eventStream is the body of a response that is an endless stream of events. Left
// alone, it would last until the shutdown's time is used up. goAway ends it as if it
// were complete, perhaps in the middle of an event: the client discards an
// incomplete event, connects again, and asks for what follows the last complete one
// (HTML Standard, server-sent events).
type eventStream struct {
	io.ReadCloser

	call *call

	mu     sync.Mutex
	closed bool // the response is written: its writer must not be used any more
}

// isEndlessEventStream reports whether a response is a stream of events that the
// client opens again when it ends. The client does not repeat another method than
// GET, and a response with a length ends by itself.
func isEndlessEventStream(response *http.Response, method string) bool {
	return method == http.MethodGet && isEndless(response) && isEventStream(response.Header)
}

// isEndless reports whether nothing says where the body of a response ends.
func isEndless(response *http.Response) bool {
	return response.StatusCode == http.StatusOK && response.ContentLength < 0
}

func isEventStream(h http.Header) bool {
	mediaType, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream")
}

// newEventStream registers body as a long-lived connection until it is closed.
func newEventStream(c *call, body io.ReadCloser) *eventStream {
	s := &eventStream{ReadCloser: body, call: c}
	c.handler.open.add(s)
	return s
}

// Read returns io.EOF after goAway, so that the response ends as if it were complete.
func (s *eventStream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && errors.Is(context.Cause(s.call.out.Context()), errGoingAway) {
		err = io.EOF
	}
	return n, err
}

// Close is called when the response has been written, or cannot be.
func (s *eventStream) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.call.handler.open.remove(s)
	return s.ReadCloser.Close()
}

func (s *eventStream) goAway() { s.end(socket.CloseTimeout) }
func (s *eventStream) abort()  { s.end(0) }

// end closes the connection to the upstream. The client gets what was read from it
// before, if it takes it within timeout.
func (s *eventStream) end(timeout time.Duration) {
	s.call.cancel(errGoingAway)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		_ = http.NewResponseController(s.call.writer).SetWriteDeadline(s.call.handler.cfg.Site.Now().Add(timeout))
	}
}
