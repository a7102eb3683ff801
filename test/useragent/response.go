package useragent

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"cognito-token-handler/test/testkit"
)

// Response is a response as it was received.
type Response struct {
	URL    string // of the last request, after redirects
	Method string // of the last request
	Status int    // 0 if there was no response
	Header http.Header
	Body   []byte
	Sent   http.Header // header of the request, cookies included
	Via    []*Response // the redirects and the pages that navigated on before it, oldest first
	Err    error       // network error, or the reason why fetch() would throw a TypeError

	// Blocked is set if CORS hides the response from the script. If Status is not 0 the
	// request was nevertheless sent.
	Blocked bool

	readable bool     // for a script of the app's origin
	exposed  []string // names of the headers that the script can read; nil for all
}

// Location returns the redirect target as an absolute URL, "" without one.
func (r *Response) Location() string {
	location := r.Header.Get("Location")
	if location == "" {
		return ""
	}
	base, err := url.Parse(r.URL)
	if err != nil {
		return location
	}
	target, err := base.Parse(location)
	if err != nil {
		return location
	}
	return target.String()
}

// Query returns the query parameters of URL.
func (r *Response) Query() url.Values {
	u, err := url.Parse(r.URL)
	if err != nil {
		return url.Values{}
	}
	return u.Query()
}

// SentCookie reports whether the request had a cookie with that name.
func (r *Response) SentCookie(name string) bool {
	for part := range strings.SplitSeq(r.Sent.Get("Cookie"), "; ") {
		if got, _, _ := strings.Cut(part, "="); got == name {
			return true
		}
	}
	return false
}

// Answer returns the response for the assertions of package testkit.
func (r *Response) Answer() testkit.Answer {
	return testkit.Answer{Status: r.Status, Header: r.Header, Body: r.Body}
}

// JSON decodes the body.
func (r *Response) JSON(into any) error { return json.Unmarshal(r.Body, into) }

// Visible is something that a script of the app's origin could have read.
type Visible struct {
	Where string
	Text  string
}

// ScriptVisible returns everything that a script of the app's origin could have read so
// far, in every tab: document.cookie, and the bodies, addresses and headers (except
// Set-Cookie) of its pages and of the responses that CORS lets it read.
func (u *UA) ScriptVisible() []Visible {
	var out []Visible
	for _, r := range u.History() {
		if !r.readable {
			continue
		}
		name := r.Method + " " + r.URL
		if len(r.Body) > 0 {
			out = append(out, Visible{"body of " + name, string(r.Body)})
		}
		out = append(out, Visible{"address of " + name, r.URL})
		for header, values := range r.Header {
			if header != "Set-Cookie" && r.exposes(header) {
				out = append(out, Visible{header + " of " + name, strings.Join(values, "\n")})
			}
		}
	}
	for _, c := range u.Cookies() {
		if !c.HTTPOnly {
			out = append(out, Visible{"document.cookie", c.Name + "=" + c.Value})
		}
	}
	return out
}

// ScriptVisibleText is [UA.ScriptVisible] as one text.
func (u *UA) ScriptVisibleText() string {
	var b strings.Builder
	for _, v := range u.ScriptVisible() {
		b.WriteString(v.Where + ": " + v.Text + "\n")
	}
	return b.String()
}

func (r *Response) exposes(header string) bool {
	if r.exposed == nil {
		return true
	}
	for _, name := range r.exposed {
		if strings.EqualFold(name, header) {
			return true
		}
	}
	return false
}
