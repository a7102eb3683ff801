package session

import (
	"net/http"
	"strings"

	"github.com/gorilla/sessions"
)

const (
	// maxPart is the longest value of one cookie. Browsers ignore a cookie whose
	// name and value exceed 4,096 bytes (RFC 6265bis §5.6). It is a multiple of
	// four, so that each part is base64url by itself.
	maxPart = 3800
	// maxParts is the number of cookies that a session may be split into.
	maxParts = 2
	// Budget is the most bytes that all cookies of this service may take in a
	// request, names included. nginx accepts 8 KiB in one header line by default
	// (large_client_header_buffers).
	Budget = 7500
	// beganBytes is how many bytes of the budget a session leaves to the cookie that says
	// that a login began here, and which names up to four sessions.
	beganBytes = 400
	// acceptedBytes and acceptedCookies limit what a request may carry.
	acceptedBytes   = 12000
	acceptedCookies = 24
)

// Names are the names of the service's cookies. With the prefix __Host-Http- a
// browser accepts a cookie only from this host and not from a script, so that
// neither another subdomain nor injected code can plant one (Cookies: HTTP State
// Management Mechanism, draft-ietf-httpbis-layered-cookies).
type Names struct {
	// Session is the name of the session cookie. The second cookie of a large session
	// has ".1" appended.
	Session string
	// Active is the name of the activity cookie.
	Active string
	// Began is the name of the cookie that says what this browser began here lately.
	Began string
	// Login is the beginning of the name of a login cookie. The id of the login
	// follows.
	Login string

	second   string
	insecure bool
}

// NewNames derives the names from the configured name: "session" stands for
// itself, another name also begins those of the other cookies. insecurePlainHTTP
// leaves out the prefix, which needs https, and the attribute Secure.
func NewNames(name string, insecurePlainHTTP bool) Names {
	prefix, stem := prefix, ""
	if insecurePlainHTTP {
		prefix = ""
	}
	if name != "session" {
		stem = name + "-"
	}
	return Names{
		Session: prefix + name, Active: prefix + stem + "active", Began: prefix + stem + "began", Login: prefix + stem + "login-",
		second: prefix + name + ".1", insecure: insecurePlainHTTP,
	}
}

// NewLoopbackNames derives the names for a public URL of http://localhost or an address of
// this machine, with that port. WebKit keeps no Secure cookie there, and so none with the
// prefix. Cookies do not tell ports apart (RFC 6265 §8.5), so the port is a part of the
// names: two apps on one machine would end each other's sessions otherwise.
func NewLoopbackNames(name, port string) Names {
	stem := ""
	if name != "session" {
		stem = name + "-"
	}
	session := stem + "session-" + port
	return Names{
		Session: session, Active: stem + "active-" + port, Began: stem + "began-" + port, Login: stem + "login-" + port + "-",
		second: session + ".1", insecure: true,
	}
}

// Ours reports whether a cookie of this name belongs to this service.
func (n Names) Ours(name string) bool {
	return strings.HasPrefix(name, n.Session) && (len(name) == len(n.Session) || name[len(n.Session)] == '.') ||
		name == n.Active || name == n.Began || n.isLogin(name)
}

func (n Names) isLogin(name string) bool { return strings.HasPrefix(name, n.Login) }

// Carried returns the cookies of this service in a request's header, by name, with
// the bytes that each takes there: those of at most limit names. Values are not
// parsed. [http.Request.Cookies] would leave out those with characters that it does
// not accept, such as quotes, but browsers send them, and they count as well.
// Cookies that no answer could remove, because of their name, are left out.
func (n Names) Carried(h http.Header, limit int) map[string]int {
	sizes := make(map[string]int)
	each(h, func(name, value string) bool {
		if _, known := sizes[name]; known || len(sizes) < limit && n.Ours(name) && isCookieName(name) {
			sizes[name] += bytesOf(name, value)
		}
		return true
	})
	return sizes
}

// isCookieName reports whether an answer can set a cookie of this name.
func isCookieName(name string) bool {
	c := http.Cookie{Name: name} //nolint:gosec // it is not sent
	return c.Valid() == nil
}

