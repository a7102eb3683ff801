package oauthproxy

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/tracing"
	"cognito-token-handler/tokenhandler/web"
)

// TokenSource finds out on whose behalf a request is made.
type TokenSource interface {
	// Authorize opens the request's session; it may wait for a refresh and, if the
	// last probe is longer ago than that, for the provider's word that the user
	// is still good (0: never). The error is a *web.Problem with everything that
	// the answer needs: a 401 for no session or one that is over, which an
	// anonymous route passes by.
	Authorize(r *http.Request, probe time.Duration) (Grant, error)
	// Permits reports whether the access token of a grant that Authorize gave has
	// all of scopes and its user is in one of groups; an empty list asks for nothing.
	Permits(grant Grant, scopes, groups []string) bool
}

// Grant is the permission to call an API for one user. But for Watch, it belongs
// to the goroutine of its request.
type Grant interface {
	// AccessToken is the bearer token for APIs (RFC 6750).
	AccessToken() secret.String
	// IDToken is for upstreams that insist on it; empty if it is not kept.
	IDToken() secret.String
	// Renew replaces the token that an upstream refused. Without an error there is
	// another one than before. It is refused if it was done a moment ago: some
	// upstreams say 401 whatever the token.
	Renew(ctx context.Context) error
	// Commit adds the session's cookies to the answer's header. It is called
	// once, right before the header goes out.
	Commit(h http.Header)
	// Watch returns a context that ends with ctx, or with the reason as its cause
	// when the session is over: logged out, revoked, at its end; at once if it is
	// by now. Any goroutine may call it. It is for requests that last: it costs
	// memory until ctx ends, which it must.
	Watch(ctx context.Context) context.Context
}

// TokenKind is what an upstream gets.
type TokenKind string

// The kinds of token.
const (
	TokenAccess TokenKind = "access"
	TokenID     TokenKind = "id"
	TokenNone   TokenKind = "none"
)

// Route is one API.
type Route struct {
	// Path is the prefix, beginning and ending with a slash. Required.
	Path string
	// Upstream is the API's base URL: http, https or h2c, host, optional path; or
	// unix and the path of a socket. Required.
	Upstream *url.URL
	// UpstreamHost is the Host that an API behind a socket gets. Default localhost.
	UpstreamHost string
	// UpstreamCAs are the only ones that an https upstream's certificate may come
	// from. Default the system's.
	UpstreamCAs *x509.CertPool
	// StripPrefix removes Path before forwarding.
	StripPrefix bool
	// Methods are the ones allowed; none means all but CONNECT and TRACE.
	Methods []string
	// Token is what the upstream gets. Default access.
	Token TokenKind
	// Scopes are what the access token must have all of, Groups what the user must
	// be in one of; else 403. Default none. They mean nothing to a request without
	// a session, so they do not go with Anonymous.
	Scopes, Groups []string
	// Anonymous forwards requests without a session, too.
	Anonymous bool
	// Timeout bounds the time in which neither the request's body nor the answer
	// moves on, until the answer begins. Required.
	Timeout time.Duration
	// MaxBody bounds request bodies in bytes. Required.
	MaxBody int64
	// ReplayBody bounds, in bytes, the bodies that are kept to send a request again
	// when the upstream refuses its token.
	ReplayBody int64
	// Probe is how often the provider is asked whether the user is still good; 0
	// for never.
	Probe time.Duration
	// WebSocket lets requests become WebSockets, if an own or allowed origin asks.
	WebSocket bool
}

// Config is what a [Handler] needs.
type Config struct {
	// Routes are the APIs.
	Routes []Route
	// Site answers and checks origins. Required.
	Site *web.Site
	// Tokens authorises requests. Required.
	Tokens TokenSource
	// OurCookie reports whether a cookie's name is one of ours. Required.
	OurCookie func(name string) bool
	// Log receives what net/http has to say of broken connections. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
	// Tracer makes a span of every request to an upstream; nil makes none.
	Tracer *tracing.Tracer
}

// Handler serves all API routes.
type Handler struct {
	cfg     Config
	routes  []*route
	metrics *Metrics
	handler http.Handler
	// scheme and host are the public origin's.
	scheme, host string
	lastings     lastings
}

// route is a Route made ready.
type route struct {
	Route

	allow string // of a 405
	proxy *httputil.ReverseProxy
	// The route's own of the metrics.
	inFlight             prometheus.Gauge
	seconds              prometheus.Observer
	toUpstream, toClient prometheus.Counter // bytes of bodies
}

// New builds a Handler. The origin check is inside: no request gets past it.
func New(cfg Config) *Handler {
	h := &Handler{cfg: cfg, metrics: cfg.Metrics}
	if h.metrics == nil {
		h.metrics = NewMetrics(nil)
	}
	h.scheme, h.host, _ = strings.Cut(cfg.Site.PublicOrigin(), "://")
	shared := h.newTransport()
	for _, r := range cfg.Routes {
		ready := &route{Route: r, allow: strings.Join(r.Methods, ", ")}
		if ready.Token == "" {
			ready.Token = TokenAccess
		}
		base, own := h.reach(&r, shared)
		ready.Upstream, ready.proxy = base, h.newProxy(own)
		ready.inFlight, ready.seconds = h.metrics.InFlight.WithLabelValues(r.Path), h.metrics.Seconds.WithLabelValues(r.Path)
		ready.toUpstream = h.metrics.BodyBytes.WithLabelValues(r.Path, "to_upstream")
		ready.toClient = h.metrics.BodyBytes.WithLabelValues(r.Path, "to_client")
		h.routes = append(h.routes, ready)
	}
	// The longest prefix is found first.
	slices.SortStableFunc(h.routes, func(a, b *route) int { return len(b.Path) - len(a.Path) })
	h.handler = cfg.Site.Guard(cfg.Site.Handle(h.forward))
	return h
}

