package socket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// StallTimeout is how long one side may leave unread what there is to read. There
	// is no other time-out: a WebSocket may be silent for hours, and TCP keep-alive
	// detects peers that are gone.
	StallTimeout = time.Minute
	// CloseTimeout bounds the closing of a WebSocket: sending the rest of the current
	// frame and the close frame, and the client's answer, over a slow network. It is far
	// below the time that a shutdown gives to requests.
	CloseTimeout = 3 * time.Second
	// bufferSize is the size of each direction's buffer. It is small because there
	// can be many WebSockets and most messages are short. No more than this is read
	// from one side before the other side has taken it.
	bufferSize = 8 << 10
)

// The close codes that [Conn.Close] sends.
const (
	// StatusGoingAway says that the service shuts down (RFC 6455 §7.4.1).
	StatusGoingAway = 1001
	// StatusSessionEnded says that the user must log in again, as HTTP's 401 does;
	// connecting again is not enough. It is from the range for private use
	// (RFC 6455 §7.4.2).
	StatusSessionEnded = 4401
)

var errClosed = errors.New("the WebSocket is closed")

// Conn is an open WebSocket: the connection to the client and that to the upstream.
type Conn struct {
	client   net.Conn
	early    []byte // what the client sent right after its handshake
	upstream io.ReadWriteCloser
	now      func() time.Time
	// closing is the close frame to send. It is nil until Close is called.
	closing atomic.Pointer[[]byte]

	open                           prometheus.Gauge
	toClientBytes, toUpstreamBytes prometheus.Counter

	// writing holds one value while somebody writes to the client. It is a lock, and no
	// [sync.Mutex], because testing/synctest does not know when that is waited for.
	writing chan struct{}
	frames  frameTracker // guarded by writing
}

// Accept answers the client's handshake with 101 and u.Header, and takes over its
// connection. Now is the clock; route labels the metrics. An error means that the
// client's connection has broken.
func (u *Upstream) Accept(w http.ResponseWriter, now func() time.Time, m *Metrics, route string) (*Conn, error) {
	maps.Copy(w.Header(), u.Header)
	w.WriteHeader(http.StatusSwitchingProtocols)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("taking over the client's connection: %w", err)
	}
	early, _ := buffered.Peek(buffered.Reader.Buffered())
	return &Conn{
		client: client, early: bytes.Clone(early), upstream: u.conn, now: now, writing: make(chan struct{}, 1),
		open:          m.Open.WithLabelValues(route),
		toClientBytes: m.Bytes.WithLabelValues(route, toClient), toUpstreamBytes: m.Bytes.WithLabelValues(route, toUpstream),
	}, nil
}

// Run copies in both directions. It returns when both connections are closed.
func (c *Conn) Run() {
	c.open.Inc()
	defer c.open.Dec()
	var copies sync.WaitGroup
	copies.Go(func() {
		c.copyToUpstream(io.MultiReader(bytes.NewReader(c.early), c.client))
		c.Abort()
	})
	c.copyToClient()
	// Closing now could reset the connection, and the client would lose what was
	// written last. Instead the client reads to the end and then closes.
	if half, ok := c.client.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = c.client.SetReadDeadline(c.now().Add(CloseTimeout))
	copies.Wait()
}

// Close closes the WebSocket with a close frame. If the upstream is in the middle of
// a frame, the close frame is sent after that frame. Whatever has not ended within
// [CloseTimeout] is cut off. Close may wait for a write that is in progress.
func (c *Conn) Close(code uint16, reason string) {
	frame := closeFrame(code, reason)
	if !c.closing.CompareAndSwap(nil, &frame) {
		return
	}
	_ = c.client.SetDeadline(c.now().Add(CloseTimeout)) // also ends a write in progress
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	if c.frames.atBoundary() {
		_ = c.writeCloseFrame(frame)
	}
}

// Abort closes both connections at once, without a close frame.
func (c *Conn) Abort() {
	_ = c.upstream.Close()
	_ = c.client.Close()
}

// copyToUpstream returns when the client's connection has ended. Once Close was
// called, what the client sends is read and discarded.
func (c *Conn) copyToUpstream(client io.Reader) {
	stall := time.AfterFunc(StallTimeout, c.Abort)
	stall.Stop()
	buf := make([]byte, bufferSize)
	upstreamGone := false
	for {
		n, err := client.Read(buf)
		if n > 0 && !upstreamGone && c.closing.Load() == nil {
			stall.Reset(StallTimeout)
			written, writeErr := c.upstream.Write(buf[:n])
			stall.Stop()
			c.toUpstreamBytes.Add(float64(written))
			upstreamGone = writeErr != nil // copyToClient fails as well, and ends the WebSocket
		}
		if err != nil {
			return
		}
	}
}

// copyToClient returns when nothing more will be sent to the client.
func (c *Conn) copyToClient() {
	buf := make([]byte, bufferSize)
	for {
		n, err := c.upstream.Read(buf)
		if n > 0 && c.writeToClient(buf[:n]) != nil || err != nil {
			return
		}
	}
}

// writeToClient forwards p. Once Close was called, it forwards only the rest of the
// current frame and then sends the close frame.
func (c *Conn) writeToClient(p []byte) error {
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	_ = c.client.SetWriteDeadline(c.now().Add(StallTimeout))
	closing := c.closing.Load() // read after setting the deadline: Close does both in the reverse order
	if closing != nil {
		_ = c.client.SetWriteDeadline(c.now().Add(CloseTimeout))
		p = p[:c.frames.restOfFrame(p)]
	}
	if len(p) > 0 {
		n, err := c.client.Write(p)
		c.frames.advance(p[:n])
		c.toClientBytes.Add(float64(n))
		if err != nil {
			return fmt.Errorf("writing to the client: %w", err)
		}
	}
	switch {
	case c.frames.closed:
		return errClosed // nothing may follow a close frame
	case closing != nil && c.frames.atBoundary():
		return c.writeCloseFrame(*closing)
	}
	return nil
}

// writeCloseFrame writes the close frame, unless one was sent before. The caller holds
// writing.
func (c *Conn) writeCloseFrame(frame []byte) error {
	if !c.frames.closed {
		n, _ := c.client.Write(frame)
		c.frames.advance(frame[:n])
	}
	return errClosed
}
