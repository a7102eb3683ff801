package oauthproxy

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// exposed is the one header of CORS that an upstream has a say in: it knows which of
// its headers scripts need, and without our Access-Control-Allow-Origin it does
// nothing.
const exposed = "Access-Control-Expose-Headers"

// buffering is the one order to an nginx in front that is an upstream's to give: it
// knows which of its answers must not be held back.
const buffering = "X-Accel-Buffering"

// cleanAnswer removes what an upstream must not say to the app's site:
// cookies, storage, transport security, CORS, the reach of service workers, where
// browsers report the site's errors, what they tell of themselves and when they
// think somebody logged in are the site's own. So is what a server
// in front of us does: nginx would answer with another resource, or put the answer
// in its cache whatever Cache-Control says. What was fetched with a user's token
// must not be kept by a shared cache.
func (r *route) cleanAnswer(answer *http.Response, personal bool) {
	header := answer.Header
	for name := range header {
		switch {
		case strings.HasPrefix(name, "Access-Control-") && name != exposed, strings.HasPrefix(name, "X-Accel-") && name != buffering:
			delete(header, name)
		case name == "Set-Cookie", name == "Set-Cookie2", name == "Clear-Site-Data", name == "Strict-Transport-Security",
			name == "Server", name == "X-Request-Id", name == "Alt-Svc", name == "Public-Key-Pins",
			name == "Service-Worker-Allowed", name == "Nel", name == "Report-To", name == "X-Sendfile",
			name == "Accept-Ch", name == "Set-Login", strings.HasPrefix(name, "Secure-Session-"), strings.HasPrefix(name, "Sec-Session-"):
			delete(header, name)
		}
	}
	if to := header["Location"]; len(to) == 1 {
		to[0] = r.ownLocation(to[0])
	}
	if challenges := slices.DeleteFunc(header["Www-Authenticate"], asksForPassword); len(challenges) == 0 {
		delete(header, "Www-Authenticate")
	} else {
		header["Www-Authenticate"] = challenges
	}
	// A 304 is about a page that has been here, and need not repeat its policy.
	if answer.StatusCode != http.StatusNotModified && isPage(header) && len(header["Content-Security-Policy"]) == 0 {
		header.Set("Content-Security-Policy", "sandbox") // opened as a page it must not act as the app (ASVS V3.2.1)
	}
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Cookie") // the next user of this browser must not see it
	if holdsEvents(header) {
		header.Set(buffering, "no") // or events are kept back until they fill a buffer
	}
	// Of several lines each counts.
	stored := strings.Join(header["Cache-Control"], ", ")
	if stored == "" {
		header.Set("Cache-Control", "no-store")
	} else if personal {
		header.Set("Cache-Control", private(stored))
	}
	if personal || stored == "" {
		deleteCDNControl(header)
	}
}

// deleteCDNControl removes what CDNs obey before Cache-Control (RFC 9213).
func deleteCDNControl(header http.Header) {
	for name := range header {
		if name == "Surrogate-Control" || strings.HasSuffix(name, "Cdn-Cache-Control") {
			delete(header, name)
		}
	}
}

// private makes a Cache-Control value one for the browser's own cache only. With
// no-store nothing else is said: must-understand would lift it (RFC 9111 §5.2.2.3).
func private(value string) string {
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

// ownLocation is a redirect to the upstream's own address, which browsers need not
// know and may not reach, as one to the same under our route; any other stays.
func (r *route) ownLocation(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.User != nil || !strings.EqualFold(u.Host, r.Upstream.Host) || !slices.Contains([]string{"", "http", "https"}, u.Scheme) {
		return to
	}
	base, prefix := strings.TrimSuffix(r.Upstream.EscapedPath(), "/"), ""
	if r.StripPrefix {
		prefix = strings.TrimSuffix(r.Path, "/")
	}
	path, found := strings.CutPrefix(cmp.Or(u.EscapedPath(), "/"), base+"/")
	path = prefix + "/" + path
	if !found || !strings.HasPrefix(path, r.Path) || strings.HasPrefix(path, "//") {
		return to
	}
	own := url.URL{RawQuery: u.RawQuery, ForceQuery: u.ForceQuery, Fragment: u.Fragment, RawFragment: u.RawFragment}
	return path + own.String()
}

// passwordScheme is a challenge upon which browsers ask for a password, or for a
// certificate of the domain, which would not reach the upstream.
var passwordScheme = regexp.MustCompile(`(?i)(^|,)\s*(basic|digest|negotiate|ntlm)\b`)

func asksForPassword(challenge string) bool { return passwordScheme.MatchString(challenge) }

// pageTypes are the types of which browsers run scripts, beside all +xml: text/xsl
// (Chrome), text/rdf (Firefox), and a stream that can hold any of them.
//
//nolint:gochecknoglobals // a constant list
var pageTypes = []string{"text/html", "text/xml", "application/xml", "text/xsl", "text/rdf", "multipart/x-mixed-replace"}

// isPage reports whether a browser would run the scripts of an answer that it is
// sent to. What it only saves is none.
func isPage(header http.Header) bool {
	if disposition, _, _ := strings.Cut(header.Get("Content-Disposition"), ";"); strings.EqualFold(strings.TrimSpace(disposition), "attachment") {
		return false
	}
	for value := range strings.SplitSeq(strings.ToLower(strings.Join(header["Content-Type"], ",")), ",") {
		mediaType, _, _ := strings.Cut(value, ";")
		mediaType = strings.TrimSpace(mediaType)
		if slices.Contains(pageTypes, mediaType) || strings.HasSuffix(mediaType, "+xml") {
			return true
		}
	}
	return false
}