// Owns reports whether path lies under a route, so that nothing else answers
// for it (ASVS V14.2.5).
func (h *Handler) Owns(path string) bool {
	for _, r := range h.routes {
		if strings.HasPrefix(path, r.Path) || path == strings.TrimSuffix(r.Path, "/") && path != "" {
			return true
		}
	}
	return false
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.cfg.Tracer != nil { // before anything is refused: that has a span, too
		if route := h.match(r.URL.Path); route != nil {
			web.NoteRoute(r, route.Path)
		}
	}
	h.handler.ServeHTTP(w, r)
}

// forward takes one request through:
//
//  1. Its route: longest prefix of the path, which must be plain.
//  2. What the route allows: method, size of the body, no upgrade but to a
//     WebSocket, and that only for an origin of ours.
//  3. The session: its token, renewed if due. Nothing before this needs one, so
//     nothing is refreshed for a request that is refused anyway.
//  4. The upstream; once more with another token if it refuses the first.
func (h *Handler) forward(w http.ResponseWriter, r *http.Request) error {
	if err := web.CheckPath(r); err != nil {
		return web.NewProblem(web.CodeInvalidRequest, err.Error(), err)
	}
	route := h.match(r.URL.Path)
	if route == nil {
		return web.NewProblem(web.CodeNotFound, "no API route has this path", nil)
	}
	if r.URL.RawPath != "" && !strings.HasPrefix(r.URL.RawPath, route.Path) {
		// /%61pi/ would be another path to whoever does not decode it.
		return web.NewProblem(web.CodeInvalidRequest, "the route's part of the path must not be encoded", nil)
	}
	if err := route.check(r); err != nil {
		return err
	}
	c := &call{handler: h, route: route, client: r}
	if len(r.Header["Upgrade"]) > 0 {
		if err := h.checkHandshake(r); err != nil {
			return err
		}
		c.key = r.Header["Sec-Websocket-Key"][0]
	}
	if err := c.authorize(); err != nil {
		return err
	}
	c.serve(w)
	return nil
}

// match finds the longest prefix. It is nil, too, if a longer one could be
// meant to an upstream that reads paths more loosely: then the rules of that
// route would be passed by.
func (h *Handler) match(path string) *route {
	for i, r := range h.routes {
		if !strings.HasPrefix(path, r.Path) {
			continue
		}
		loose := withoutParameters(path)
		for _, longer := range h.routes[:i] {
			if len(longer.Path) > len(r.Path) && isLooselyUnder(loose, longer.Path) {
				return nil
			}
		}
		return r
	}
	return nil
}

// withoutParameters is how Java's servers read a path: /a;v=1/b is /a/b.
func withoutParameters(path string) string {
	if !strings.Contains(path, ";") {
		return path
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	return strings.Join(segments, "/")
}

// isLooselyUnder reports whether path is under prefix for a reader to whom case
// and the slash at the end do not matter. The first segments are compared, as many
// as prefix has: letters that differ in case can differ in length (U+017F is an s).
func isLooselyUnder(path, prefix string) bool {
	slashes := strings.Count(prefix, "/")
	for i := range len(path) {
		if path[i] != '/' {
			continue
		}
		if slashes--; slashes == 0 {
			path = path[:i]
			break
		}
	}
	return strings.EqualFold(path, prefix[:len(prefix)-1])
}

// methodChars are what methods consist of (RFC 9110 §9.1). HTTP/2 lets others
// through, which would be the next words of an HTTP/1 request line.
const methodChars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// check refuses what the route does not allow.
func (r *route) check(request *http.Request) error {
	switch {
	case strings.EqualFold(request.Method, http.MethodTrace), strings.EqualFold(request.Method, http.MethodConnect),
		request.ProtoMajor != 1 && strings.Trim(request.Method, methodChars) != "":
		allow := r.allow
		if allow == "" {
			allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
		}
		return web.MethodNotAllowed(allow)
	case len(r.Methods) > 0 && !slices.Contains(r.Methods, request.Method):
		return web.MethodNotAllowed(r.allow)
	case len(request.Header["Upgrade"]) > 0 && !r.WebSocket:
		// Passed on, an upgrade to h2c would open a tunnel past every check here
		// (golang/go#80416).
		return web.NewProblem(web.CodeInvalidRequest, "this route does not allow a protocol upgrade", nil)
	case !isLengthTrue(request):
		return web.NewProblem(web.CodeInvalidRequest, "Content-Length is not the length of the body", nil)
	case request.ContentLength > r.MaxBody:
		return web.AsProblem(&http.MaxBytesError{Limit: r.MaxBody})
	}
	return nil
}

// isLengthTrue reports whether Content-Length says what net/http found. Of a
// request over HTTP/2 it forgets a length that is none, one of two, and one to
// which no body comes: such a request must not be forwarded (RFC 9113 §8.1.1).
func isLengthTrue(r *http.Request) bool {
	said := r.Header["Content-Length"]
	if len(said) == 0 {
		return true
	}
	length, err := strconv.ParseUint(said[0], 10, 63)
	return len(said) == 1 && err == nil && int64(length) == r.ContentLength
}
