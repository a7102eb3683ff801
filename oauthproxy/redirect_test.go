package oauthproxy_test

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/test/testkit"
)

// The proxy follows no redirects: the token must not be sent anywhere else.
func TestRedirectsAreNotFollowed(t *testing.T) {
	stranger := tcpServer(t, func(net.Conn) { t.Error("a redirect was followed") })
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.Header.Get("X-Location"))
		status, _ := strconv.Atoi(r.Header.Get("X-Status"))
		w.WriteHeader(status)
	})
	p := newProxy(t, api(t, up.URL))
	for _, status := range []string{"301", "302", "303", "307", "308"} {
		for _, location := range []string{"/api/y", "y", "?y", "#y", "//" + strings.TrimPrefix(stranger, "http://") + "/", stranger + "/x"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				got := p.do(t, p.request(t, method, "/api/x", strings.NewReader("body"), "X-Status", status, "X-Location", location))
				if strconv.Itoa(got.StatusCode) != status || got.Header.Get("Location") != location {
					t.Errorf("%s to %s: answered %d to %s", status, location, got.StatusCode, got.Header.Get("Location"))
				}
				up.last(t)
			}
		}
	}
}

// A redirect to the upstream's own address becomes one to the route: browsers need not
// know that address and may not reach it.
func TestRedirectsToTheUpstreamItself(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", strings.ReplaceAll(r.Header.Get("X-Location"), "HOST", r.Host))
		w.WriteHeader(http.StatusMovedPermanently)
	})
	kept := api(t, up.URL)
	stripped := api(t, up.URL)
	stripped.Path, stripped.StripPrefix = "/strip/", true
	based := api(t, up.URL+"/v1/")
	based.Path, based.StripPrefix = "/based/", true
	p := newProxy(t, kept, stripped, based)
	for _, tt := range []struct{ target, location, want string }{
		{"/api/x", "http://HOST/api/y/?q=1&b#part", "/api/y/?q=1&b#part"},
		{"/api/x", "https://HOST/api/a%2Fb%20c?", "/api/a%2Fb%20c?"},
		{"/api/x", "//HOST/api/y", "/api/y"},
		{"/strip/x", "http://HOST/x/", "/strip/x/"},
		{"/strip/x", "http://HOST//evil.example/", "/strip//evil.example/"},
		{"/strip/x", "http://HOST?q", "/strip/?q"},
		{"/based/x", "http://HOST/v1/x/", "/based/x/"},
		// A redirect to a path that is not under the route stays as it is.
		{"/api/x", "http://HOST/other", "http://HOST/other"},
		{"/api/x", "http://HOST//evil.example/", "http://HOST//evil.example/"},
		{"/based/x", "http://HOST/v10/x", "http://HOST/v10/x"},
		{"/api/x", "http://HOST.evil.example/api/y", "http://HOST.evil.example/api/y"},
		{"/api/x", "http://user@HOST/api/y", "http://user@HOST/api/y"},
		{"/api/x", "ftp://HOST/api/y", "ftp://HOST/api/y"},
		{"/api/x", "http://HOST:bad/api/y", "http://HOST:bad/api/y"},
		{"/strip/x", "/x/", "/x/"}, // the upstream knows the prefix from X-Forwarded-Prefix
	} {
		got := p.get(t, tt.target, "X-Location", tt.location).Header.Get("Location")
		if want := strings.ReplaceAll(tt.want, "HOST", testkit.MustURL(t, up.URL).Host); got != want {
			t.Errorf("%s: %s became %q, want %q", tt.target, tt.location, got, want)
		}
	}
	for target, want := range map[string][]string{"/api/x": nil, "/strip/x": {"/strip"}} {
		p.get(t, target, "X-Forwarded-Prefix", "/evil")
		seen := up.requests()
		if got := seen[len(seen)-1].Header["X-Forwarded-Prefix"]; !slices.Equal(got, want) {
			t.Errorf("%s: X-Forwarded-Prefix %q, want %q", target, got, want)
		}
	}
}

// A redirect that is rewritten stays on the app's origin and under the route, whatever
// the upstream sends.
func FuzzOwnLocation(f *testing.F) {
	for _, seed := range []string{"http://api.internal/v1/x?q#f", "//api.internal/v1//evil.example", "HTTP://API.internal/v1/%2f%2fevil", "http://api.internal?q", "\\\\evil", "http://api.internal/v1/../x"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, to string, strip bool) {
		route := oauthproxy.Route{Path: "/api/", Upstream: testkit.MustURL(t, "http://api.internal/v1/"), StripPrefix: strip}
		got := oauthproxy.PublicLocation(route, to)
		if got == to {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(got, "/api/") || strings.ContainsAny(got, "\r\n\\") {
			t.Errorf("%q became %q", to, got)
		}
	})
}
