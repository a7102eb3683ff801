package oauthproxy

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

const (
	// abandonedTime is how long a request whose client has gone still counts as under way. An
	// HTTP/2 client opens and resets streams at no cost ("rapid reset", CVE-2023-44487), and the
	// upstream goes on working on each of them for some time.
	abandonedTime = time.Second
	// retryAfterLimit is when a client that has too much under way may try again.
	retryAfterLimit = time.Second
)

var errTooMany = errors.New("too much is under way")

// Limits bound what one session may have under way at a time: without them, one user could
// open any number of connections to the upstreams. Streams are event streams and WebSockets.
// They last, so they have a limit of their own, and keep no requests from being forwarded.
// Requests without a session are bounded by their client's connection, unless that is one of
// a trusted proxy. 0 is no limit.
type Limits struct{ Requests, Streams int }

// loads counts what each session has under way.
type loads struct {
	limits Limits

	mu sync.Mutex
	of map[loadKey]load // a session with nothing under way is not in it
}

// loadKey names a session, or the connection of a client without one.
type loadKey struct {
	session    [16]byte
	connection string
}

type load struct{ requests, streams int }

// change changes the load of a session. The caller holds mu.
func (l *loads) change(key loadKey, by load) {
	now := l.of[key]
	now.requests += by.requests
	now.streams += by.streams
	if now == (load{}) {
		delete(l.of, key)
		return
	}
	if l.of == nil {
		l.of = make(map[loadKey]load)
	}
	l.of[key] = now
}

// hasRoom reports whether the session may have one more. The caller holds mu.
func (l *loads) hasRoom(key loadKey, isStream bool) bool {
	now := l.of[key]
	if isStream {
		return l.limits.Streams == 0 || now.streams < l.limits.Streams
	}
	return l.limits.Requests == 0 || now.requests < l.limits.Requests
}

// slot is the place of a call among those of its session. It is taken as long as somebody
// holds it.
type slot struct {
	in  *loads // nil if the call is not bounded
	key loadKey
	// These two are guarded by the mutex of in.
	isStream bool
	holders  int
}

func (s *slot) load() load {
	if s.isStream {
		return load{streams: 1}
	}
	return load{requests: 1}
}

// take takes the slot in l for one holder, if there is room.
func (s *slot) take(l *loads, key loadKey, isStream bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.hasRoom(key, isStream) {
		return false
	}
	s.in, s.key, s.isStream, s.holders = l, key, isStream, 1
	l.change(key, s.load())
	return true
}

// hold adds a holder, whether there is room or not.
func (s *slot) hold() {
	if s.in == nil {
		return
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if s.holders++; s.holders == 1 {
		s.in.change(s.key, s.load())
	}
}

// release removes a holder.
func (s *slot) release() {
	if s.in == nil {
		return
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if s.holders--; s.holders == 0 {
		free := s.load()
		s.in.change(s.key, load{-free.requests, -free.streams})
	}
}

// becomeStream moves the slot from the session's requests to its streams, if there is room.
func (s *slot) becomeStream() bool {
	if s.in == nil {
		return true
	}
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if s.isStream {
		return true
	}
	if !s.in.hasRoom(s.key, true) {
		return false
	}
	s.isStream = true
	s.in.change(s.key, load{requests: -1, streams: 1})
	return true
}

// enter takes the call's slot. The error is the response, if there is no room.
func (c *call) enter(isStream bool) error {
	var key loadKey
	switch {
	case c.grant != nil:
		key.session = c.grant.Key()
	case isDirect(c.handler.cfg.Site, c.client):
		key.connection = c.client.RemoteAddr
	default:
		return nil
	}
	if c.slot.take(&c.handler.loads, key, isStream) {
		return nil
	}
	p := c.tooMany(isStream)
	if c.grant != nil {
		c.grant.Commit(p.Header)
	}
	return p
}

// isDirect reports whether the client of r is the peer of the connection.
func isDirect(site *web.Site, r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return err == nil && host == site.ClientAddress(r)
}

// tooMany returns the response to a request over the limits, and counts it.
func (c *call) tooMany(isStream bool) *web.Problem {
	kind, limit, detail := limitedRequest, web.LimitSessionRequests, "too many requests of the session are under way"
	if isStream {
		kind, limit, detail = limitedStream, web.LimitSessionStreams, "too many event streams and WebSockets of the session are open"
	}
	c.handler.metrics.Limited.WithLabelValues(c.route.Path, kind).Inc()
	return web.NewProblem(web.CodeRateLimited, detail, errTooMany).RetryAfter(retryAfterLimit).By(limit)
}

// leave gives the call's slot up, a moment later if the client has gone.
func (c *call) leave() {
	if c.slot.in != nil && c.client.Context().Err() != nil {
		time.AfterFunc(abandonedTime, c.slot.release)
		return
	}
	c.slot.release()
}
