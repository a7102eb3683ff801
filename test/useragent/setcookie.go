package useragent

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The limits of RFC 6265bis: bytes of name and value together, bytes of an attribute's
// value, and the time until a cookie expires.
const (
	MaxCookie    = 4096
	maxAttribute = 1024
	maxLife      = 400 * 24 * time.Hour
)

// Cookie is a cookie in the jar.
type Cookie struct {
	Name, Value string
	Domain      string // host that set it, or the Domain attribute
	HostOnly    bool   // no Domain attribute
	Path        string
	Secure      bool
	HTTPOnly    bool
	SameSite    http.SameSite // DefaultMode if the attribute was absent
	Expires     time.Time     // zero for a session cookie
	Created     time.Time

	order int
}

// attributes is a parsed Set-Cookie header.
type attributes struct {
	cookie    Cookie
	hasDomain bool
	hasPath   bool // has a Path attribute that starts with a slash
}

// parseSetCookie parses a Set-Cookie header (RFC 6265bis §5.6). The error says why a
// browser drops the cookie.
func parseSetCookie(raw string, now time.Time) (attributes, error) {
	if strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return attributes{}, errors.New("control character")
	}
	pair, rest, _ := strings.Cut(raw, ";")
	name, value, found := strings.Cut(pair, "=")
	if !found {
		name, value = "", pair
	}
	a := attributes{cookie: Cookie{
		Name: trim(name), Value: trim(value), SameSite: http.SameSiteDefaultMode, Created: now,
	}}
	switch size := len(a.cookie.Name) + len(a.cookie.Value); {
	case size == 0:
		return a, errors.New("empty cookie")
	case size > MaxCookie:
		return a, fmt.Errorf("name and value have %d bytes, over %d", size, MaxCookie)
	}
	a.parse(rest, now)
	return a, nil
}

func (a *attributes) parse(rest string, now time.Time) {
	var maxAge, expires *time.Time
	for part := range strings.SplitSeq(rest, ";") {
		key, value, _ := strings.Cut(part, "=")
		if value = trim(value); len(value) > maxAttribute {
			continue
		}
		switch strings.ToLower(trim(key)) {
		case "max-age":
			if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
				seconds = min(seconds, int64(maxLife/time.Second))
				at := now.Add(time.Duration(max(seconds, -1)) * time.Second)
				maxAge = &at
			}
		case "expires":
			if at, err := http.ParseTime(value); err == nil {
				expires = &at
			}
		case "domain":
			a.hasDomain = value != ""
			a.cookie.Domain = strings.ToLower(strings.TrimPrefix(value, "."))
		case "path":
			a.hasPath, a.cookie.Path = strings.HasPrefix(value, "/"), value
		case "secure":
			a.cookie.Secure = true
		case "httponly":
			a.cookie.HTTPOnly = true
		case "samesite":
			a.cookie.SameSite = sameSiteOf(value)
		}
	}
	if maxAge == nil {
		maxAge = expires
	}
	if maxAge != nil {
		a.cookie.Expires = *maxAge
		if limit := now.Add(maxLife); limit.Before(*maxAge) {
			a.cookie.Expires = limit
		}
	}
}

func sameSiteOf(value string) http.SameSite {
	switch strings.ToLower(value) {
	case "strict":
		return http.SameSiteStrictMode
	case "lax":
		return http.SameSiteLaxMode
	case "none":
		return http.SameSiteNoneMode
	}
	return http.SameSiteDefaultMode
}

func trim(s string) string { return strings.Trim(s, " \t") }

// complete fills in what depends on the URL that set the cookie, and refuses what
// that URL may not set.
func (a *attributes) complete(u *url.URL) error {
	c, host := &a.cookie, strings.ToLower(u.Hostname())
	switch {
	case c.Secure && !trustworthy(u):
		return errors.New("secure cookie from an insecure origin")
	case c.SameSite == http.SameSiteNoneMode && !c.Secure:
		return errors.New("SameSite=None without Secure")
	case !a.hasDomain:
		c.Domain, c.HostOnly = host, true
	case c.Domain == host && (net.ParseIP(host) != nil || !strings.Contains(host, ".")):
		c.HostOnly = true
	case !domainMatch(host, c.Domain) || !strings.Contains(c.Domain, "."):
		return fmt.Errorf("domain %q is not the host's", c.Domain)
	}
	if err := a.checkPrefix(); err != nil {
		return err
	}
	if !a.hasPath {
		c.Path = defaultPath(u.Path)
	}
	return nil
}

// checkPrefix returns an error if the attributes do not satisfy the prefix of the
// cookie's name, which is compared without regard to case.
func (a *attributes) checkPrefix() error {
	c := &a.cookie
	name := strings.ToLower(c.Name)
	if name == "" {
		name = strings.ToLower(c.Value) // a nameless cookie with such a value would look like one with a prefix
	}
	host := c.Secure && !a.hasDomain && a.hasPath && c.Path == "/"
	kept, named := true, c.Name != ""
	switch {
	case strings.HasPrefix(name, "__host-http-"):
		kept = named && host && c.HTTPOnly
	case strings.HasPrefix(name, "__host-"):
		kept = named && host
	case strings.HasPrefix(name, "__http-"):
		kept = named && c.Secure && c.HTTPOnly
	case strings.HasPrefix(name, "__secure-"):
		kept = named && c.Secure
	}
	if !kept {
		return errors.New("the attributes do not satisfy the prefix of the name")
	}
	return nil
}

func domainMatch(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain) && net.ParseIP(host) == nil
}

func pathMatch(path, cookiePath string) bool {
	if path == "" {
		path = "/"
	}
	return path == cookiePath || strings.HasPrefix(path, cookiePath) &&
		(strings.HasSuffix(cookiePath, "/") || path[len(cookiePath)] == '/')
}

func defaultPath(path string) string {
	i := strings.LastIndex(path, "/")
	if i <= 0 {
		return "/"
	}
	return path[:i]
}
