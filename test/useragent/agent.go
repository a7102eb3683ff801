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

// page is what the tab shows; zero for an empty tab.
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

// New opens a browser with an empty tab for an app at base, e.g.
// "http://localhost:1234". Paths in other calls are relative to it.
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

// SetClock lets cookies expire by this clock.
func (u *UA) SetClock(now func() time.Time) {
	u.browser.jar.mu.Lock()
	defer u.browser.jar.mu.Unlock()
	u.browser.jar.clock = now
}

// SetTransport replaces how requests leave, e.g. for TLS with a test's root or
// to lead names to loopback ports.
func (u *UA) SetTransport(rt http.RoundTripper) {
	u.browser.mu.Lock()
	defer u.browser.mu.Unlock()
	u.browser.transport = rt
}

// SetSite declares the site of a host or host:port: those with the same site
// are same-site. Undeclared, localhost and 127.0.0.1 are two sites, the ports of
// one host are one.
func (u *UA) SetSite(host, site string) {
	u.browser.mu.Lock()
	defer u.browser.mu.Unlock()
	u.browser.sites[strings.ToLower(host)] = site
}

// IgnoreRedirectChain sends Strict cookies although a redirect of the chain was
// on another site, if the page that started it was not. 6265bis counts the whole
// chain, which is the default here; Chrome has that switched off.
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

// History returns every answer so far, redirects included, of all tabs.
func (u *UA) History() []*Response {
	u.browser.mu.Lock()
	defer u.browser.mu.Unlock()
	return slices.Clone(u.browser.history)
}

// ForgetHistory drops the answers so far: a browser that is at work for long
// would hold them all.
func (u *UA) ForgetHistory() {
	u.browser.mu.Lock()
	defer u.browser.mu.Unlock()
	u.browser.history = nil
}

// Cookies returns the living cookies, longest path first, then oldest.
func (u *UA) Cookies() []Cookie { return u.browser.jar.all() }

// Cookie returns the first living cookie of that name.
func (u *UA) Cookie(name string) (Cookie, bool) {
	for _, c := range u.Cookies() {
		if c.Name == name {
			return c, true
		}
	}
	return Cookie{}, false
}

// Rejected returns the cookies that were dropped, oldest first.
func (u *UA) Rejected() []Rejection {
	u.browser.jar.mu.Lock()
	defer u.browser.jar.mu.Unlock()
	return slices.Clone(u.browser.jar.rejected)
}

// SetCookie puts a cookie into the jar with no rule checked, as a thief or a
// tampering user does. A cookie that is there keeps its attributes and gets the
// value; else an empty Domain is the app's host, an empty Path "/".
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

// DocumentCookie is a script's document.cookie = raw on the app's pages.
func (u *UA) DocumentCookie(raw string) {
	u.browser.jar.set(raw, setter{url: u.base, sameSite: true, script: true})
}

// DeleteCookie removes the cookies of that name and returns how many there were.
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

// resolve makes an absolute URL of a path of the app.
func (u *UA) resolve(target string) (*url.URL, error) { return u.base.Parse(target) }
