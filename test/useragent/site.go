package useragent

import (
	"net"
	"net/url"
	"strings"
)

func origin(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port := u.Port()
	if port == "" || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		return u.Scheme + "://" + host
	}
	return u.Scheme + "://" + host + ":" + port
}

// site is the scheme with the registrable domain, here the last two labels; an
// address or a single label is its own site. Ports do not count.
func (b *browser) site(u *url.URL) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, host := range []string{u.Host, u.Hostname()} {
		if declared, ok := b.sites[strings.ToLower(host)]; ok {
			return declared
		}
	}
	host := strings.ToLower(u.Hostname())
	if labels := strings.Split(host, "."); net.ParseIP(host) == nil && len(labels) > 2 {
		host = strings.Join(labels[len(labels)-2:], ".")
	}
	return u.Scheme + "://" + host
}

// trustworthy reports whether Chrome takes the URL for secure: Secure cookies
// and Sec-Fetch headers go only there.
func trustworthy(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	ip := net.ParseIP(host)
	return u.Scheme == "https" || host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// fetchSite is the value of Sec-Fetch-Site: the worst relation between who
// started the request and any URL of its redirect chain.
func (b *browser) fetchSite(initiator *url.URL, chain []*url.URL) string {
	if initiator == nil {
		return "none"
	}
	value := "same-origin"
	for _, u := range chain {
		switch {
		case origin(u) == origin(initiator):
		case b.site(u) == b.site(initiator):
			value = "same-site"
		default:
			return "cross-site"
		}
	}
	return value
}

// sameSite reports whether a request counts as same-site for cookies: who
// started it and, as 6265bis has it, every redirect on the way.
func (b *browser) sameSite(initiator *url.URL, chain []*url.URL) bool {
	target := b.site(chain[len(chain)-1])
	if initiator != nil && b.site(initiator) != target {
		return false
	}
	b.mu.Lock()
	ignore := b.ignoreChain
	b.mu.Unlock()
	if ignore {
		return true
	}
	for _, u := range chain {
		if b.site(u) != target {
			return false
		}
	}
	return true
}
