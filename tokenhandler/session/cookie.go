package session

import (
	"net/http"
	"strings"
	"time"
)

const (
	// maxPart is the longest value of one cookie. A browser ignores a cookie
	// whose name and value exceed 4,096 bytes (FACTS CK-01). It is a multiple of
	// four, so that each part is base64url of its own.
	maxPart = 3800
	// maxParts is how many cookies a session may be split into.
	maxParts = 2
	// Budget bounds all our cookies together, names included: it is under the 8
	// KiB that nginx gives one header line (FACTS CK-20).
	Budget = 7500
	// acceptedBytes and acceptedCookies bound what is looked at in a request.
	acceptedBytes   = 12000
	acceptedCookies = 24
)

// Cookies knows the names and attributes of our cookies, and is the only place
// that writes them (RFC 6265bis; FACTS BFF-03…08, CK-08).
type Cookies struct {
	session, active, login string
	secure                 bool
}

// NewCookies names the cookies after name, the configured part that follows
// the prefix. insecurePlainHTTP drops the prefix and Secure.
func NewCookies(name string, insecurePlainHTTP bool) Cookies {
	prefix, stem := "__Host-Http-", ""
	if insecurePlainHTTP {
		prefix = ""
	}
	if name != "session" {
		stem = name + "-"
	}
	return Cookies{
		session: prefix + name,
		active:  prefix + stem + "active",
		login:   prefix + stem + "login-",
		secure:  !insecurePlainHTTP,
	}
}

// Session is the full name of the session cookie; a second part has ".1" behind.
func (c Cookies) Session() string { return c.session }

// Active is the full name of the activity cookie.
func (c Cookies) Active() string { return c.active }

// Login is the full name of the cookie of the login called id.
func (c Cookies) Login(id string) string { return c.login + id }

func (c Cookies) part(i int) string {
	if i == 0 {
		return c.session
	}
	return c.session + ".1"
}

// Set adds one of our cookies to an answer. Every answer that sets a cookie
// must not be stored by any cache (FACTS CK-21; peers' CVE-2025-48947).
func (c Cookies) Set(h http.Header, name, value string, sameSite http.SameSite, maxAge time.Duration) {
	cookie := http.Cookie{ //nolint:gosec // every attribute is set, Secure but for insecure_plain_http
		Name: name, Value: value, Path: "/", Secure: c.secure, HttpOnly: true,
		SameSite: sameSite, MaxAge: int(maxAge / time.Second),
	}
	h.Add("Set-Cookie", cookie.String())
	h.Set("Cache-Control", "no-store")
}

// Expire removes one of our cookies from the browser. The attributes are those
// it was set with, or a prefixed cookie would stay (FACTS CK-11).
func (c Cookies) Expire(h http.Header, name string) {
	sameSite := http.SameSiteStrictMode
	if strings.HasPrefix(name, c.login) {
		sameSite = http.SameSiteLaxMode
	}
	c.Set(h, name, "", sameSite, -time.Second)
}

// Jar is what a request carries of our cookies.
type Jar struct {
	parts  [maxParts]string // the session's parts
	seen   [maxParts]bool
	active string
	// Logins are the logins under way: id → value.
	Logins map[string]string
	// Bytes is the size of all of them, names and separators included.
	Bytes int

	count     int
	activeSet bool
	// doubled: a name came twice. Which of the two is ours cannot be told
	// (cookie tossing, FACTS CK-12).
	doubled bool
}

// Read finds our cookies in the raw header, without looking into others. The
// error is [ErrCookiesTooLarge]; the jar then still names what to expire.
func (c Cookies) Read(h http.Header) (Jar, error) {
	var jar Jar
	for _, line := range h["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			name, value, ok := strings.Cut(strings.TrimLeft(pair, " \t"), "=")
			if ok {
				c.add(&jar, name, value)
			}
		}
	}
	if jar.Bytes > acceptedBytes || jar.count > acceptedCookies {
		return jar, ErrCookiesTooLarge
	}
	return jar, nil
}

func (c Cookies) add(jar *Jar, name, value string) {
	switch {
	case name == c.session:
		jar.setPart(0, value)
	case name == c.active:
		jar.doubled = jar.doubled || jar.activeSet
		jar.active, jar.activeSet = value, true
	case len(name) == len(c.session)+2 && name == c.part(1):
		jar.setPart(1, value)
	case strings.HasPrefix(name, c.login):
		// Bounded here already: a map is built from what a stranger sent.
		if jar.Logins == nil {
			jar.Logins = make(map[string]string)
		}
		if len(jar.Logins) < acceptedCookies {
			jar.Logins[name[len(c.login):]] = value
		}
	default:
		return
	}
	jar.count++
	jar.Bytes += len(name) + len(value) + len("=; ")
}

func (j *Jar) setPart(i int, value string) {
	j.doubled = j.doubled || j.seen[i]
	j.parts[i], j.seen[i] = value, true
}

// HasSession reports whether a session cookie is there, readable or not.
func (j *Jar) HasSession() bool { return j.seen[0] }

// sessionParts returns the n parts that the first one says belong together; its
// first character, taken off here, is their number. A surplus part of an
// earlier, larger session is not looked at.
func (j *Jar) sessionParts() (parts [maxParts]string, n int, err error) {
	if !j.seen[0] {
		return parts, 0, ErrNone
	}
	parts = j.parts
	if j.doubled || parts[0] == "" || parts[0][0] < '1' || parts[0][0] > '0'+maxParts {
		return parts, 0, ErrUnreadable
	}
	n = int(parts[0][0] - '0')
	parts[0] = parts[0][1:]
	for i := 1; i < n; i++ {
		if !j.seen[i] {
			return parts, 0, ErrUnreadable
		}
	}
	return parts, n, nil
}

// split cuts a sealed session into the values of its cookies.
func split(sealed string) ([]string, bool) {
	if len(sealed) <= maxPart {
		return []string{"1" + sealed}, true
	}
	if len(sealed) > maxPart*maxParts {
		return nil, false
	}
	return []string{"2" + sealed[:maxPart], sealed[maxPart:]}, true
}

// setSession writes a session's cookies and expires a part it does not need.
func (c Cookies) setSession(h http.Header, jar *Jar, values []string) {
	for i := range maxParts {
		switch {
		case i < len(values):
			c.Set(h, c.part(i), values[i], http.SameSiteStrictMode, 0)
		case jar.seen[i]:
			c.Expire(h, c.part(i))
		}
	}
}

// ExpireSession removes the session and the activity from the browser: what
// the request carried, and what every session has.
func (c Cookies) ExpireSession(h http.Header, jar *Jar) {
	c.Expire(h, c.session)
	if jar.seen[1] {
		c.Expire(h, c.part(1))
	}
	c.Expire(h, c.active)
}

// Ours reports whether a cookie of this name is one of ours, so that it is not
// passed on to anybody.
func (c Cookies) Ours(name string) bool {
	return strings.HasPrefix(name, c.session) && (len(name) == len(c.session) || name[len(c.session)] == '.') ||
		name == c.active || strings.HasPrefix(name, c.login)
}
