package oauthproxy

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"sync/atomic"
)

// authorities is the transport of a route whose upstream has a certificate of the route's
// own authorities. They can be replaced while requests are under way.
type authorities struct {
	open    func(*x509.CertPool) *http.Transport
	current atomic.Pointer[http.Transport]
}

func newAuthorities(pool *x509.CertPool) *authorities {
	a := &authorities{open: func(pool *x509.CertPool) *http.Transport {
		return newTransport(func(t *http.Transport) {
			t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
		})
	}}
	a.current.Store(a.open(pool))
	return a
}

// RoundTrip implements [http.RoundTripper].
func (a *authorities) RoundTrip(r *http.Request) (*http.Response, error) {
	return a.current.Load().RoundTrip(r)
}

// replace makes all requests from now on use new connections. Those under way end on theirs,
// which are closed when they have been idle for some seconds.
func (a *authorities) replace(pool *x509.CertPool) {
	a.current.Swap(a.open(pool)).CloseIdleConnections()
}

// ReplaceUpstreamCAs replaces the Route.UpstreamCAs of the route with this path. It does
// nothing if the route has none.
func (h *Handler) ReplaceUpstreamCAs(path string, pool *x509.CertPool) {
	for _, r := range h.routes {
		if r.Path == path && r.authorities != nil {
			r.authorities.replace(pool)
		}
	}
}
