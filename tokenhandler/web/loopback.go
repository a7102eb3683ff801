package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// OneHost redirects a page that was opened under another name of this machine than the
// public URL's, such as 127.0.0.1 for localhost, to the public URL. A login would begin
// under the one name and come back under the other, where the browser has none of its
// cookies, and the user would be asked for the password twice. What is no navigation
// passes. So does everything if the public URL is not one of this machine: then a proxy
// in front of the service may change Host as it likes.
func (s *Site) OneHost(next http.Handler) http.Handler {
	public, err := url.Parse(s.origin)
	if err != nil || !IsThisMachine(public) {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if opensPage(r) && isOtherName(r.Host, public) {
			s.Redirect(w, http.StatusFound, s.PublicOrigin()+r.URL.RequestURI())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isOtherName reports whether host is another name of this machine than the public
// URL's, with the same port. Another port is that of the listener behind a proxy, such as
// the server of a bundler, which has changed Host: a redirect would come back here.
func isOtherName(host string, public *url.URL) bool {
	opened := &url.URL{Scheme: "http", Host: host}
	return IsThisMachine(opened) && opened.Port() == public.Port() && !strings.EqualFold(opened.Hostname(), public.Hostname())
}

// IsThisMachine reports whether an http URL has a name or an address of this machine (RFC
// 6761 §6.3).
func IsThisMachine(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	ip, err := netip.ParseAddr(host)
	return u.Scheme == "http" && (host == "localhost" || err == nil && ip.IsLoopback())
}

// opensPage reports whether a browser navigates to the address, and no proxy says that it
// has changed that.
func opensPage(r *http.Request) bool {
	if r.Method != http.MethodGet || r.Header.Get("X-Forwarded-Host") != "" {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
