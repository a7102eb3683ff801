package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

// parseURL accepts absolute http and https URLs without user and fragment. The
// result's scheme and host are in lower case and without a default port, as
// browsers write them.
func parseURL(s string) (*url.URL, *invalid) {
	const example = "write it as https://host.example.com"
	if s == "" {
		return nil, &invalid{"is empty", example}
	}
	u, err := url.Parse(s)
	if err != nil || strings.ContainsAny(s, `\ `) { // err quotes s, which may contain a password
		return nil, &invalid{quote(s) + " is not a URL", example}
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, &invalid{quote(s) + " does not start with https:// or http://", example}
	case u.User != nil:
		return nil, &invalid{"contains a user name or password", "remove everything between :// and the host, including the @"}
	case strings.Contains(s, "#"):
		return nil, &invalid{"has a fragment", "remove the # and everything after it"}
	}
	if bad := normaliseHost(u); bad != nil {
		return nil, &invalid{quote(s) + bad.problem, bad.fix}
	}
	return u, nil
}

func normaliseHost(u *url.URL) *invalid {
	name, port := strings.ToLower(u.Hostname()), u.Port()
	_, notIP := netip.ParseAddr(name)
	switch {
	case name == "":
		return &invalid{" has no host", "write it as https://host.example.com"}
	case notIP != nil && !hostPattern.MatchString(name):
		return &invalid{" has a host name with characters that DNS does not allow", "write letters, digits, dashes and dots (xn--… for other letters)"}
	case port == "" && strings.HasSuffix(u.Host, ":"):
		return &invalid{" has a colon but no port", "remove the colon or write the port"}
	}
	if port != "" && !isPort(port, 1) {
		return &invalid{" has an invalid port", "write a port from 1 to 65535"}
	}
	if u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		port = ""
	}
	switch {
	case port != "":
		u.Host = net.JoinHostPort(name, port)
	case strings.Contains(name, ":"):
		u.Host = "[" + name + "]"
	default:
		u.Host = name
	}
	return nil
}

func isPort(s string, least int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= least && n <= 65535 && strconv.Itoa(n) == s
}

// parseOrigin accepts a URL that has only scheme, host and port.
func parseOrigin(s string) (*url.URL, *invalid) {
	if s == "*" || strings.Contains(s, "://*") {
		return nil, &invalid{quote(s) + " is a wildcard", "list each origin, such as https://admin.example.com"}
	}
	u, bad := parseURL(s)
	if bad != nil {
		return nil, bad
	}
	if u.Path != "" || u.RawQuery != "" || u.ForceQuery {
		return nil, &invalid{quote(s) + " is more than an origin", "write " + u.Scheme + "://" + u.Host}
	}
	return u, nil
}

// parseSecureOrigin accepts an https origin, or an http origin of this machine, and
// returns it as browsers write it.
func parseSecureOrigin(s string) (string, *invalid) {
	u, bad := parseOrigin(s)
	if bad == nil {
		bad = insecure(u)
	}
	if bad != nil {
		return "", bad
	}
	return u.String(), nil
}

// parseAnyOrigin accepts any origin and returns it as browsers write it.
func parseAnyOrigin(s string) (string, *invalid) {
	u, bad := parseOrigin(s)
	if bad != nil {
		return "", bad
	}
	return u.String(), nil
}

// parseEndpoint accepts an https URL, or an http URL of this machine.
func parseEndpoint(s string) (string, *invalid) {
	u, bad := parseURL(s)
	if bad == nil {
		bad = insecure(u)
	}
	if bad != nil {
		return "", bad
	}
	return u.String(), nil
}

// insecure refuses a URL to which tokens would be sent unencrypted (OWASP ASVS 5.0,
// V12.2.1). It returns nil for https and for this machine.
func insecure(u *url.URL) *invalid {
	if u.Scheme == "https" || isLoopback(u.Hostname()) {
		return nil
	}
	return &invalid{quote(u.String()) + " is not https", "write https:// (http:// is for localhost only)"}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// parseListen accepts host:port. An empty host stands for every interface, port 0
// for any free port.
func parseListen(s string) (string, *invalid) {
	host, port, err := net.SplitHostPort(s)
	const example = "write host:port, such as 127.0.0.1:8080 or :8080"
	if err != nil || !isPort(port, 0) {
		return "", &invalid{quote(s) + " is not an address to listen on", example}
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostPattern.MatchString(host) {
		return "", &invalid{quote(s) + " is not an address to listen on", example}
	}
	return s, nil
}

// parseProxy accepts an address or a network. It refuses a network of all addresses,
// with which every client could forge its address in X-Forwarded-For.
func parseProxy(s string) (netip.Prefix, *invalid) {
	return parseNetwork(s, "trusts", "write the networks of your own proxies")
}

// parseNetwork accepts an address or a network that is not a large part of all addresses.
// A fault for such a one says what it does with them, and the cure.
func parseNetwork(s, does, cure string) (netip.Prefix, *invalid) {
	const example = "write an address or network, such as 10.0.0.7 or 10.0.0.0/8"
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, &invalid{quote(s) + " is neither an address nor a network", example}
	case p.Addr().Is4In6():
		return netip.Prefix{}, &invalid{quote(s) + " is an IPv4 network written as IPv6", "write it as IPv4, such as 10.0.0.0/8"}
	case p.Bits() == 0:
		return netip.Prefix{}, &invalid{quote(s) + " " + does + " every address", cure}
	case isTooWide(p):
		return netip.Prefix{}, &invalid{quote(s) + " " + does + " a large part of all addresses", cure}
	case p != p.Masked():
		return netip.Prefix{}, &invalid{quote(s) + " has address bits set after its prefix length", "write " + p.Masked().String()}
	}
	return p, nil
}

// isTooWide reports whether a network has more than 2^24 IPv4 addresses, as 10.0.0.0/8
// has, or is a large part of the public IPv6 addresses.
func isTooWide(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() < 8
	}
	return p.Bits() < 16 && !p.Addr().IsPrivate() && !p.Addr().IsLinkLocalUnicast()
}
