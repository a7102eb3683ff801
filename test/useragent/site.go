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

// site returns the scheme with the registrable domain, for which it takes the last two
// labels. The site of an IP address or a single label is the host itself. Ports are
// ignored.
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

// trustworthy reports whether Chrome treats the URL as secure. It sends Secure cookies
// and Sec-Fetch headers only to such URLs.
func trustworthy(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	ip := net.ParseIP(host)
	return u.Scheme == "https" || host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// fetchSite returns the value of Sec-Fetch-Site: the most distant relation between the
// initiator of the request and the URLs of its redirect chain.
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

// sameSite reports whether a request is same-site for cookies. Its initiator must be on
// the target's site and, as in RFC 6265bis, every URL of its redirect chain.
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
