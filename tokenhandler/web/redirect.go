package web

import (
	"net/http"
	"net/url"
	"strings"
)

// maxReturnTo bounds a return path: it travels in the sealed login cookie.
const maxReturnTo = 1024

// ReturnTo makes a return_to parameter safe: a path on the public origin, or a
// URL on an allowed origin; anything else becomes "/".
//
// Browsers and Go disagree about what a URL is: browsers take "\" for "/", drop
// tabs and newlines, and read "//host" and "/\host" as another host. So every
// such byte is refused before parsing, and what is returned was serialised
// again from the parsed parts (peers' advisories: PEERS 2.2 "Open redirect").
// Paths below one of the prefixes in own are refused too: to return to
// /auth/login would be a loop.
func (s *Site) ReturnTo(raw string, own ...string) string {
	if raw == "" || len(raw) > maxReturnTo || strings.ContainsFunc(raw, isUnsafeInURL) {
		return "/"
	}
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Opaque != "" {
		return "/"
	}
	if u.Scheme != "" || u.Host != "" {
		if !s.allowed[u.Scheme+"://"+u.Host] {
			return "/"
		}
		if u.Path == "" {
			u.Path = "/"
		}
	}
	// The decoded path, because browsers take %2e for a dot, and our own mux and
	// other software on the way decode the rest.
	if !isPlainPath(u.Path) || strings.ContainsFunc(u.Path, isUnsafeInPath) {
		return "/"
	}
	if u.Host == "" {
		for _, prefix := range own {
			if u.Path == prefix || strings.HasPrefix(u.Path, prefix+"/") {
				return "/"
			}
		}
	}
	safe := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery, Fragment: u.Fragment, RawFragment: u.RawFragment}
	return safe.String()
}

func isUnsafeInURL(c rune) bool {
	return c <= ' ' || c == '\\' || c >= 0x7f
}

func isUnsafeInPath(c rune) bool {
	return c < ' ' || c == '\\' || c == 0x7f
}

// isPlainPath reports whether path begins with exactly one slash and has neither
// empty nor dot segments.
func isPlainPath(path string) bool {
	rest, rooted := strings.CutPrefix(path, "/")
	return rooted && (rest == "" || CheckSegments(strings.TrimSuffix(rest, "/")) == nil)
}

// Redirect answers with a redirect to target, which must be what
// [Site.ReturnTo] returned, or a URL built from the configuration. A target
// that a browser could read as another host than it says is replaced by "/".
func (s *Site) Redirect(w http.ResponseWriter, status int, target string) {
	if !strings.HasPrefix(target, "https://") && !strings.HasPrefix(target, "http://") {
		target = s.ReturnTo(target)
	}
	h := w.Header()
	h.Set("Location", target)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Length", "0")
	w.WriteHeader(status)
}
