package oauthproxy_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"cognito-token-handler/oauthproxy"
)

// No spelling of a path may reach an upstream as another path. web.CheckPath has the
// tests of the rules; this one tests that they are applied.
func TestPathsRefused(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	for _, target := range []string{
		"/api/../x", "/api/./x", "/api//x", "//api/x", "/api/..;/x", "/api/;/x", `/api/..\x`, "/api/%2e%2e/x", "/api%2fx", "/api/x%5cy",
		"/api/x%5Cy", "/api/%252e%252e/x", "/api/%00", "/api/x%0ay", "/api/%c0%ae%c0%ae/x", "/api/x#y", "/api/x?y#z", "*",
		"http://evil.example/api/x", "http://app.example.com/api/x", "http:/api/x",
		"/%61pi/x", "/a%70%69/x", "/api/%2e", "/api/x\xff",
	} {
		t.Run(target, func(t *testing.T) {
			got := p.raw(t, "GET "+target+" HTTP/1.1")
			wantProblem(t, got, http.StatusBadRequest, "invalid_request")
			if len(got.Header.Values("Set-Cookie")) != 0 {
				t.Error("a cookie was set")
			}
		})
	}
	wantProblem(t, p.raw(t, "CONNECT evil.example:443 HTTP/1.1"), http.StatusBadRequest, "invalid_request")
	for _, target := range []string{"/api/%", "/api/%zz", "/api/\x00", "/api/\x7f", "api/x"} {
		if got := p.raw(t, "GET "+target+" HTTP/1.1"); got.StatusCode != http.StatusBadRequest {
			t.Errorf("%q answered %d", target, got.StatusCode)
		}
	}
	if len(up.requests()) != 0 || p.tokens.calls.Load() != 0 {
		t.Errorf("%d requests forwarded, %d authorised", len(up.requests()), p.tokens.calls.Load())
	}
}

// readings returns the paths that an upstream could read from a request target.
func readings(target string) map[string]string {
	raw, _, _ := strings.Cut(target, "?")
	raw, _, _ = strings.Cut(raw, "#")
	all := make(map[string]string)
	if u, err := url.Parse(raw); err == nil {
		all["url.Parse"] = u.Path
	}
	once, _ := url.PathUnescape(raw)
	twice := once
	if again, err := url.PathUnescape(once); err == nil {
		twice = again
	}
	slashes := strings.ReplaceAll(twice, `\`, "/")
	segments := strings.Split(slashes, "/")
	for i := range segments {
		segments[i], _, _ = strings.Cut(segments[i], ";")
	}
	all["decoded"], all["decoded twice"], all["backslash is slash"] = once, twice, slashes
	all["without parameters"] = strings.Join(segments, "/")
	all["usual letters"] = norm.NFKC.String(twice)
	usual := strings.Split(norm.NFKC.String(all["without parameters"]), "/")
	for i := range usual {
		usual[i], _, _ = strings.Cut(usual[i], ";")
		usual[i] = strings.TrimSpace(usual[i])
	}
	all["without blanks"] = strings.Join(usual, "/")
	for i := range usual {
		usual[i] = strings.TrimRight(usual[i], ". ")
	}
	all["without dots"] = strings.Join(usual, "/")
	for name, reading := range all {
		all[name+", cleaned"] = path.Clean(reading) + "/"
	}
	return all
}

// FuzzPath tests that an upstream gets exactly the path that was matched, and that no
// reading of it leads out of the route or into a route with other rules.
func FuzzPath(f *testing.F) {
	open, admin := newUpstream(f, nil), newUpstream(f, nil)
	inner := api(f, admin.URL)
	inner.Path, inner.StripPrefix = "/api/admin/", true
	routes := []oauthproxy.Route{api(f, open.URL+"/base"), inner}
	p := newProxy(f, routes...)
	for _, seed := range []string{
		"/api/x", "/api/admin/x", "/api/../x", "/api/%2e%2e/x", "/api/x/..;/admin/y", "/api/admin;v/x", "/api/Admin/x", "/%61pi/x", "/api/admin",
		"/api/%61dmin/x", `/api/x\..\y`, "/api/%252e%252e/x", "/api/%c0%af", "/api/a%20b?c=d", "/api/x%3by", "/api/x#y", "http://h/api/x", "//api/x",
		"/api/admin%3bx/y", "/api/(x)", "/api/%28x)", "/api/é", "/api/\"", "/api/?a;b", "/api/admin/%3F", "/api/%25", "*",
		"/api/admin./x", "/api/admin%20/x", "/api/ａdmin/x", "/api/x/‥/admin/y", "/api/x／..／admin", "/api/%C2%A0admin/x", "/api/x./y /z",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: same-origin\r\n\r\n")))
		if err != nil || r.RequestURI != target {
			return // net/http refuses it, or it is more than a target
		}
		recorder := httptest.NewRecorder()
		p.handler.ServeHTTP(recorder, r.WithContext(t.Context()))
		sent, query, _ := strings.Cut(target, "?")
		decoded, _ := url.PathUnescape(sent)
		switch a, b := open.take(), admin.take(); {
		case a != nil && b == nil:
			checkForwarded(t, a, "/base"+decoded, query)
			for name, reading := range readings(target) {
				lower := strings.ToLower(reading) + "/"
				if !strings.HasPrefix(reading, "/api/") || strings.HasPrefix(lower, "/api/admin/") {
					t.Errorf("%q went to /api/, but is %q %s", target, reading, name)
				}
			}
		case b != nil && a == nil:
			checkForwarded(t, b, strings.TrimPrefix(decoded, "/api/admin"), query)
			for name, reading := range readings(target) {
				if !strings.HasPrefix(reading, "/api/admin/") {
					t.Errorf("%q went to /api/admin/, but is %q %s", target, reading, name)
				}
			}
		case a != nil && b != nil:
			t.Errorf("%q went to both", target)
		case recorder.Code != http.StatusBadRequest && recorder.Code != http.StatusNotFound:
			t.Errorf("%q answered %d %s", target, recorder.Code, recorder.Body)
		}
	})
}

func (u *upstream) take() *http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.received) == 0 {
		return nil
	}
	r := u.received[0].Request
	u.received = nil
	return r
}

func checkForwarded(t *testing.T, r *http.Request, wantPath, wantQuery string) {
	t.Helper()
	if r.URL.Path != wantPath || r.URL.RawQuery != wantQuery || r.URL.Host != "" {
		t.Error(fmt.Sprintf("the upstream saw %q: path %q, query %q;", r.RequestURI, r.URL.Path, r.URL.RawQuery), "want", wantPath, wantQuery)
	}
}
