package web

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"cognito-token-handler/tokenhandler/tracing"
)

// Config is what a [Site] needs to know of the deployment.
type Config struct {
	// PublicURL is the app's own origin: scheme, host, port. Required. It is never taken
	// from the Host header, which the client chooses.
	PublicURL *url.URL
	// AllowedOrigins are further origins of the same site that may send requests with
	// credentials, each as "scheme://host[:port]".
	AllowedOrigins []string
	// TrustedProxies are the addresses of the proxies in front of the service: only
	// their X-Forwarded-For is used. Default none.
	TrustedProxies []netip.Prefix
	// LoginURL is the path of the login_url of every 401. Required.
	LoginURL string
	// Log receives one record per request. Required.
	Log *slog.Logger
	// Quiet logs successful requests at level debug instead of info. It is for listeners
	// with probes and scrapes, which come every few seconds.
	Quiet bool
	// LogRequests says which requests are logged: [LogAllRequests], [LogFailedRequests] or
	// [LogNoRequests].
	LogRequests string
	// Now is the clock. Required.
	Now func() time.Time
	// Observe is called at the end of each request with the status that was sent, 0 for
	// none, and the time since its head was read. It may be nil.
	Observe func(r *http.Request, status int, took time.Duration)
	// Limited is called for each request that a limit has refused, see [Problem.Limit].
	// session is nil if none was opened. It may be nil.
	Limited func(r *http.Request, limit string, session Named)
	// Rejected is called for each request that is refused as cross-site. It may be nil.
	Rejected func()
	// Tracer makes a span of every request; nil makes none.
	Tracer *tracing.Tracer
}

// Site knows the app's origin. It checks where requests come from and where they may be
// redirected to, and writes error responses.
type Site struct {
	origin   string
	allowed  map[string]bool // origin → may call with credentials
	proxies  []netip.Prefix
	loginURL string
	hsts     bool
	log      *slog.Logger
	quiet    bool
	now      func() time.Time
	rejected func()
	tracer   *tracing.Tracer

	logRequests string
	observe     func(r *http.Request, status int, took time.Duration)
	limited     func(r *http.Request, limit string, session Named)
	// hiddenClients is set when the log says that the addresses of clients are not known.
	hiddenClients atomic.Bool
	other         otherAddresses
}

// NewSite returns a Site.
func NewSite(cfg Config) *Site {
	s := &Site{
		origin:   Origin(cfg.PublicURL),
		allowed:  make(map[string]bool, len(cfg.AllowedOrigins)),
		proxies:  cfg.TrustedProxies,
		loginURL: cfg.LoginURL,
		hsts:     cfg.PublicURL.Scheme == "https",
		log:      cfg.Log,
		quiet:    cfg.Quiet,
		now:      cfg.Now,
		rejected: cfg.Rejected,
		tracer:   cfg.Tracer,

		logRequests: cfg.LogRequests,
		observe:     cfg.Observe,
		limited:     cfg.Limited,
	}
	if s.rejected == nil {
		s.rejected = func() {}
	}
	for _, origin := range cfg.AllowedOrigins {
		s.allowed[strings.ToLower(origin)] = true
	}
	return s
}

// Origin returns the origin of u as browsers write it (RFC 6454 §6.2): in lower case and
// without the default port of the scheme.
func Origin(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + host
}

// PublicOrigin returns the app's own origin.
func (s *Site) PublicOrigin() string { return s.origin }

// LoginURL returns the login_url for the client of r. It is absolute for the pages of
// AllowedOrigins: a path would lead to their own origin.
func (s *Site) LoginURL(r *http.Request) string {
	if origin := r.Header.Get("Origin"); origin != s.origin && s.allowed[origin] {
		return s.origin + s.loginURL
	}
	return s.loginURL
}

// Now returns the time of the injected clock.
func (s *Site) Now() time.Time { return s.now() }

// HandlerFunc is an HTTP handler that returns its error instead of writing it. If it
// returns an error it must not have written anything. Headers that it has set are kept.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Handle returns an [http.Handler] that writes the errors of h as problem+json.
func (s *Site) Handle(h HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.WriteProblem(w, r, err)
		}
	})
}

// Methods refuses every method except those in allow, with 405 and an Allow header. That
// includes OPTIONS: [Site.Guard] has answered preflights before.
func (s *Site) Methods(next http.Handler, allow ...string) http.Handler {
	list := strings.Join(allow, ", ")
	return s.Handle(func(w http.ResponseWriter, r *http.Request) error {
		if !slices.Contains(allow, r.Method) {
			return MethodNotAllowed(list)
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// MethodNotAllowed returns the 405 problem. allow is the value of the Allow header.
func MethodNotAllowed(allow string) *Problem {
	return NewProblem(CodeMethodNotAllowed, "this path answers "+allow+" only", nil).WithHeader("Allow", allow)
}

// NotFound responds to every request with the not_found problem.
func (s *Site) NotFound() http.Handler {
	return s.Handle(func(http.ResponseWriter, *http.Request) error { return NoSuchPath(nil) })
}

// NoSuchPath returns the not_found problem. The cause is only logged: the client must not be
// able to distinguish a hidden path from one that does not exist.
func NoSuchPath(cause error) *Problem {
	return NewProblem(CodeNotFound, "there is nothing at this path", cause)
}

// OwnHeaders sets the security headers of the service's own responses, which are neither
// an upstream's nor the SPA's (ASVS V3.4, V14.2.2).
func OwnHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setOwnHeaders(w.Header())
		next.ServeHTTP(w, r)
	})
}

func setOwnHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// hstsValue is one year (ASVS V3.4.1). Whether to include subdomains is the operator's
// decision.
const hstsValue = "max-age=31536000"
