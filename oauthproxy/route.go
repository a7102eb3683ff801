package oauthproxy

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cognito-token-handler/oauthproxy/socket"
	"cognito-token-handler/tokenhandler/web"
)

// Route maps a path prefix to an API.
type Route struct {
	// Path is the prefix of the request paths that the route serves. It begins and ends
	// with a slash. Required.
	Path string
	// Upstream is the API's base URL: the scheme http, https or h2c with a host and an
	// optional path; or the scheme unix with the path of a socket. Required.
	Upstream *url.URL
	// UpstreamHost is the Host header for an API behind a Unix socket. Default localhost.
	UpstreamHost string
	// UpstreamCAs are the only authorities that may issue the certificate of an https
	// upstream. Default the system's. See [Handler.ReplaceUpstreamCAs].
	UpstreamCAs *x509.CertPool
	// StripPrefix removes Path from the request path before forwarding.
	StripPrefix bool
	// Methods are the allowed methods. Default all except CONNECT,
	// TRACE and TRACK.
	Methods []string
	// Token is the token that the upstream gets. Default access.
	Token TokenKind
	// Scopes are the scopes that the access token must have, all of them; Groups are the
	// groups of which the user must be in at least one. Otherwise the response is 403.
	// Default none. They cannot be checked without a session, so they must not be
	// combined with Anonymous.
	Scopes, Groups []string
	// Anonymous forwards requests without a session as well.
	Anonymous bool
	// Timeout bounds the time until the response begins. It starts anew whenever a part
	// of the request's body is read. Required.
	Timeout time.Duration
	// MaxBody bounds request bodies in bytes. Required.
	MaxBody int64
	// ReplayBody bounds, in bytes, the request bodies that are kept in memory so that
	// the request can be sent again when the upstream refuses its token or has closed a
	// kept connection.
	ReplayBody int64
	// Probe is how often the provider is asked whether the user is still valid; 0 for
	// never.
	Probe time.Duration
	// WebSocket allows WebSockets, from our own origin and the allowed ones.
	WebSocket bool
}

// route is a Route that is ready to serve.
type route struct {
	Route

	allow     string              // the Allow header of a 405
	readings  [numReadings]string // of Path, see readingsOf
	transport http.RoundTripper
	// authorities is nil without Route.UpstreamCAs.
	authorities *authorities
	// Metrics with the route's label.
	inFlight             prometheus.Gauge
	seconds              prometheus.Observer
	toUpstream, toClient prometheus.Counter // bytes of bodies
	responses            *statusCounters
}

// newRoute prepares r. shared is the transport for routes that need none of their own.
func (h *Handler) newRoute(r Route, shared http.RoundTripper) *route {
	ready := &route{Route: r, allow: strings.Join(r.Methods, ", "), readings: readingsOf(r.Path)}
	if ready.Token == "" {
		ready.Token = TokenAccess
	}
	h.connect(ready, shared)
	ready.inFlight, ready.seconds = h.metrics.InFlight.WithLabelValues(r.Path), h.metrics.Seconds.WithLabelValues(r.Path)
	ready.toUpstream = h.metrics.BodyBytes.WithLabelValues(r.Path, "to_upstream")
	ready.toClient = h.metrics.BodyBytes.WithLabelValues(r.Path, "to_client")
	ready.responses = newStatusCounters(h.metrics.Requests.MustCurryWith(prometheus.Labels{"route": r.Path}))
	h.metrics.begin(r.Path)
	return ready
}

// methodChars are the characters of a method (RFC 9110 §9.1). net/http accepts others
// over HTTP/2, and they could inject words into an HTTP/1 request line.
const methodChars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// check refuses requests that the route does not allow, before any session is opened.
func (r *route) check(site *web.Site, request *http.Request) error {
	switch {
	case strings.EqualFold(request.Method, http.MethodTrace), strings.EqualFold(request.Method, web.MethodTrack), strings.EqualFold(request.Method, http.MethodConnect),
		request.ProtoMajor != 1 && strings.Trim(request.Method, methodChars) != "":
		allow := r.allow
		if allow == "" {
			allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
		}
		return web.MethodNotAllowed(allow)
	case len(r.Methods) > 0 && !slices.Contains(r.Methods, request.Method):
		return web.MethodNotAllowed(r.allow)
	case socket.IsUpgrade(request) && !r.WebSocket:
		// An upgrade to h2c would open a tunnel that bypasses every check (golang/go#80416).
		return web.NewProblem(web.CodeInvalidRequest, "this route does not allow a protocol upgrade", nil)
	case !hasTrueLength(request):
		return web.NewProblem(web.CodeInvalidRequest, "Content-Length is not the length of the body", nil)
	case request.ContentLength > r.MaxBody:
		return web.AsProblem(&http.MaxBytesError{Limit: r.MaxBody})
	case socket.IsUpgrade(request):
		return socket.CheckHandshake(site, request)
	}
	return nil
}

// hasTrueLength reports whether the Content-Length header agrees with the length
// that net/http determined. Over HTTP/2 net/http ignores a length that is not a
// number, the second of two lengths, and a length that no body follows. Such a request must
// not be forwarded (RFC 9113 §8.1.1).
func hasTrueLength(r *http.Request) bool {
	values := r.Header["Content-Length"]
	if len(values) == 0 {
		return true
	}
	length, err := strconv.ParseUint(values[0], 10, 63)
	return len(values) == 1 && err == nil && int64(length) == r.ContentLength
}
