package oauthproxy

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// The schemes of upstreams besides http and https.
const (
	schemeH2C  = "h2c"  // HTTP/2 without TLS, by prior knowledge (RFC 9113 §3.3)
	schemeUnix = "unix" // HTTP/1.1 over a Unix socket
)

// localHost is the default Host header for an API behind a Unix socket.
const localHost = "localhost"

// connect sets a route's base URL, in the form that net/http understands, and its
// transport. Routes that need no transport of their own share one, and with it its
// connections.
func (h *Handler) connect(r *route, shared http.RoundTripper) {
	base := *r.Upstream
	switch {
	case base.Scheme == schemeUnix:
		socketPath := base.Path
		base = url.URL{Scheme: "http", Host: cmp.Or(r.UpstreamHost, localHost)}
		shared = newTransport(func(t *http.Transport) {
			dialer := &net.Dialer{Timeout: dialTimeout}
			t.DialContext = upstreamDial(func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", socketPath)
			})
		})
	case base.Scheme == schemeH2C:
		base.Scheme = "http"
		shared = newTransport(func(t *http.Transport) {
			t.Protocols = new(http.Protocols)
			t.Protocols.SetUnencryptedHTTP2(true)
		})
	case r.UpstreamCAs != nil:
		r.authorities = newAuthorities(r.UpstreamCAs)
		shared = r.authorities
	}
	r.Upstream, r.transport = &base, h.cfg.Tracer.Transport(shared, describeSpan)
}

// upstreamURL returns the URL of the upstream's request. The path was checked by
// forward and keeps its escaping. The query is passed on unchanged, also the parts
// that Go cannot parse (a=1;b=2), because the proxy decides nothing by it.
func (r *route) upstreamURL(in *url.URL) url.URL {
	base := r.Upstream
	path, raw := in.Path, ""
	if in.RawPath != "" || base.RawPath != "" {
		raw = in.EscapedPath()
	}
	if r.StripPrefix {
		path = path[len(r.Path)-1:]
		if raw != "" {
			raw = raw[len(r.Path)-1:] // forward has checked that it begins with the prefix
		}
	}
	out := url.URL{
		Scheme: base.Scheme, Host: base.Host, Path: strings.TrimSuffix(base.Path, "/") + path,
		RawQuery: in.RawQuery, ForceQuery: in.ForceQuery,
	}
	if raw != "" {
		out.RawPath = strings.TrimSuffix(base.EscapedPath(), "/") + raw
	}
	return out
}
