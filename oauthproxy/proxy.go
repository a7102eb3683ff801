package oauthproxy

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"cognito-token-handler/oauthproxy/socket"
	"cognito-token-handler/tokenhandler/tracing"
	"cognito-token-handler/tokenhandler/web"
)

// Config is what a [Handler] needs.
type Config struct {
	// Routes are the APIs.
	Routes []Route
	// Site writes error responses and checks origins. Required.
	Site *web.Site
	// Tokens authorises requests. Required.
	Tokens TokenSource
	// OurCookie reports whether a cookie of this name belongs to the token handler, or to
	// another one on the same host. It is not sent upstream. Required.
	OurCookie func(name string) bool
	// Limits bound what a session may have under way.
	Limits Limits
	// Log receives, at level debug, errors of connections that broke. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
	// Tracer makes a span of every request to an upstream; nil makes none.
	Tracer *tracing.Tracer
}

// Handler serves all API routes.
type Handler struct {
	cfg     Config
	routes  []*route // the longest prefix first
	metrics *Metrics
	handler http.Handler
	// scheme and host are the public origin's.
	scheme, host string
	open         openConnections
	buffers      bufferPool
	watchTimers  watchTimers
	loads        loads
}

// New returns a Handler. It includes the origin check ([web.Site.Guard]), so no
// request can bypass it.
func New(cfg Config) *Handler {
	h := &Handler{cfg: cfg, metrics: cfg.Metrics, loads: loads{limits: cfg.Limits}}
	if h.metrics == nil {
		h.metrics = NewMetrics(nil)
	}
	h.scheme, h.host, _ = strings.Cut(cfg.Site.PublicOrigin(), "://")
	shared := newTransport()
	for _, r := range cfg.Routes {
		h.routes = append(h.routes, h.newRoute(r, shared))
	}
	slices.SortStableFunc(h.routes, func(a, b *route) int { return len(b.Path) - len(a.Path) })
	h.handler = cfg.Site.Guard(cfg.Site.Handle(h.forward))
	return h
}

// Owns reports whether path is under a route. No other handler may answer such a
// path (ASVS V14.2.5, web cache deception).
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
	if h.cfg.Tracer != nil { // before any check, because refused requests have a span, too
		if route := h.match(r.URL.Path); route != nil {
			web.NoteRoute(r, route.Path)
		}
	}
	h.handler.ServeHTTP(w, r)
}

// forward serves one request in four steps:
//
//  1. It finds the route with the longest prefix of the path, which must be plain.
//  2. It checks what the route allows: the method, the size of the body, and no
//     upgrade except to a WebSocket from an allowed origin.
//  3. It authorises the request, which may refresh the tokens. The checks before
//     need no session, so a request that they refuse never causes a refresh. The
//     session must not have too much under way.
//  4. It sends the request to the upstream, once more with another token if the
//     upstream refuses the first one, and passes the response on.
func (h *Handler) forward(w http.ResponseWriter, r *http.Request) error {
	if err := web.CheckPath(r); err != nil {
		return web.NewProblem(web.CodeInvalidRequest, err.Error(), err)
	}
	route := h.match(r.URL.Path)
	if route == nil {
		return web.NewProblem(web.CodeNotFound, "no API route has this path", nil)
	}
	if r.URL.RawPath != "" && !strings.HasPrefix(r.URL.RawPath, route.Path) {
		// A server that does not decode /%61pi/ would see another path.
		return web.NewProblem(web.CodeInvalidRequest, "the route's part of the path must not be encoded", nil)
	}
	if err := route.check(h.cfg.Site, r); err != nil {
		return err
	}
	c := &call{handler: h, route: route, client: r, writer: w}
	if err := c.authorize(); err != nil {
		return err
	}
	if err := c.enter(socket.IsUpgrade(r)); err != nil {
		return err
	}
	defer c.leave()
	c.serve()
	return nil
}
