package useragent

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Navigation is a top-level navigation of the tab.
type Navigation struct {
	URL  string     // absolute, or a path of the app
	Form url.Values // not nil: a POST of this form
	// From is the origin or URL of the page that started it: a link, a form, a
	// script. Empty: typed by the user, a bookmark.
	From     string
	Script   bool              // started without a click: no Sec-Fetch-User
	NoFollow bool              // stop at the first redirect
	Header   map[string]string // further request headers, e.g. Sec-Purpose
}

// Navigate opens an address that the user typed, and follows redirects.
func (u *UA) Navigate(target string) *Response { return u.Open(Navigation{URL: target}) }

// NavigateNoFollow is [UA.Navigate] up to the first answer.
func (u *UA) NavigateNoFollow(target string) *Response {
	return u.Open(Navigation{URL: target, NoFollow: true})
}

// Click follows a link on the page that the tab shows; in an empty tab, on the
// app's start page.
func (u *UA) Click(target string) *Response { return u.Open(Navigation{URL: target, From: u.from()}) }

// NavigateFrom follows a link that stands on a page of another origin.
func (u *UA) NavigateFrom(from, target string) *Response {
	return u.Open(Navigation{URL: target, From: from})
}

// SubmitForm posts a form of the page that the tab shows; in an empty tab, of
// the app's start page.
func (u *UA) SubmitForm(action string, values url.Values) *Response {
	return u.SubmitFormFrom(u.from(), action, values)
}

// SubmitFormFrom posts a form that stands on a page of another origin.
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

// Open is the navigation that the others are short for. A network error is in
// the answer's Err.
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
	u.show(res)
	return res
}

// show makes the answer the tab's page, unless it is none: a redirect that was
// not followed, 204, a download.
func (u *UA) show(res *Response) {
	current, err := url.Parse(res.URL)
	download := strings.HasPrefix(strings.ToLower(res.Header.Get("Content-Disposition")), "attachment")
	if err != nil || res.Err != nil || download || res.Status == http.StatusNoContent || isRedirect(res) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.page = page{url: current, referrerPolicy: res.Header.Get("Referrer-Policy")}
}
