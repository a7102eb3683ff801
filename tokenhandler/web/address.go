package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
)

// maxOtherAddresses bounds how many other addresses are logged, because clients can make
// them up.
const maxOtherAddresses = 8

// otherAddresses are the addresses that [Site.WarnOfOtherAddress] has logged.
type otherAddresses struct {
	mu   sync.Mutex
	seen map[string]bool
}

// isNew reports whether address is to be logged.
func (o *otherAddresses) isNew(address string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen[address] || len(o.seen) >= maxOtherAddresses {
		return false
	}
	if o.seen == nil {
		o.seen = make(map[string]bool)
	}
	o.seen[address] = true
	return true
}

// WarnOfOtherAddress logs, once for each address, that the browser of a login knows the
// app under another address than the public origin, such as that of a development
// server in front: the login will end at the public origin, where the app may not be.
func (s *Site) WarnOfOtherAddress(r *http.Request) {
	header, address := s.otherAddress(r)
	if address == "" || !s.other.isNew(address) {
		return
	}
	s.log.WarnContext(r.Context(), "a login began at another address than public_url, and will return to public_url: set public_url to the address that browsers open",
		"header", header, "address", Excerpt(address, 128), "public_url", s.origin, "request_id", RequestID(r))
}

// otherAddress returns the app's address as the browser knows it, and the header that
// tells, or "" if it is the public origin or not known.
func (s *Site) otherAddress(r *http.Request) (header, address string) {
	if r.Header.Get("Sec-Fetch-Site") == "same-origin" { // then they name the origin of the request itself
		for _, name := range []string{"Origin", "Referer"} {
			u, err := url.Parse(r.Header.Get(name))
			if err != nil || u.Host == "" {
				continue
			}
			if origin := Origin(u); origin != s.origin && !s.allowed[origin] {
				return name, origin
			}
			return "", ""
		}
	}
	// Proxies may change Host. On the developer's own machine it is what the browser sent.
	scheme, host, _ := strings.Cut(s.origin, "://")
	if isLoopback(host) && isLoopback(r.Host) {
		if other := Origin(&url.URL{Scheme: scheme, Host: r.Host}); other != s.origin {
			return "Host", other
		}
	}
	return "", ""
}

// isLoopback reports whether hostport is on this machine.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// NoAppHere responds to every request with the not_found problem, where no app is served.
// On a developer's machine its detail says what may be wrong.
func (s *Site) NoAppHere() http.Handler {
	_, host, _ := strings.Cut(s.origin, "://")
	if !isLoopback(host) {
		return s.NotFound()
	}
	return s.Handle(func(http.ResponseWriter, *http.Request) error {
		return NewProblem(CodeNotFound, "there is nothing at this path of "+s.origin+
			", which is public_url; if browsers open your app at another address, such as a development server's, set public_url to that one", nil)
	})
}
