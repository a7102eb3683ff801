package web

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"cognito-token-handler/tokenhandler/tracing"
)

// Config is what a [Site] needs to know of the deployment.
type Config struct {
	// PublicURL is the app's own origin: scheme, host, port. Required. It is
	// configured and never derived from the Host header (FACTS LAM-12).
	PublicURL *url.URL
	// AllowedOrigins are further origins of the same site that may call us with
	// credentials, each as "scheme://host[:port]".
	AllowedOrigins []string
	// TrustedProxies are the peers whose X-Forwarded-For counts. Default none.
	TrustedProxies []netip.Prefix
	// LoginURL is what every 401 names as the place to log in. Required.
	LoginURL string
	// Log receives one record per request. Required.
	Log *slog.Logger
	// Quiet logs requests that went well at level debug, not info: probes and
	// scrapes come every few seconds.
	Quiet bool
	// Now is the clock. Required.
	Now func() time.Time
	// Rejected counts cross-site refusals; may be nil.
	Rejected func()
	// Tracer makes a span of every request; nil makes none.
	Tracer *tracing.Tracer
}

// Site answers the questions about the app's own origin that every handler
// asks: is this request ours, where may it be redirected, how is an error told.
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
}

// NewSite builds a Site.
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
	}
	if s.rejected == nil {
		s.rejected = func() {}
	}
	for _, origin := range cfg.AllowedOrigins {
		s.allowed[strings.ToLower(origin)] = true
	}
	return s
}

// Origin returns u's origin as browsers write it (RFC 6454 §6.2): lower case,
// without the scheme's default port.
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

// PublicOrigin is the app's own origin.
func (s *Site) PublicOrigin() string { return s.origin }

// Now is the clock.
func (s *Site) Now() time.Time { return s.now() }

// HandlerFunc is an HTTP handler that returns its error instead of writing it.
// After an error nothing must have been written; headers set before stay.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Handle turns h into an [http.Handler] whose errors become problem+json.
func (s *Site) Handle(h HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.WriteProblem(w, r, err)
		}
	})
}

// Methods refuses every method but those in allow with 405 and Allow. OPTIONS
// requests that reach it are refused too: a preflight is answered before, by
// [Site.Guard].
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

// MethodNotAllowed is the 405 problem; allow is the Allow header's list.
func MethodNotAllowed(allow string) *Problem {
	return NewProblem(CodeMethodNotAllowed, "this path answers "+allow+" only", nil).WithHeader("Allow", allow)
}

// NotFound answers every request with the not_found problem.
func (s *Site) NotFound() http.Handler {
	return s.Handle(func(http.ResponseWriter, *http.Request) error { return NoSuchPath(nil) })
}

// NoSuchPath is the not_found problem. The cause is for the log: what is hidden
// from a client must not tell itself from what is not there.
func NoSuchPath(cause error) *Problem {
	return NewProblem(CodeNotFound, "there is nothing at this path", cause)
}

// OwnHeaders sets the security headers of answers that are our own, not an
// upstream's or the SPA's (ASVS V3.4, V14.2.2, OAU-14, OAU-15).
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

// hstsValue is one year with subdomains left to the operator's decision
// (ASVS V3.4.1).
const hstsValue = "max-age=31536000"
