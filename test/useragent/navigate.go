package useragent

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Navigation is a top-level navigation of the tab.
type Navigation struct {
	URL  string     // absolute, or a path of the app
	Form url.Values // if not nil, a form that is sent with POST
	// From is the origin or URL of the page whose link, form or script started the
	// navigation. It is empty if the user typed the address or used a bookmark.
	From     string
	Script   bool              // started by a script without a click, so without Sec-Fetch-User
	NoFollow bool              // stop at the first redirect, or at a page that navigates on
	Header   map[string]string // further request headers, e.g. Sec-Purpose

	refreshes int // pages before it that navigated on by themselves
}

// Navigate opens an address that the user typed, and follows redirects and pages that
// navigate on at once.
func (u *UA) Navigate(target string) *Response { return u.Open(Navigation{URL: target}) }

// NavigateNoFollow is like [UA.Navigate] but does not follow redirects.
func (u *UA) NavigateNoFollow(target string) *Response {
	return u.Open(Navigation{URL: target, NoFollow: true})
}

// Click follows a link on the tab's page, or on the app's start page if the tab is
// empty.
func (u *UA) Click(target string) *Response { return u.Open(Navigation{URL: target, From: u.from()}) }

// NavigateFrom follows a link on a page of another origin.
func (u *UA) NavigateFrom(from, target string) *Response {
	return u.Open(Navigation{URL: target, From: from})
}

// SubmitForm sends a form of the tab's page, or of the app's start page if the tab is
// empty, with POST.
func (u *UA) SubmitForm(action string, values url.Values) *Response {
	return u.SubmitFormFrom(u.from(), action, values)
}

// SubmitFormFrom sends a form of a page of another origin with POST.
func (u *UA) SubmitFormFrom(from, action string, values url.Values) *Response {
	if values == nil {
		values = url.Values{}
	}
	return u.Open(Navigation{URL: action, From: from, Form: values})
}

func (u *UA) from() string {
	if current := u.URL(); current != "" {
		return current
	}
	return u.base.String()
}

// Open makes a navigation; Navigate, Click and the others call it. A network error is
// in the response's Err.
func (u *UA) Open(n Navigation) *Response {
	target, err := u.resolve(n.URL)
	if err != nil {
		return &Response{URL: n.URL, Err: fmt.Errorf("resolving %q: %w", n.URL, err)}
	}
	r := &request{
		method: http.MethodGet, header: http.Header{}, mode: "navigate", dest: "document",
		credentials: include, topLevel: true, user: !n.Script, redirect: "follow",
	}
	if n.NoFollow {
		r.redirect = "manual"
	}
	if n.From != "" {
		if r.initiator, err = u.resolve(n.From); err != nil {
			return &Response{URL: n.URL, Err: fmt.Errorf("resolving %q: %w", n.From, err)}
		}
		if current := u.current(); current.url != nil && origin(current.url) == origin(r.initiator) {
			r.referrerPolicy = current.referrerPolicy
		}
	}
	r.header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8")
	r.header.Set("Upgrade-Insecure-Requests", "1")
	if n.Form != nil {
		r.method, r.body = http.MethodPost, n.Form.Encode()
		r.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range n.Header {
		r.header.Set(name, value)
	}
	res := u.run(u.tb.Context(), r, target)
	u.setPage(res)
	if next := refreshOf(res); next != "" && !n.NoFollow && n.refreshes < maxRefreshes {
		last := u.Open(Navigation{URL: next, From: res.URL, Script: true, refreshes: n.refreshes + 1})
		last.Via = slices.Concat(res.Via, []*Response{res}, last.Via)
		return last
	}
	return res
}

// maxRefreshes is how many pages may navigate on by themselves one after the other.
const maxRefreshes = 10

// refresh matches the only form of such a page that the tests need.
var refresh = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]*)">`)

// refreshOf returns the absolute URL to which a page navigates at once, or "".
func refreshOf(res *Response) string {
	found := refresh.FindSubmatch(res.Body)
	base, err := url.Parse(res.URL)
	if found == nil || err != nil || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		return ""
	}
	next, err := base.Parse(html.UnescapeString(string(found[1])))
	if err != nil {
		return ""
	}
	return next.String()
}

// setPage makes the response the tab's page, unless a browser would stay on the old
// page: after an error, a redirect that was not followed, a 204 or a download.
func (u *UA) setPage(res *Response) {
	current, err := url.Parse(res.URL)
	download := strings.HasPrefix(strings.ToLower(res.Header.Get("Content-Disposition")), "attachment")
	if err != nil || res.Err != nil || download || res.Status == http.StatusNoContent || isRedirect(res) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.page = page{url: current, referrerPolicy: res.Header.Get("Referrer-Policy")}
}
