package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// CSRFHeader is the header that a client must send with the value "1" if nothing else
// says where its request comes from, such as an old browser or a command-line tool. It
// is not a CORS-safelisted request-header (Fetch standard §2.2.2), so a page of another site can
// send it only after a preflight, which is refused.
const CSRFHeader = "X-Csrf"

var errCrossSite = errors.New("cross-site request")

// Guard refuses cross-site and cross-origin requests with any method: the API proxy
// adds the user's token to a GET just as to a POST. Requests from AllowedOrigins pass,
// and all their responses, errors too, get CORS headers with credentials.
//
//  1. If Sec-Fetch-Site is present, same-origin passes; same-site and cross-site pass
//     if Origin is an allowed one; none (the user typed the address) passes for GET and HEAD.
//  2. Otherwise, if Origin is present, it must be the public origin or an allowed one.
//  3. Otherwise the header X-CSRF: 1 is required, except for GET and HEAD with a Referer of
//     the public origin or an allowed one. Browsers send neither of the other two with a GET
//     of their own origin over plain HTTP (except to localhost), and WebKit sends neither
//     with a download (<a download>). No page can choose another origin in the Referer.
func (s *Site) Guard(next http.Handler) http.Handler {
	return s.CORS(s.Handle(func(w http.ResponseWriter, r *http.Request) error {
		if err := s.Admit(r); err != nil {
			return err
		}
		next.ServeHTTP(w, r)
		return nil
	}))
}

// Admit applies the three rules of [Site.Guard]. It counts a refusal and returns it as the
// cross_site_request problem. It is for handlers that write their own error responses.
func (s *Site) Admit(r *http.Request) error {
	err := s.CheckOrigin(r)
	if err == nil {
		return nil
	}
	s.rejected()
	return NewProblem(CodeCrossSiteRequest,
		"the request came from another origin; call from "+s.origin+", or send X-CSRF: 1 from a client that is no browser", err)
}

// CORS sets the CORS headers for the origins in AllowedOrigins and answers their
// preflights. It refuses no request; [Site.Guard] does that.
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

// allowOrigin sets the CORS headers and reports whether r comes from an origin in
// AllowedOrigins. It may be called more than once for a response.
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

// CheckOrigin applies the three rules of [Site.Guard]. It refuses a request with two
// Origin or Sec-Fetch-Site headers, because browsers send one.
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
	if r.Header.Get(CSRFHeader) == "1" || isRead(r.Method) && s.isRefererOurs(r) {
		return nil
	}
	return errCrossSite
}

// isRefererOurs reports whether r has exactly one Referer header, whose origin is the public
// origin or an allowed one. Browsers write a path behind the origin, at least a slash.
func (s *Site) isRefererOurs(r *http.Request) bool {
	referers := r.Header.Values("Referer")
	if len(referers) != 1 {
		return false
	}
	scheme, rest, _ := strings.Cut(referers[0], "://")
	host, _, hasPath := strings.Cut(rest, "/")
	origin := scheme + "://" + host
	return hasPath && (origin == s.origin || s.allowed[origin])
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// NamesOurOrigin reports whether r has exactly one Origin header, and it is the public
// origin or an allowed one. A page cannot make a browser send another page's origin.
func (s *Site) NamesOurOrigin(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	return len(origins) == 1 && (origins[0] == s.origin || s.allowed[origins[0]])
}

func (s *Site) checkFetchSite(r *http.Request, site string, origins []string) error {
	switch site {
	case "same-origin":
		return nil
	case "none":
		if isRead(r.Method) {
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

// answerPreflight allows what the preflight asks for (Fetch standard §3.2.2). The
// operator has listed the origin, and the request that follows is checked like any other.
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

// isFurtherMethod reports whether an API may have this method besides the usual ones,
// such as QUERY or PROPFIND.
func isFurtherMethod(asked string) bool {
	return len(asked) <= 32 && strings.Trim(asked, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") == "" &&
		asked != http.MethodTrace && asked != http.MethodConnect && asked != MethodTrack
}

// MethodTrack is another name of TRACE, which some servers answer with the whole request, the
// bearer token included (CVE-2004-2320).
const MethodTrack = "TRACK"

func isHeaderList(s string) bool {
	return len(s) <= 1024 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_, ") == ""
}
