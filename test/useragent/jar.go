package useragent

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Rejection is a cookie that the jar did not accept. A browser drops it silently.
type Rejection struct {
	URL    string
	Name   string
	Size   int // of name and value
	Reason string
}

type cookieKey struct {
	name, domain, path string
	hostOnly           bool
}

type jar struct {
	mu       sync.Mutex
	clock    func() time.Time
	cookies  map[cookieKey]Cookie
	rejected []Rejection
	order    int
}

func newJar() *jar { return &jar{clock: time.Now, cookies: map[cookieKey]Cookie{}} }

// cookieSetter describes the response or the script that sets a cookie.
type cookieSetter struct {
	url      *url.URL
	sameSite bool // true also for a top-level navigation, which may set cookies with any SameSite
	script   bool // document.cookie
}

func (j *jar) set(raw string, by cookieSetter) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clock()
	a, err := parseSetCookie(raw, now)
	if err == nil {
		err = a.complete(by.url)
	}
	if err == nil {
		err = j.allowed(&a.cookie, by)
	}
	if err != nil {
		name, _, _ := strings.Cut(raw, "=")
		j.rejected = append(j.rejected, Rejection{
			URL: by.url.Redacted(), Name: trim(name), Size: len(a.cookie.Name) + len(a.cookie.Value), Reason: err.Error(),
		})
		return
	}
	j.store(a.cookie, now)
}

// allowed makes the checks that depend on who sets the cookie and on other cookies.
func (j *jar) allowed(c *Cookie, by cookieSetter) error {
	strict := c.SameSite == http.SameSiteStrictMode || c.SameSite == http.SameSiteLaxMode || c.SameSite == http.SameSiteDefaultMode
	if strict && !by.sameSite {
		return errors.New("SameSite cookie in a cross-site answer")
	}
	name := strings.ToLower(c.Name)
	if by.script && (c.HTTPOnly || strings.HasPrefix(name, "__http-") || strings.HasPrefix(name, "__host-http-")) {
		return errors.New("HttpOnly cookie from a script")
	}
	for _, old := range j.cookies {
		if old.Name != c.Name {
			continue
		}
		if by.script && old.HTTPOnly && old.key() == c.key() {
			return errors.New("a script may not overwrite an HttpOnly cookie")
		}
		related := domainMatch(old.Domain, c.Domain) || domainMatch(c.Domain, old.Domain)
		if old.Secure && !trustworthy(by.url) && related && pathMatch(c.Path, old.Path) {
			return errors.New("an insecure origin may not shadow a Secure cookie")
		}
	}
	return nil
}

// store adds or replaces a cookie, or deletes it if it has expired. The caller holds
// j.mu.
func (j *jar) store(c Cookie, now time.Time) {
	key := c.key()
	if !c.Expires.IsZero() && !c.Expires.After(now) {
		delete(j.cookies, key)
		return
	}
	if old, ok := j.cookies[key]; ok {
		c.Created, c.order = old.Created, old.order
	} else {
		j.order++
		c.order = j.order
	}
	j.cookies[key] = c
}

func (c *Cookie) key() cookieKey {
	return cookieKey{name: c.Name, domain: c.Domain, path: c.Path, hostOnly: c.HostOnly}
}

func (c *Cookie) live(now time.Time) bool { return c.Expires.IsZero() || c.Expires.After(now) }

// all returns the cookies that have not expired, in the order of the Cookie header:
// those with longer paths first, then older ones.
func (j *jar) all() []Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clock()
	out := make([]Cookie, 0, len(j.cookies))
	for _, c := range j.cookies {
		if c.live(now) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b Cookie) int {
		return cmp.Or(cmp.Compare(len(b.Path), len(a.Path)), cmp.Compare(a.order, b.order))
	})
	return out
}

// cookieRequest describes a request that cookies may be sent with.
type cookieRequest struct {
	url      *url.URL
	method   string
	sameSite bool
	topLevel bool
}

// header returns the Cookie header of a request, or "" if it has none.
func (j *jar) header(by cookieRequest) string {
	host := strings.ToLower(by.url.Hostname())
	j.mu.Lock()
	now := j.clock()
	j.mu.Unlock()
	var pairs []string
	for _, c := range j.all() {
		inScope := c.Domain == host || !c.HostOnly && domainMatch(host, c.Domain)
		if !inScope || !pathMatch(by.url.Path, c.Path) || c.Secure && !trustworthy(by.url) || !c.matchesSameSite(by, now) {
			continue
		}
		if c.Name == "" {
			pairs = append(pairs, c.Value)
			continue
		}
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// laxAllowingUnsafe is how long a cookie without SameSite is sent with a cross-site
// top-level POST ("Lax-Allowing-Unsafe" of RFC 6265bis).
const laxAllowingUnsafe = 2 * time.Minute

func (c *Cookie) matchesSameSite(by cookieRequest, now time.Time) bool {
	if by.sameSite || c.SameSite == http.SameSiteNoneMode {
		return true
	}
	safe := by.method == http.MethodGet || by.method == http.MethodHead
	switch c.SameSite {
	case http.SameSiteLaxMode:
		return by.topLevel && safe
	case http.SameSiteDefaultMode:
		return by.topLevel && (safe || now.Sub(c.Created) < laxAllowingUnsafe)
	case http.SameSiteStrictMode, http.SameSiteNoneMode:
	}
	return false
}

// plant puts a cookie into the jar without any check.
func (j *jar) plant(c Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clock()
	if c.Created.IsZero() {
		c.Created = now
	}
	j.store(c, now)
}

// remove deletes the cookies that match and returns their number.
func (j *jar) remove(match func(Cookie) bool) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	before := len(j.cookies)
	for key, c := range j.cookies {
		if match(c) {
			delete(j.cookies, key)
		}
	}
	return before - len(j.cookies)
}
