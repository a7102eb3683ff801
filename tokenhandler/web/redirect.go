package web

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxReturnTo is the largest size of a return path, which is stored in the login cookie.
const maxReturnTo = 2048

// ReturnTo makes a return_to parameter safe. It returns a path on the public origin, or a
// URL on an allowed origin, and "/" for anything else (open redirects, ASVS V3.7.2) and
// for what is longer than 2,048 bytes. Spaces and characters beyond ASCII are
// percent-encoded, as apps take them from their routers. A URL on the public origin
// becomes its path, and a query or a fragment alone is one of the start page.
//
// Browsers and Go parse URLs differently: browsers read "\" as "/", ignore
// tabs and newlines, and take "//host" and "/\host" for another host. So ReturnTo refuses
// such bytes before it parses raw, and returns what it has put together again from the parsed
// parts. It also refuses paths below one of the prefixes in own: returning to
// /auth/login would be a loop.
func (s *Site) ReturnTo(raw string, own ...string) string {
	if len(raw) > maxReturnTo {
		return "/"
	}
	safe := s.safe(encode(raw), own...)
	if len(safe) > maxReturnTo {
		return "/"
	}
	return safe
}

// encode percent-encodes spaces and the bytes of characters beyond ASCII. What is not
// UTF-8 stays as it is, and so is unsafe.
func encode(raw string) string {
	if !utf8.ValidString(raw) {
		return raw
	}
	var encoded strings.Builder
	for _, c := range []byte(raw) {
		if c == ' ' || c >= utf8.RuneSelf {
			fmt.Fprintf(&encoded, "%%%02X", c)
			continue
		}
		encoded.WriteByte(c)
	}
	return encoded.String()
}

// safe is [Site.ReturnTo] without its encoding and its limit.
func (s *Site) safe(raw string, own ...string) string {
	if raw == "" || strings.ContainsFunc(raw, isUnsafeInURL) {
		return "/"
	}
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Opaque != "" {
		return "/"
	}
	safe := url.URL{Path: cmp.Or(u.Path, "/"), RawPath: u.RawPath, RawQuery: u.RawQuery, Fragment: u.Fragment, RawFragment: u.RawFragment}
	switch {
	case u.Scheme == "" && u.Host == "", u.Host != "" && Origin(u) == s.origin:
	case s.allowed[u.Scheme+"://"+u.Host]:
		safe.Scheme, safe.Host = u.Scheme, u.Host
	default:
		return "/"
	}
	// The decoded path is checked, because browsers read %2e as a dot, and the mux and
	// other software decode the rest.
	if !isPlainPath(safe.Path) || strings.ContainsFunc(safe.Path, isUnsafeInPath) || safe.Host == "" && isBelow(safe.Path, own) {
		return "/"
	}
	return safe.String()
}

// isBelow reports whether path is one of prefixes, or below it.
func isBelow(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") })
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

// Redirect responds with a redirect to target, which must come from [Site.ReturnTo] or
// from the configuration. A path that a browser could read as another host becomes "/".
func (s *Site) Redirect(w http.ResponseWriter, status int, target string) {
	if !strings.HasPrefix(target, "https://") && !strings.HasPrefix(target, "http://") {
		target = s.safe(target)
	}
	h := w.Header()
	h.Set("Location", target)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Length", "0")
	w.WriteHeader(status)
}
