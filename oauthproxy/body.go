package oauthproxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"cognito-token-handler/tokenhandler/web"
)

// requestBody is the client's body on its way to the upstream. Every read restarts
// the route's time-out, so that a large upload may take its time.
type requestBody struct {
	io.ReadCloser

	call    *call
	state   atomic.Int32          // one of the states below
	failure atomic.Pointer[error] // why it ended early, if it did
}

// The states of a requestBody.
const (
	bodyUnread  = iota
	bodyRead    // an attempt to send the request has begun to read it
	bodyRevoked // another requestBody has taken its place
)

var (
	errBodyRevoked = errors.New("the request is sent again")
	errNotTaken    = errors.New("writing the response")
)

// newRequestBody returns nil if the client sends no body.
func (c *call) newRequestBody() *requestBody {
	if c.client.Body == nil || c.client.ContentLength == 0 {
		return nil
	}
	pace := web.SlowBody
	if c.grant == nil {
		pace = web.SteadyBody
	}
	web.SetBodyPace(c.client, pace)
	return &requestBody{ReadCloser: http.MaxBytesReader(c.writer, c.client.Body, c.route.MaxBody), call: c}
}

func (b *requestBody) Read(p []byte) (int, error) {
	if !b.state.CompareAndSwap(bodyUnread, bodyRead) && b.state.Load() == bodyRevoked {
		return 0, errBodyRevoked
	}
	n, err := b.ReadCloser.Read(p)
	b.call.route.toUpstream.Add(float64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		b.failure.Store(&err)
	}
	b.call.timeout.extend()
	return n, err
}

// again returns the body for another attempt to send the request, or nil if the first one
// has begun to read it. A transport may still do so after the response: it must not take
// from the second attempt a part of the body.
func (b *requestBody) again() *requestBody {
	if !b.state.CompareAndSwap(bodyUnread, bodyRevoked) {
		return nil
	}
	return &requestBody{ReadCloser: b.ReadCloser, call: b.call}
}

// Close leaves the client's body open, because the request may be sent again with
// what the upstream did not read. net/http closes it after the request.
func (*requestBody) Close() error { return nil }

// keepBody reads the whole body into memory if it is short enough and the request may
// have to be sent again.
func (c *call) keepBody() error {
	length := c.client.ContentLength
	if length <= 0 || length > c.route.ReplayBody || !isIdempotent(c.client.Method) {
		return nil
	}
	kept := make([]byte, length)
	if _, err := io.ReadFull(c.body, kept); err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	c.kept = kept
	c.out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(kept)), nil }
	c.out.Body, _ = c.out.GetBody()
	return nil
}

// responseBody counts the bytes of the upstream's body, and its failures.
type responseBody struct {
	io.ReadCloser

	call *call
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.call.route.toClient.Add(float64(n))
	if err != nil && !errors.Is(err, io.EOF) && b.call.out.Context().Err() == nil {
		b.call.countUpstreamError(errorInterrupted)
	}
	return n, err
}

// copyBody writes body to w. With flush, each part is sent to the client as soon as
// it has arrived, and the header before the first part.
func copyBody(w http.ResponseWriter, body io.Reader, buffer []byte, flush bool) error {
	var controller *http.ResponseController
	if flush {
		controller = http.NewResponseController(w)
		_ = controller.Flush() // an error shows in the next write
	}
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return fmt.Errorf("%w: %w", errNotTaken, err)
			}
			if flush {
				_ = controller.Flush()
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the response: %w", err)
		}
	}
}

// bufferPool lends the buffers through which bodies are copied.
type bufferPool struct{ pool sync.Pool }

type buffer [32 << 10]byte

func (b *bufferPool) get() *buffer {
	if lent, ok := b.pool.Get().(*buffer); ok {
		return lent
	}
	return new(buffer)
}

func (b *bufferPool) put(lent *buffer) { b.pool.Put(lent) }