// part is the name of the cookie that holds part i of a session.
func (n Names) part(i int) string {
	if i == 0 {
		return n.Session
	}
	return n.second
}

// each calls yield for every cookie in a request's header, until yield returns
// false. Values are as the browser sent them.
func each(h http.Header, yield func(name, value string) bool) {
	for _, line := range h["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			name, value, ok := strings.Cut(strings.TrimLeft(pair, " \t"), "=")
			if ok && !yield(name, value) {
				return
			}
		}
	}
}

// bytesOf is the size of a cookie in a request, separators included.
func bytesOf(name, value string) int { return len(name) + len(value) + len("=; ") }

// jar is what a request carries of a session: its cookies, still sealed.
type jar struct {
	parts  sealedParts
	there  [maxParts]bool
	active string

	activeThere bool
	// repeated: a name occurs twice. It cannot be told which of the two cookies is
	// from this service and which was planted.
	repeated bool
	// count and bytes are those of all cookies of this service, logins included.
	count, bytes int
}

// read reads the session's cookies from a request's header.
func (n Names) read(h http.Header) (j jar) {
	each(h, func(name, value string) bool {
		switch {
		case name == n.Session:
			j.setPart(0, value)
		case name == n.Active:
			j.repeated = j.repeated || j.activeThere
			j.active, j.activeThere = value, true
		case name == n.second:
			j.setPart(1, value)
		case !n.isLogin(name) && name != n.Began:
			return true
		}
		j.count++
		j.bytes += bytesOf(name, value)
		return true
	})
	return j
}

func (j *jar) setPart(i int, value string) {
	j.repeated = j.repeated || j.there[i]
	j.parts[i], j.there[i] = value, true
}

// session returns the n parts of the sealed session. The first character of the
// first cookie is their number; it is removed here. A surplus second cookie, left
// from an earlier and larger session, is ignored. Errors: [ErrCookiesTooLarge],
// errNone, [ErrUnreadable].
func (j *jar) session() (parts sealedParts, n int, err error) {
	switch {
	case j.bytes > acceptedBytes || j.count > acceptedCookies:
		return parts, 0, ErrCookiesTooLarge
	case !j.there[0]:
		return parts, 0, errNone
	case j.repeated || j.parts[0] == "" || j.parts[0][0] < '1' || j.parts[0][0] > '0'+maxParts:
		return parts, 0, ErrUnreadable
	}
	n = int(j.parts[0][0] - '0')
	parts[0] = j.parts[0][1:]
	for i := 1; i < n; i++ {
		if !j.there[i] {
			return parts, 0, ErrUnreadable
		}
		parts[i] = j.parts[i]
	}
	return parts, n, nil
}

// split splits a sealed session into the values of its cookies. Those of a session
// within the [Budget] are at most maxParts of at most maxPart characters.
func split(sealed string) []string {
	if len(sealed) <= maxPart {
		return []string{"1" + sealed}
	}
	return []string{"2" + sealed[:maxPart], sealed[maxPart:]}
}

// setCookie writes one cookie. No other function of the service writes cookies.
//
// gorilla's own sessions.NewCookie is not used, because it adds Expires, which
// browsers ignore beside Max-Age (RFC 6265 §5.3). Domain is left out, because the
// prefix __Host- forbids it. An answer that sets a cookie must not be stored by a
// cache, which would hand the cookie to somebody else (RFC 9111 §7.3).
func setCookie(w http.ResponseWriter, name, value string, o *sessions.Options) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure is off only with insecure_plain_http and on this machine
		Name: name, Value: value, Path: o.Path, MaxAge: o.MaxAge,
		Secure: o.Secure, HttpOnly: o.HttpOnly, Partitioned: o.Partitioned, SameSite: o.SameSite,
	})
	w.Header().Set("Cache-Control", "no-store")
}

// removeCookie removes one cookie from the browser. The attributes must be those
// that the cookie was set with: a browser keeps a cookie with a prefix if the
// attributes that the prefix demands are missing.
func removeCookie(w http.ResponseWriter, name string, o *sessions.Options) {
	removed := *o
	removed.MaxAge = -1
	setCookie(w, name, "", &removed)
}
