package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// CSRFHeader is the static header that a client without Fetch Metadata and
// without Origin (an old browser, a command line) must send as "1". It is not a
// safelisted header, so another site can only send it after a preflight that
// is refused (FACTS BFF-12, BFF-13).
const CSRFHeader = "X-Csrf"

var errCrossSite = errors.New("cross-site request")

// Guard refuses cross-site and cross-origin requests, on every method: a GET
// through the API proxy carries the user's token as much as a POST. Origins in
// AllowedOrigins pass and get CORS headers with credentials, on errors too.
//
//  1. Sec-Fetch-Site present: same-origin passes; same-site and cross-site pass
//     when Origin is allowed; none (typed by a person) passes for GET and HEAD.
//  2. else Origin present: it must be the public origin or an allowed one.
//  3. else the header X-CSRF: 1 is required.
func (s *Site) Guard(next http.Handler) http.Handler {
	return s.CORS(s.Handle(func(w http.ResponseWriter, r *http.Request) error {
		if err := s.Admit(r); err != nil {
			return err
		}
		next.ServeHTTP(w, r)
		return nil
	}))
}

// Admit applies Guard's three rules, counts a refusal and returns it as the
// cross_site_request problem. It is for handlers that answer refusals in their
// own way.
func (s *Site) Admit(r *http.Request) error {
	err := s.CheckOrigin(r)
	if err == nil {
		return nil
	}
	s.rejected()
	return NewProblem(CodeCrossSiteRequest,
		"the request came from another origin; call from "+s.origin+", or send X-CSRF: 1 from a client that is no browser", err)
}

// CORS lets the origins in AllowedOrigins read the answer, and answers their
// preflights. It refuses nobody; that is [Site.Guard]'s part.
func (s *Site) CORS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.allowOrigin(w.Header(), r) && isPreflight(r) {
			answerPreflight(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

const varyOrigin = "Origin, Sec-Fetch-Site"

// varyValues returns the values of Vary, with room for another one if [Site.Instrument] is
// around.
func varyValues(r *http.Request) []string {
	if q, ok := requestOf(r); ok {
		q.vary[0] = varyOrigin
		return q.vary[:1]
	}
	return []string{varyOrigin}
}

// allowOrigin sets the CORS headers, once, and reports whether r is from an
// origin in AllowedOrigins.
func (s *Site) allowOrigin(h http.Header, r *http.Request) bool {
	if vary := h["Vary"]; len(vary) == 0 {
		h["Vary"] = varyValues(r)
	} else if !slices.Contains(vary, varyOrigin) {
		h["Vary"] = append(vary, varyOrigin)
	}
	origin := r.Header.Get("Origin")
	if origin == "" || origin == s.origin || !s.allowed[origin] {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", "Retry-After, X-Request-Id, ETag, Proxy-Status")
	return true
}

// CheckOrigin applies Guard's three rules. Repeated headers are refused: which
// of them a browser meant cannot be told.
func (s *Site) CheckOrigin(r *http.Request) error {
	sites, origins := r.Header.Values("Sec-Fetch-Site"), r.Header.Values("Origin")
	if len(sites) > 1 || len(origins) > 1 {
		return errCrossSite
	}
	if len(sites) == 1 {
		return s.checkFetchSite(r, sites[0], origins)
	}
	if len(origins) == 1 {
		if s.NamesOurOrigin(r) {
			return nil
		}
		return errCrossSite
	}
	if r.Header.Get(CSRFHeader) == "1" {
		return nil
	}
	return errCrossSite
}

// NamesOurOrigin reports whether r says, exactly once, that it comes from the
// public origin or an allowed one. No page can make a browser say so of another.
func (s *Site) NamesOurOrigin(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	return len(origins) == 1 && (origins[0] == s.origin || s.allowed[origins[0]])
}

func (s *Site) checkFetchSite(r *http.Request, site string, origins []string) error {
	switch site {
	case "same-origin":
		return nil
	case "none":
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return nil
		}
	case "same-site", "cross-site":
		if len(origins) == 1 && s.allowed[origins[0]] {
			return nil
		}
	}
	return errCrossSite
}

func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

// answerPreflight grants what was asked (Fetch standard §3.2.2). The origin is
// one that the operator listed; the request itself is checked again.
func answerPreflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
	if asked := r.Header.Get("Access-Control-Request-Method"); isFurtherMethod(asked) && !slices.Contains(methods, asked) {
		methods = append(methods, asked)
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" && isHeaderList(asked) {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// isFurtherMethod tells what an API may have beside the usual methods, such as
// QUERY or PROPFIND.
func isFurtherMethod(asked string) bool {
	return len(asked) <= 32 && strings.Trim(asked, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == "" &&
		asked != http.MethodTrace && asked != http.MethodConnect
}

func isHeaderList(s string) bool {
	return len(s) <= 1024 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_, ") == ""
}
