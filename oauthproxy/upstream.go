package oauthproxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
)

// The schemes of upstreams beside http and https.
const (
	schemeH2C  = "h2c"  // HTTP/2 without TLS, by prior knowledge (RFC 9113 §3.3)
	schemeUnix = "unix" // HTTP/1.1 over a socket of this machine
)

// localHost is what an API behind a socket is told as Host by default.
const localHost = "localhost"

// reach returns how a route's upstream is spoken to: its base URL as net/http
// takes it, and the transport. Routes that need nothing of their own share one,
// and with it the connections.
func (h *Handler) reach(r *Route, shared transport) (*url.URL, transport) {
	base := *r.Upstream
	switch {
	case base.Scheme == schemeUnix:
		socket := base.Path
		return &url.URL{Scheme: "http", Host: cmp.Or(r.UpstreamHost, localHost)}, h.newTransport(func(t *http.Transport) {
			dialer := &net.Dialer{Timeout: dialTimeout}
			t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", socket)
			}
		})
	case base.Scheme == schemeH2C:
		base.Scheme = "http"
		return &base, h.newTransport(func(t *http.Transport) {
			t.Protocols = new(http.Protocols)
			t.Protocols.SetUnencryptedHTTP2(true)
		})
	case r.UpstreamCAs != nil:
		return &base, h.newTransport(func(t *http.Transport) {
			t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: r.UpstreamCAs}
		})
	}
	return &base, shared
}
