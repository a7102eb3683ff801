package useragent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// FetchOptions are the options of a script's fetch(), or of the request that an element
// makes. The zero value has the defaults of fetch().
type FetchOptions struct {
	Header      map[string]string
	Mode        string          // cors (default), no-cors, same-origin
	Credentials string          // same-origin (default), include, omit; the default of [UA.FetchFrom] is include
	Redirect    string          // follow (default), manual, error
	Dest        string          // empty (default), image, script, …
	Abort       <-chan struct{} // closing it aborts the request
}

// Fetch does what fetch() does in a script of the app. Path may be an absolute URL. If
// body is empty, the request has none. The default Content-Type is text/plain.
func (u *UA) Fetch(method, path, body string, opts ...FetchOptions) *Response {
	from := *u.base
	if current := u.current(); current.url != nil && origin(current.url) == origin(u.base) {
		from = *current.url
	}
	return u.fetch(&from, method, path, body, firstOption(opts))
}

// FetchFrom does what fetch() does in a script of a page on another origin, for example
// "https://evil.example". It sends cookies by default, as an attacker would.
func (u *UA) FetchFrom(from, method, target, body string, opts ...FetchOptions) *Response {
	o := firstOption(opts)
	if o.Credentials == "" {
		o.Credentials = include
	}
	initiator, err := u.resolve(from)
	if err != nil {
		return &Response{URL: target, Err: fmt.Errorf("resolving %q: %w", from, err)}
	}
	return u.fetch(initiator, method, target, body, o)
}

// firstOption returns the first of the optional options, or the defaults.
func firstOption(opts []FetchOptions) FetchOptions {
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
		mode: cmp.Or(o.Mode, "cors"), dest: cmp.Or(o.Dest, "empty"), redirect: cmp.Or(o.Redirect, "follow"),
		credentials: cmp.Or(o.Credentials, "same-origin"),
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

// simpleType reports whether a form could send the content type.
func simpleType(contentType string) bool {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	return slices.Contains([]string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}, trim(media))
}

func (r *request) needsPreflight(header map[string]string) bool {
	simple := r.method == http.MethodGet || r.method == http.MethodHead || r.method == http.MethodPost
	return !simple || !simpleType(r.header.Get("Content-Type")) || len(unsafeHeaders(header)) > 0
}

// unsafeHeaders returns the names of the headers that a preflight must list, sorted and
// in lower case.
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

// preflight sends a CORS preflight, without cookies. It returns nil if the actual
// request may be sent, and otherwise the blocked response.
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

// corsAllows reports whether CORS headers let the script's origin read a response.
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

// setReadable sets what a script can read of the response.
func (u *UA) setReadable(r *request, res *Response, target *url.URL) {
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

// exposedHeaders returns the names of the headers that CORS lets a script read, or nil
// for all.
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
