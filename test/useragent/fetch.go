package useragent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// FetchOptions are the options of a script's fetch, and of what an element
// loads. The zero value is fetch's default.
type FetchOptions struct {
	Header      map[string]string
	Mode        string          // cors (default), no-cors, same-origin
	Credentials string          // same-origin (default), include, omit; [UA.FetchFrom]: include
	Redirect    string          // follow (default), manual, error
	Dest        string          // empty (default), image, script, …
	Abort       <-chan struct{} // closed: the script gives up
}

// Fetch is fetch() in a script of the app. Path may be absolute. An empty body
// is none; a body without Content-Type goes as text/plain.
func (u *UA) Fetch(method, path, body string, opts ...FetchOptions) *Response {
	from := *u.base
	if current := u.current(); current.url != nil && origin(current.url) == origin(u.base) {
		from = *current.url
	}
	return u.fetch(&from, method, path, body, only(opts))
}

// FetchFrom is fetch() in a script of a page on another origin, e.g.
// "https://evil.example". It sends cookies unless told not to: a forger would.
func (u *UA) FetchFrom(from, method, target, body string, opts ...FetchOptions) *Response {
	o := only(opts)
	if o.Credentials == "" {
		o.Credentials = include
	}
	initiator, err := u.resolve(from)
	if err != nil {
		return &Response{URL: target, Err: fmt.Errorf("resolving %q: %w", from, err)}
	}
	return u.fetch(initiator, method, target, body, o)
}

func only(opts []FetchOptions) FetchOptions {
	if len(opts) == 0 {
		return FetchOptions{}
	}
	return opts[0]
}

func (u *UA) fetch(initiator *url.URL, method, path, body string, o FetchOptions) *Response {
	target, err := u.resolve(path)
	if err != nil {
		return &Response{URL: path, Err: fmt.Errorf("resolving %q: %w", path, err)}
	}
	r := &request{
		method: method, body: body, header: http.Header{}, initiator: initiator,
		mode: or(o.Mode, "cors"), dest: or(o.Dest, "empty"), redirect: or(o.Redirect, "follow"),
		credentials: or(o.Credentials, "same-origin"),
	}
	if r.mode == "no-cors" && o.Credentials == "" {
		r.credentials = include
	}
	r.header.Set("Accept", "*/*")
	if body != "" {
		r.header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	for name, value := range o.Header {
		r.header.Set(name, value)
	}
	if r.mode == "same-origin" && origin(target) != origin(initiator) {
		return &Response{URL: target.String(), Method: method, Err: errors.New("fetching: another origin in mode same-origin")}
	}
	ctx, cancel := context.WithCancel(u.tb.Context())
	defer cancel()
	if o.Abort != nil {
		go func() {
			select {
			case <-o.Abort:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	if origin(target) != origin(initiator) && r.mode == "cors" && r.needsPreflight(o.Header) {
		if refused := u.preflight(ctx, r, o.Header, target); refused != nil {
			return refused
		}
	}
	return u.run(ctx, r, target)
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// simpleTypes are the content types that a form could send.
func simpleType(contentType string) bool {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	return slices.Contains([]string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}, trim(media))
}

func (r *request) needsPreflight(header map[string]string) bool {
	simple := r.method == http.MethodGet || r.method == http.MethodHead || r.method == http.MethodPost
	return !simple || !simpleType(r.header.Get("Content-Type")) || len(unsafeHeaders(header)) > 0
}

// unsafeHeaders returns, sorted and in lower case, what a preflight must name.
func unsafeHeaders(header map[string]string) []string {
	var out []string
	for name, value := range header {
		name = strings.ToLower(name)
		switch name {
		case "accept", "accept-language", "content-language":
			continue
		case "content-type":
			if simpleType(value) {
				continue
			}
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// preflight asks as CORS does, without cookies, and returns a blocked answer if
// the real request must not be sent.
func (u *UA) preflight(ctx context.Context, r *request, header map[string]string, target *url.URL) *Response {
	names := unsafeHeaders(header)
	ask := &request{
		method: http.MethodOptions, header: http.Header{}, initiator: r.initiator,
		mode: "cors", dest: "empty", redirect: "manual", credentials: "omit",
	}
	ask.header.Set("Access-Control-Request-Method", r.method)
	if len(names) > 0 {
		ask.header.Set("Access-Control-Request-Headers", strings.Join(names, ","))
	}
	res := u.run(ctx, ask, target)
	listed := func(header, want string) bool {
		for item := range strings.SplitSeq(strings.Join(res.Header.Values(header), ","), ",") {
			if strings.EqualFold(trim(item), want) || trim(item) == "*" && r.credentials != include {
				return true
			}
		}
		return false
	}
	simple := r.method == http.MethodGet || r.method == http.MethodHead || r.method == http.MethodPost
	ok := res.Err == nil && res.Status >= 200 && res.Status < 300 && r.corsAllows(res.Header) &&
		(simple || listed("Access-Control-Allow-Methods", r.method))
	for _, name := range names {
		ok = ok && listed("Access-Control-Allow-Headers", name)
	}
	if ok {
		return nil
	}
	return &Response{
		URL: target.String(), Method: r.method, Header: http.Header{}, Sent: http.Header{}, Via: []*Response{res},
		Blocked: true, Err: errors.New("fetching: the preflight was refused"),
	}
}

// corsAllows checks an answer for the script's origin.
func (r *request) corsAllows(h http.Header) bool {
	asked := origin(r.initiator)
	if r.tainted {
		asked = "null"
	}
	allowed := h.Values("Access-Control-Allow-Origin")
	if len(allowed) != 1 {
		return false
	}
	if r.credentials == include {
		return allowed[0] == asked && h.Get("Access-Control-Allow-Credentials") == "true"
	}
	return allowed[0] == asked || allowed[0] == "*"
}

// judge decides what a script learns of the answer.
func (u *UA) judge(r *request, res *Response, target *url.URL) {
	ours := origin(target) == origin(u.base)
	if res.Err != nil && res.Status == 0 {
		return
	}
	if r.topLevel {
		res.readable = ours && !isRedirect(res)
		return
	}
	ourScript := origin(r.initiator) == origin(u.base)
	switch {
	case r.sameOrigin():
		res.readable = ourScript && !isRedirect(res)
	case r.mode != "cors":
		res.Blocked = true // opaque
	case !r.corsAllows(res.Header):
		res.Blocked = true
		res.Err = errors.New("fetching: CORS hides the answer")
	default:
		res.readable = ourScript && !isRedirect(res)
		res.exposed = exposedHeaders(res.Header, r.credentials == include)
	}
}

// exposedHeaders are those that CORS lets a script read.
func exposedHeaders(h http.Header, credentials bool) []string {
	out := []string{"Cache-Control", "Content-Language", "Content-Length", "Content-Type", "Expires", "Last-Modified", "Pragma"}
	for item := range strings.SplitSeq(strings.Join(h.Values("Access-Control-Expose-Headers"), ","), ",") {
		if trim(item) == "*" && !credentials {
			return nil
		}
		out = append(out, trim(item))
	}
	return out
}
