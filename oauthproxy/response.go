package oauthproxy

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// rewriteResponse makes an upstream's response safe to serve from the app's origin:
// it removes protected headers (see headers.go) and rewrites those that are safe in
// part. personal says that the upstream got a session's request.
func (r *route) rewriteResponse(response *http.Response, personal bool) {
	h := response.Header
	cleanResponse(h)
	if location := h["Location"]; len(location) == 1 {
		location[0] = r.publicLocation(location[0])
	}
	if challenges, ok := h["Www-Authenticate"]; ok {
		if h["Www-Authenticate"] = slices.DeleteFunc(challenges, asksForPassword); len(h["Www-Authenticate"]) == 0 {
			delete(h, "Www-Authenticate")
		}
	}
	// A 304 may omit the policy: the browser applies the one that it has stored.
	if response.StatusCode != http.StatusNotModified && isPage(h) && len(h["Content-Security-Policy"]) == 0 {
		h.Set("Content-Security-Policy", "sandbox") // opened as a page, it must not act as the app (ASVS V3.2.1)
	}
	h["X-Content-Type-Options"] = noSniff
	if vary := h["Vary"]; len(vary) == 0 {
		h["Vary"] = varyCookie // the browser's cache must not show it to the browser's next user
	} else {
		h["Vary"] = append(vary, varyCookie...)
	}
	if isEventStream(h) {
		h.Set(bufferingHeader, "no") // nginx would hold events back until they fill a buffer
	}
	limitCaching(h, personal)
}

// These values are shared by all responses: nothing may change them.
//
//nolint:gochecknoglobals // constants
var noSniff, noStore, varyCookie = []string{"nosniff"}, []string{"no-store"}, []string{"Cookie"}

// limitCaching keeps responses out of shared caches if they were fetched for a
// session, and out of all caches unless the upstream allows caching.
func limitCaching(h http.Header, personal bool) {
	cacheControl := strings.Join(h["Cache-Control"], ", ") // all lines count
	if cacheControl == "" {
		h["Cache-Control"] = noStore
	} else if personal {
		if private := privateCacheControl(cacheControl); private != cacheControl || len(h["Cache-Control"]) > 1 {
			h.Set("Cache-Control", private)
		}
	}
	if personal || cacheControl == "" {
		deleteCDNCacheControl(h)
	}
}

// deleteCDNCacheControl removes what CDNs obey before Cache-Control (RFC 9213).
func deleteCDNCacheControl(h http.Header) {
	for name := range h {
		if name == "Surrogate-Control" || strings.HasSuffix(name, "Cdn-Cache-Control") {
			delete(h, name)
		}
	}
}

// privateCacheControl restricts a Cache-Control value to the browser's own cache. If
// it contains no-store, that is all that is left: must-understand would override it
// (RFC 9111 §5.2.2.3).
func privateCacheControl(value string) string {
	if value == "no-store" {
		return value // the most common one
	}
	kept := []string{"private"}
	for directive := range strings.SplitSeq(value, ",") {
		directive = strings.ToLower(strings.TrimSpace(directive))
		switch {
		case directive == "no-store":
			return directive
		case directive == "public", directive == "private", directive == "", strings.HasPrefix(directive, "s-maxage"):
		default:
			kept = append(kept, directive)
		}
	}
	return strings.Join(kept, ", ")
}

// publicLocation rewrites a redirect to the upstream's own address into one to the
// same resource under the route: browsers need not know that address and may not
// reach it. Any other redirect stays as it is.
func (r *route) publicLocation(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.User != nil || !strings.EqualFold(u.Host, r.Upstream.Host) || !slices.Contains([]string{"", "http", "https"}, u.Scheme) {
		return location
	}
	base, prefix := strings.TrimSuffix(r.Upstream.EscapedPath(), "/"), ""
	if r.StripPrefix {
		prefix = strings.TrimSuffix(r.Path, "/")
	}
	path, found := strings.CutPrefix(cmp.Or(u.EscapedPath(), "/"), base+"/")
	path = prefix + "/" + path
	if !found || !strings.HasPrefix(path, r.Path) || strings.HasPrefix(path, "//") {
		return location
	}
	rest := url.URL{RawQuery: u.RawQuery, ForceQuery: u.ForceQuery, Fragment: u.Fragment, RawFragment: u.RawFragment}
	return path + rest.String()
}

// passwordScheme matches the challenges for which browsers ask the user for a
// password or use a domain login. The answer would not reach the upstream.
var passwordScheme = regexp.MustCompile(`(?i)(^|,)\s*(basic|digest|negotiate|ntlm)\b`)

func asksForPassword(challenge string) bool { return passwordScheme.MatchString(challenge) }

// pageTypes are, besides all that end in +xml, the media types in which browsers run scripts:
// text/xsl (Chrome), text/rdf (Firefox), and a stream that can contain any of them.
//
//nolint:gochecknoglobals // a constant list
var pageTypes = []string{"text/html", "text/xml", "application/xml", "text/xsl", "text/rdf", "multipart/x-mixed-replace"}

// isPage reports whether a browser that navigates to the response would run its
// scripts. It does not if it only saves the response (Content-Disposition: attachment).
func isPage(h http.Header) bool {
	if disposition, _, _ := strings.Cut(h.Get("Content-Disposition"), ";"); strings.EqualFold(strings.TrimSpace(disposition), "attachment") {
		return false
	}
	for value := range strings.SplitSeq(strings.ToLower(strings.Join(h["Content-Type"], ",")), ",") {
		mediaType, _, _ := strings.Cut(value, ";")
		mediaType = strings.TrimSpace(mediaType)
		if slices.Contains(pageTypes, mediaType) || strings.HasSuffix(mediaType, "+xml") {
			return true
		}
	}
	return false
}
