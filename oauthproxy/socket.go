package oauthproxy

import (
	"bytes"
	"context"
	"errors"
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
	// socketStall is how long one side may take nothing of what there is for it.
	// There is no other time-out: sockets last, and TCP's own keepalive finds
	// peers that are gone.
	socketStall = time.Minute
	// closeGrace is how long a socket that is being closed may take: for the frame
	// under way, and for the client to answer, over a slow network. It is far
	// below the time that a shutdown gives to requests.
	closeGrace = 3 * time.Second
	// socketBuffer is the size of each direction's buffer: sockets are many, and
	// their messages mostly short. It is also all that is taken from one side
	// before the other has taken it.
	socketBuffer = 8 << 10
	// codeGoingAway is a server's that shuts down (RFC 6455 §7.4.1).
	codeGoingAway = 1001
	// codeSessionOver is ours, of the range for private use: as HTTP's 401, it says
	// that a new login is needed and a new try is not enough.
	codeSessionOver = 4401
)

var errSocketOver = errors.New("the socket is closed")

// socket is one WebSocket: two connections, and what went from the upstream to
// the client.
type socket struct {
	client   net.Conn
	upstream io.ReadWriteCloser
	now      func() time.Time
	// bye is the close frame that ends it, as soon as there is one.
	bye atomic.Pointer[[]byte]

	toClientBytes, toUpstreamBytes prometheus.Counter

	mu     sync.Mutex // held while the client is written to
	frames frames
}

// serveSocket tells the client that its handshake was accepted, and takes frames
// to and fro until one side is gone or the socket is ended.
func (h *Handler) serveSocket(w http.ResponseWriter, c *call) {
	defer func() { _ = c.tunnel.Close() }()
	maps.Copy(w.Header(), c.accepted)
	h.count(c, http.StatusSwitchingProtocols)
	w.WriteHeader(http.StatusSwitchingProtocols)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // the connection broke
	}
	bytesPassed := h.metrics.SocketBytes.MustCurryWith(prometheus.Labels{"route": c.route.Path})
	s := &socket{
		client: client, upstream: c.tunnel, now: h.cfg.Site.Now,
		toClientBytes: bytesPassed.WithLabelValues("to_client"), toUpstreamBytes: bytesPassed.WithLabelValues("to_upstream"),
	}
	h.lastings.add(s)
	defer h.lastings.remove(s)
	open := h.metrics.Sockets.WithLabelValues(c.route.Path)
	open.Inc()
	defer open.Dec()
	if c.grant != nil {
		ctx, cancel := context.WithCancel(c.client.Context())
		defer cancel()
		h.watchSocket(ctx, c, s)
	}
	// A client in a hurry may have sent frames with its handshake.
	early, _ := buffered.Peek(buffered.Reader.Buffered())
	s.run(io.MultiReader(bytes.NewReader(bytes.Clone(early)), client))
}

// watchSocket closes the socket when its session is over. Its messages do not
// keep the session alive, and being idle does not close it.
func (h *Handler) watchSocket(ctx context.Context, c *call, s *socket) {
	over := c.grant.Watch(ctx)
	context.AfterFunc(over, func() {
		if ctx.Err() == nil {
			h.metrics.Ended.WithLabelValues(c.route.Path, "socket").Inc()
			s.end(codeSessionOver, "session ended")
		}
	})
}

// run copies both ways and returns when both connections are closed.
func (s *socket) run(client io.Reader) {
	var copies sync.WaitGroup
	copies.Go(func() {
		s.copyToUpstream(client)
		s.hangUp()
	})
	s.copyToClient()
	// What was written must not be lost with a reset: the client reads to the end
	// and then hangs up.
	if half, ok := s.client.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = s.client.SetReadDeadline(s.now().Add(closeGrace))
	copies.Wait()
}

func (s *socket) hangUp() {
	_ = s.upstream.Close()
	_ = s.client.Close()
}

// copyToUpstream returns when the client is gone. After the socket's end nothing
// that the client says is passed on.
func (s *socket) copyToUpstream(client io.Reader) {
	stalled := time.AfterFunc(socketStall, s.hangUp)
	stalled.Stop()
	buf := make([]byte, socketBuffer)
	deaf := false
	for {
		n, err := client.Read(buf)
		if n > 0 && !deaf && s.bye.Load() == nil {
			stalled.Reset(socketStall)
			written, failed := s.upstream.Write(buf[:n])
			stalled.Stop()
			s.toUpstreamBytes.Add(float64(written))
			deaf = failed != nil // the other direction finds out why
		}
		if err != nil {
			return
		}
	}
}

// copyToClient returns when there is nothing more to be said to the client.
func (s *socket) copyToClient() {
	buf := make([]byte, socketBuffer)
	for {
		n, err := s.upstream.Read(buf)
		if n > 0 && s.write(buf[:n]) != nil || err != nil {
			return
		}
	}
}

// write passes p on, or of a socket that was ended the rest of the frame under
// way, and then the close frame.
func (s *socket) write(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.client.SetWriteDeadline(s.now().Add(socketStall))
	ended := s.bye.Load() // after the deadline, which end sets after this
	if ended != nil {
		_ = s.client.SetWriteDeadline(s.now().Add(closeGrace))
		p = p[:s.frames.rest(p)]
	}
	if len(p) > 0 {
		n, err := s.client.Write(p)
		s.frames.pass(p[:n])
		s.toClientBytes.Add(float64(n))
		if err != nil {
			return err
		}
	}
	switch {
	case s.frames.between() && s.frames.closed:
		return errSocketOver // nothing may follow a close frame
	case ended != nil && s.frames.between():
		return s.sayGoodbye(*ended)
	}
	return nil
}

// end closes the socket with a close frame, if not in the middle of one of the
// upstream's; write says it after that one. Whatever has not come to an end
// within the grace is cut off.
func (s *socket) end(code uint16, reason string) {
	frame := closeFrame(code, reason)
	if !s.bye.CompareAndSwap(nil, &frame) {
		return
	}
	_ = s.client.SetDeadline(s.now().Add(closeGrace)) // also of a write under way
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frames.between() {
		_ = s.sayGoodbye(frame)
	}
}

// goAway ends it in its own time: a write may be under way.
func (s *socket) goAway() { go s.end(codeGoingAway, "going away") }

// sayGoodbye writes the close frame, unless there was one. The caller holds mu.
func (s *socket) sayGoodbye(frame []byte) error {
	if !s.frames.closed {
		n, _ := s.client.Write(frame)
		s.frames.pass(frame[:n])
	}
	return errSocketOver
}
