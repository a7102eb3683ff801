package useragent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The limits of a browser for redirects, and of what a test reads of a body.
const (
	maxRedirects = 20
	maxBody      = 64 << 20
)

// include is fetch's credentials mode that sends cookies to every origin.
const include = "include"

// request is one request with all its redirects.
type request struct {
	method      string
	body        string
	header      http.Header
	initiator   *url.URL // nil if the user started it
	mode, dest  string
	credentials string // omit, same-origin, include
	redirect    string // follow, manual, error
	topLevel    bool
	user        bool

	referrerPolicy string
	chain          []*url.URL
	tainted        bool // after a redirect between two other origins: Origin is null
}

// run sends the request and follows its redirects.
func (u *UA) run(ctx context.Context, r *request, target *url.URL) *Response {
	var via []*Response
	for {
		r.chain = append(r.chain, target)
		res := u.exchange(ctx, r, target)
		res.Via = via
		u.setReadable(r, res, target)
		u.browser.remember(res)
		if res.Err != nil || !isRedirect(res) || r.redirect == "manual" {
			return res
		}
		next, err := target.Parse(res.Header.Get("Location"))
		switch {
		case err != nil:
			res.Err = fmt.Errorf("following the redirect: %w", err)
		case r.redirect == "error":
			res.Err = errors.New("following the redirect: the fetch forbade it")
		case len(via) >= maxRedirects:
			res.Err = fmt.Errorf("following the redirect: more than %d", maxRedirects)
		case next.Scheme != "http" && next.Scheme != "https":
			res.Err = fmt.Errorf("following the redirect: scheme %q", next.Scheme)
		}
		if res.Err != nil {
			return res
		}
		r.redirectTo(res.Status, target, next)
		via = append(slices.Clip(via), res)
		target = next
	}
}

func isRedirect(res *Response) bool {
	switch res.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return res.Header.Get("Location") != ""
	}
	return false
}

// redirectTo changes method, body and headers as the Fetch standard requires.
func (r *request) redirectTo(status int, from, to *url.URL) {
	moved := status == http.StatusMovedPermanently || status == http.StatusFound
	if moved && r.method == http.MethodPost ||
		status == http.StatusSeeOther && r.method != http.MethodGet && r.method != http.MethodHead {
		r.method, r.body = http.MethodGet, ""
		r.header.Del("Content-Type")
	}
	if origin(from) != origin(to) {
		r.header.Del("Authorization")
		r.tainted = r.tainted || r.initiator != nil && origin(from) != origin(r.initiator)
	}
}

// exchange sends one request, reads the response and stores its cookies.
func (u *UA) exchange(ctx context.Context, r *request, target *url.URL) *Response {
	res := &Response{URL: target.String(), Method: r.method, Header: http.Header{}}
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), body)
	if err != nil {
		res.Err = fmt.Errorf("making the request: %w", err)
		return res
	}
	req.Header = r.headers(u.browser, target)
	credentials := r.credentials == include || r.credentials == "same-origin" && r.sameOrigin()
	sameSite := u.browser.sameSite(r.initiator, r.chain)
	if credentials {
		by := cookieRequest{url: target, method: r.method, sameSite: sameSite, topLevel: r.topLevel}
		if cookies := u.browser.jar.header(by); cookies != "" {
			req.Header.Set("Cookie", cookies)
		}
	}
	res.Sent = req.Header.Clone()
	got, err := u.browser.roundTripper().RoundTrip(req)
	if err != nil {
		res.Err = fmt.Errorf("sending the request: %w", err)
		return res
	}
	defer func() { _ = got.Body.Close() }()
	res.Status, res.Header = got.StatusCode, got.Header
	if credentials {
		for _, raw := range got.Header.Values("Set-Cookie") {
			u.browser.jar.set(raw, cookieSetter{url: target, sameSite: sameSite || r.topLevel})
		}
		u.clearSiteData(got.Header, target)
	}
	if res.Body, err = io.ReadAll(io.LimitReader(got.Body, maxBody)); err != nil {
		res.Err = fmt.Errorf("reading the answer: %w", err)
	}
	return res
}

// headers returns the headers that Chrome sends, except cookies.
func (r *request) headers(b *browser, target *url.URL) http.Header {
	h := r.header.Clone()
	h.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
	h.Set("Accept-Language", "en-US,en;q=0.9")
	if trustworthy(target) {
		h.Set("Sec-Fetch-Site", b.fetchSite(r.initiator, r.chain))
		h.Set("Sec-Fetch-Mode", r.mode)
		h.Set("Sec-Fetch-Dest", r.dest)
		if r.user {
			h.Set("Sec-Fetch-User", "?1")
		}
	}
	if value := r.origin(target); value != "" {
		h.Set("Origin", value)
	}
	if value := r.referrer(target); value != "" {
		h.Set("Referer", value)
	}
	return h
}

// origin returns the Origin header, or "" if the request has none. Requests with methods
// other than GET and HEAD have one, and cross-origin requests in mode cors.
func (r *request) origin(target *url.URL) string {
	cors := r.mode == "cors" && !r.sameOrigin()
	if r.initiator == nil || !cors && (r.method == http.MethodGet || r.method == http.MethodHead) {
		if r.initiator == nil && r.method == http.MethodPost {
			return "null"
		}
		return ""
	}
	foreign := origin(target) != origin(r.initiator)
	hidden := r.referrerPolicy == "no-referrer" || r.referrerPolicy == "same-origin" && foreign
	if r.tainted || hidden && r.mode != "cors" {
		return "null"
	}
	return origin(r.initiator)
}

// referrer returns the Referer header under the default policy
// (strict-origin-when-cross-origin), no-referrer or same-origin.
func (r *request) referrer(target *url.URL) string {
	if r.initiator == nil || r.referrerPolicy == "no-referrer" || trustworthy(r.initiator) && !trustworthy(target) {
		return ""
	}
	if origin(target) == origin(r.initiator) {
		full := *r.initiator
		full.Fragment, full.User = "", nil
		if full.Path == "" {
			full.Path = "/"
		}
		return full.String()
	}
	if r.referrerPolicy == "same-origin" {
		return ""
	}
	return origin(r.initiator) + "/"
}

// sameOrigin reports whether all URLs of the redirect chain have the initiator's
// origin.
func (r *request) sameOrigin() bool {
	if r.initiator == nil {
		return false
	}
	for _, u := range r.chain {
		if origin(u) != origin(r.initiator) {
			return false
		}
	}
	return true
}

// clearSiteData removes the site's cookies if the response has the header
// Clear-Site-Data for them.
func (u *UA) clearSiteData(h http.Header, target *url.URL) {
	value := strings.Join(h.Values("Clear-Site-Data"), ",")
	if !trustworthy(target) || !strings.Contains(value, `"cookies"`) && !strings.Contains(value, `"*"`) {
		return
	}
	site := u.browser.site(target)
	u.browser.jar.remove(func(c Cookie) bool {
		return u.browser.site(&url.URL{Scheme: target.Scheme, Host: c.Domain}) == site
	})
}

func (b *browser) roundTripper() http.RoundTripper {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.transport
}

func (b *browser) remember(res *Response) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.history = append(b.history, res)
}
