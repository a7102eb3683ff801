package useragent

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// UA is a tab of a browser. Tabs of one browser share the cookies and the
// history. All methods are safe for concurrent use.
type UA struct {
	tb      testing.TB
	base    *url.URL
	browser *browser

	mu   sync.Mutex
	page page
}

// page is the page that a tab shows. The zero page is that of an empty tab.
type page struct {
	url            *url.URL
	referrerPolicy string
}

type browser struct {
	jar *jar

	mu          sync.Mutex
	transport   http.RoundTripper
	sites       map[string]string // host or host:port → declared site
	ignoreChain bool
	history     []*Response
}

// New opens a browser with an empty tab. base is the app's address, for example
// "http://localhost:1234". Paths in the calls of other methods are relative to it.
func New(tb testing.TB, base string) *UA {
	tb.Helper()
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		tb.Fatalf("useragent: base %q is not an absolute URL", base)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	tb.Cleanup(transport.CloseIdleConnections)
	return &UA{tb: tb, base: u, browser: &browser{jar: newJar(), transport: transport, sites: map[string]string{}}}
}

// Tab opens another, empty tab of the same browser.
func (u *UA) Tab() *UA { return &UA{tb: u.tb, base: u.base, browser: u.browser} }

// Clone opens another tab that shows the same page.
func (u *UA) Clone() *UA {
	tab := u.Tab()
	tab.page = u.current()
	return tab
}

// SetClock sets the clock by which cookies expire.
func (u *UA) SetClock(now func() time.Time) {
	u.browser.jar.mu.Lock()
	defer u.browser.jar.mu.Unlock()
	u.browser.jar.clock = now
}

// SetTransport replaces the transport that sends the requests, for example to trust a
// test's certificate authority or to connect host names to loopback ports.
func (u *UA) SetTransport(rt http.RoundTripper) {
	u.browser.mu.Lock()
	defer u.browser.mu.Unlock()
	u.browser.transport = rt
}

// SetSite sets the site of a host or host:port. Hosts with the same site are same-site.
// By default localhost and 127.0.0.1 are different sites, and all ports of a host are
// the same site.
func (u *UA) SetSite(host, site string) {
	u.browser.mu.Lock()
	defer u.browser.mu.Unlock()
	u.browser.sites[strings.ToLower(host)] = site
}

// IgnoreRedirectChain sets whether redirects through another site are ignored when
// SameSite=Strict cookies are sent. By default they are not, as in RFC 6265bis. Chrome
// ignores them: it considers only the page that started the request.
func (u *UA) IgnoreRedirectChain(ignore bool) {
	u.browser.mu.Lock()
	defer u.browser.mu.Unlock()
	u.browser.ignoreChain = ignore
}

// URL returns the address of the page that the tab shows, "" for an empty tab.
func (u *UA) URL() string {
	p := u.current()
	if p.url == nil {
		return ""
	}
	return p.url.String()
}

// History returns all responses to all tabs so far, including redirects.
func (u *UA) History() []*Response {
	u.browser.mu.Lock()
	defer u.browser.mu.Unlock()
	return slices.Clone(u.browser.history)
}

// ForgetHistory drops the recorded responses, so that a browser in a long test does not
// keep them all.
func (u *UA) ForgetHistory() {
	u.browser.mu.Lock()
	defer u.browser.mu.Unlock()
	u.browser.history = nil
}

// Cookies returns the cookies that have not expired: those with a longer path first,
// then older ones.
func (u *UA) Cookies() []Cookie { return u.browser.jar.all() }

// Cookie returns the first cookie with that name that has not expired.
func (u *UA) Cookie(name string) (Cookie, bool) {
	for _, c := range u.Cookies() {
		if c.Name == name {
			return c, true
		}
	}
	return Cookie{}, false
}

// Rejected returns the cookies that the browser did not accept, oldest first.
func (u *UA) Rejected() []Rejection {
	u.browser.jar.mu.Lock()
	defer u.browser.jar.mu.Unlock()
	return slices.Clone(u.browser.jar.rejected)
}

// SetCookie puts a cookie into the jar without any check, as an attacker or the user
// may do. If a cookie with that name exists and c has no Domain and Path, only its value
// is replaced. Otherwise an empty Domain means the app's host, and an empty Path "/".
func (u *UA) SetCookie(c Cookie) {
	if old, ok := u.Cookie(c.Name); ok && c.Domain == "" && c.Path == "" {
		old.Value = c.Value
		c = old
	}
	if c.Domain == "" {
		c.Domain, c.HostOnly = u.base.Hostname(), true
	}
	if c.Path == "" {
		c.Path = "/"
	}
	u.browser.jar.plant(c)
}

// DocumentCookie does what document.cookie = raw does in a script of the app.
func (u *UA) DocumentCookie(raw string) {
	u.browser.jar.set(raw, cookieSetter{url: u.base, sameSite: true, script: true})
}

// DeleteCookie removes the cookies with that name and returns their number.
func (u *UA) DeleteCookie(name string) int {
	return u.browser.jar.remove(func(c Cookie) bool { return c.Name == name })
}

// ClearCookies empties the jar.
func (u *UA) ClearCookies() { u.browser.jar.remove(func(Cookie) bool { return true }) }

func (u *UA) current() page {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.page
}

// resolve returns the absolute URL of a path of the app.
func (u *UA) resolve(target string) (*url.URL, error) { return u.base.Parse(target) }
