package oauthproxy

import (
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
)

// HTTP2Transport returns a transport as routes use it, which speaks HTTP/2 over the
// connections that dial opens.
func HTTP2Transport(dial func(ctx context.Context, network, address string) (net.Conn, error)) http.RoundTripper {
	return newTransport(func(t *http.Transport) {
		t.DialContext = dial
		t.Protocols = new(http.Protocols)
		t.Protocols.SetUnencryptedHTTP2(true)
	})
}

// ProtectedNames returns the names of the headers that are removed from requests and from
// responses, with a star behind each prefix.
func ProtectedNames() (request, response []string) {
	return protectedRequest.all(), protectedResponse.all()
}

func (s *headerSet) all() []string {
	all := slices.Collect(maps.Keys(s.names))
	for _, prefix := range s.prefixes {
		all = append(all, prefix+"*")
	}
	return all
}

// PublicLocation returns what becomes of a redirect of r's upstream.
func PublicLocation(r Route, location string) string {
	return (&route{Route: r}).publicLocation(location)
}

// DialUpstreams lets h connect to its upstreams with dial.
func (h *Handler) DialUpstreams(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	for _, r := range h.routes {
		if t, ok := r.transport.(*http.Transport); ok {
			t.DialContext = upstreamDial(dial)
		}
	}
}

// CountDials calls dialed for every connection that h opens.
func (h *Handler) CountDials(dialed func()) {
	for _, r := range h.routes {
		if t, ok := r.transport.(*http.Transport); ok {
			dial := t.DialContext
			t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				dialed()
				return dial(ctx, network, address)
			}
		}
	}
}

// WrapTransports replaces the transport of each route of h with what wrap returns for it.
func (h *Handler) WrapTransports(wrap func(http.RoundTripper) http.RoundTripper) {
	for _, r := range h.routes {
		r.transport = wrap(r.transport)
	}
}

// Held returns how many connections h has open that last, and how many sessions or client
// connections have something under way.
func (h *Handler) Held() (open, loads int) {
	h.open.mu.Lock()
	defer h.open.mu.Unlock()
	h.loads.mu.Lock()
	defer h.loads.mu.Unlock()
	return len(h.open.closed), len(h.loads.of)
}

// WithoutUpstreamText cuts off of an error what it may quote of a response.
var WithoutUpstreamText = withoutUpstreamText

// ErrorKind returns the label of an error of the transport.
var ErrorKind = errorKind

// SlotRequests takes, holds and releases the slot of a call, in this order, and returns how
// many requests of its session are under way after each step.
func SlotRequests(steps ...string) (under []int) {
	l := loads{limits: Limits{Requests: 1, Streams: 1}}
	var s slot
	for _, step := range steps {
		switch step {
		case "take":
			s.take(&l, loadKey{}, false)
		case "hold":
			s.hold()
		case "release":
			s.release()
		}
		under = append(under, l.of[loadKey{}].requests)
	}
	return under
}
