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

// parseURL takes an absolute http or https URL without user and fragment, and
// writes its origin as browsers do: lower case, no default port.
func parseURL(s string) (*url.URL, *wrong) {
	const example = "write it as https://host.example.com"
	if s == "" {
		return nil, &wrong{"is empty", example}
	}
	u, err := url.Parse(s)
	if err != nil || strings.ContainsAny(s, `\ `) { // the error quotes what may hold a password
		return nil, &wrong{quote(s) + " is not a URL", example}
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, &wrong{quote(s) + " does not begin with https:// or http://", example}
	case u.User != nil:
		return nil, &wrong{"holds a user name or password", "remove what stands before the @"}
	case strings.Contains(s, "#"):
		return nil, &wrong{"has a fragment", "remove the # and what follows it"}
	}
	if bad := normaliseHost(u); bad != nil {
		return nil, &wrong{quote(s) + bad.problem, bad.fix}
	}
	return u, nil
}

func normaliseHost(u *url.URL) *wrong {
	name, port := strings.ToLower(u.Hostname()), u.Port()
	_, notIP := netip.ParseAddr(name)
	switch {
	case name == "":
		return &wrong{" has no host", "write it as https://host.example.com"}
	case notIP != nil && !hostPattern.MatchString(name):
		return &wrong{" has a host name that does not exist in DNS", "write letters, digits, dashes and dots (xn--… for other letters)"}
	case port == "" && strings.HasSuffix(u.Host, ":"):
		return &wrong{" has a colon but no port", "remove the colon or write the port"}
	}
	if port != "" && !isPort(port, 1) {
		return &wrong{" has an impossible port", "write a port from 1 to 65535"}
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

// parseOrigin takes a URL that is nothing but scheme, host and port.
func parseOrigin(s string) (*url.URL, *wrong) {
	if s == "*" || strings.Contains(s, "://*") {
		return nil, &wrong{quote(s) + " is a wildcard", "write each origin out, such as https://admin.example.com"}
	}
	u, bad := parseURL(s)
	if bad != nil {
		return nil, bad
	}
	if u.Path != "" || u.RawQuery != "" || u.ForceQuery {
		return nil, &wrong{quote(s) + " is more than an origin", "write " + u.Scheme + "://" + u.Host}
	}
	return u, nil
}

// parseSecureOrigin takes an origin that is https, or http on this machine, and
// gives it as browsers write it.
func parseSecureOrigin(s string) (string, *wrong) {
	u, bad := parseOrigin(s)
	if bad == nil {
		bad = insecure(u)
	}
	if bad != nil {
		return "", bad
	}
	return u.String(), nil
}

// parseAnyOrigin takes any origin and gives it as browsers write it.
func parseAnyOrigin(s string) (string, *wrong) {
	u, bad := parseOrigin(s)
	if bad != nil {
		return "", bad
	}
	return u.String(), nil
}

// parseIssuer keeps the issuer to the letter: the provider's tokens are
// compared with it (OpenID Connect Core, section 3.1.3.7).
func parseIssuer(s string) (string, *wrong) {
	u, bad := parseURL(s)
	switch {
	case bad != nil:
		return "", bad
	case u.RawQuery != "" || u.ForceQuery:
		return "", &wrong{"has a query", "remove the ? and what follows it"}
	}
	if bad := insecure(u); bad != nil {
		return "", bad
	}
	return s, nil
}

// parseEndpoint takes an https URL, or http on this machine.
func parseEndpoint(s string) (string, *wrong) {
	u, bad := parseURL(s)
	if bad == nil {
		bad = insecure(u)
	}
	if bad != nil {
		return "", bad
	}
	return u.String(), nil
}

// insecure refuses what would carry tokens in the clear (V12.2.1).
func insecure(u *url.URL) *wrong {
	if u.Scheme == "https" || isLoopback(u.Hostname()) {
		return nil
	}
	return &wrong{quote(u.String()) + " is not https", "write https:// (http:// is for localhost only)"}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// parseListen takes host:port; an empty host is every interface, port 0 any.
func parseListen(s string) (string, *wrong) {
	host, port, err := net.SplitHostPort(s)
	const example = "write host:port, such as 127.0.0.1:8080 or :8080"
	if err != nil || !isPort(port, 0) {
		return "", &wrong{quote(s) + " is not an address to listen on", example}
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostPattern.MatchString(host) {
		return "", &wrong{quote(s) + " is not an address to listen on", example}
	}
	return s, nil
}

// parseProxy takes an address or a network. Every address is refused: then
// anybody could forge X-Forwarded-For.
func parseProxy(s string) (netip.Prefix, *wrong) {
	const example = "write an address or network, such as 10.0.0.7 or 10.0.0.0/8"
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, &wrong{quote(s) + " is neither an address nor a network", example}
	case p.Addr().Is4In6():
		return netip.Prefix{}, &wrong{quote(s) + " is an IPv4 network written as IPv6", "write it as IPv4, such as 10.0.0.0/8"}
	case p.Bits() == 0:
		return netip.Prefix{}, &wrong{quote(s) + " trusts every address", "write the networks of your own proxies"}
	case p != p.Masked():
		return netip.Prefix{}, &wrong{quote(s) + " has address bits beyond its length", "write " + p.Masked().String()}
	}
	return p, nil
}
