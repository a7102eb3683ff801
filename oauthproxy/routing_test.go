package oauthproxy_test

import (
	"net/http"
	"strings"
	"testing"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/tokenhandler/web"
)

func TestRouting(t *testing.T) {
	a, b, c, d := newUpstream(t, nil), newUpstream(t, nil), newUpstream(t, nil), newUpstream(t, nil)
	stripped, based, nested := api(t, b.URL+"/"), api(t, c.URL+"/v1/base/"), api(t, d.URL+"/esc%20aped")
	stripped.Path, stripped.StripPrefix = "/stripped/", true
	based.Path, based.StripPrefix = "/api/based/", true
	nested.Path = "/api/based/nested/"
	p := newProxy(t, api(t, a.URL), stripped, based, nested)
	for _, tt := range []struct {
		target   string
		upstream *upstream // nil if the response is 404
		want     string
	}{
		{"/api/", a, "/api/"},
		{"/api/x/y", a, "/api/x/y"},
		{"/api/x/?q=1&q=2&empty=&plus=a+b&pct=%2F%2e", a, "/api/x/?q=1&q=2&empty=&plus=a+b&pct=%2F%2e"},
		// Go cannot parse a query with a semicolon.
		{"/api/x?filter=a;b&keep=1", a, "/api/x?filter=a;b&keep=1"},
		{"/api/x?", a, "/api/x?"},
		{"/api/x?redirect=https://evil.example/../..//&path=..%2f..", a, "/api/x?redirect=https://evil.example/../..//&path=..%2f.."},
		{"/stripped/", b, "/"},
		{"/stripped/x?y=z", b, "/x?y=z"},
		{"/stripped/a%20b/c%3Bd/e%C3%BC", b, "/a%20b/c%3Bd/e%C3%BC"},
		{"/api/based/x", c, "/v1/base/x"},
		{"/api/based/", c, "/v1/base/"},
		{"/api/based/it's(fine)%3F", c, "/v1/base/it's(fine)%3F"},
		{"/api/based/nested/x", d, "/esc%20aped/api/based/nested/x"},
		{"/api/based/nested/x%21", d, "/esc%20aped/api/based/nested/x%21"},
		{"/api/basedx", a, "/api/basedx"}, // a prefix ends at a slash
		{"/api", nil, ""},
		{"/stripped", nil, ""},
		{"/api/based", nil, ""}, // not forwarded under /api/ either: an upstream may treat it as /api/based/
		{"/apix", nil, ""},
		{"/", nil, ""},
		{"/other/api/", nil, ""},
		{"/API/x", nil, ""},
		// The rules of the longer route must not be bypassed.
		{"/api/Based/x", nil, ""},
		{"/api/BASED", nil, ""},
		{"/api/ba%C5%BFed/x", nil, ""}, // U+017F equals s when case is ignored
		{"/api/baſed", nil, ""},
		{"/api/based%C5%BF/x", a, "/api/based%C5%BF/x"},
		{"/api/based;v=1/x", nil, ""},
		{"/api/based/nested;/x", nil, ""},
		{"/api;x/based/y", nil, ""},
		{"/api/other;v=1/x", a, "/api/other;v=1/x"},
		// An upstream may trim dots and blanks from a segment (Windows does), or take letters
		// in another form for the usual ones (NFKC).
		{"/api/based./x", nil, ""},
		{"/api/based../x", nil, ""},
		{"/api/based.", nil, ""},
		{"/api/.based/x", nil, ""},
		{"/api/based%20/x", nil, ""},
		{"/api/%20based/x", nil, ""},
		{"/api/based%20.%20/x", nil, ""},
		{"/api/based%C2%A0/x", nil, ""},    // a no-break space
		{"/api/based%E3%80%80/x", nil, ""}, // an ideographic space
		{"/api/based.;v=1/x", nil, ""},
		{"/api/ｂased/x", nil, ""},
		{"/api/%EF%BC%A2ASED/x", nil, ""},   // a fullwidth B
		{"/api/based%EF%BC%9Bv/x", nil, ""}, // a fullwidth semicolon
		{"/api/based%E2%80%8B/x", nil, ""},  // a zero width space
		{"/api%EF%BC%8Fbased/x", nil, ""},   // a fullwidth slash
		{"/api/x%EF%BC%8F..%EF%BC%8Fbased/x", nil, ""},
		{"/api/x/%E2%80%A5/based/y", nil, ""}, // two dots in one character
		{"/api/%EF%BC%8E%EF%BC%8E/x", nil, ""},
		{"/api/x/%20../based/y", nil, ""},
		{"/api/.../based/y", nil, ""},
		{"/api/x/...%20/y", a, "/api/x/...%20/y"},
		{"/stripped/%E2%80%A5/x", nil, ""}, // it would leave the route
		// Otherwise all of these are good names.
		{"/api/companies/Acme%20Inc./x", a, "/api/companies/Acme%20Inc./x"},
		{"/api/.well-known/x", a, "/api/.well-known/x"},
		{"/api/based%20on/x", a, "/api/based%20on/x"},
		{"/api/製品/1%E3%80%82", a, "/api/%E8%A3%BD%E5%93%81/1%E3%80%82"},
		{"/api/ﬁle%C2%BD%20.", a, "/api/%EF%AC%81le%C2%BD%20."},
		{"/api/v1.2/report.2024.pdf", a, "/api/v1.2/report.2024.pdf"},
		{"/api/100%25%20x", a, "/api/100%25%20x"},
		{"/api/based/nested.x/y", c, "/v1/base/nested.x/y"},
	} {
		t.Run(tt.target, func(t *testing.T) {
			got := p.raw(t, "GET "+tt.target+" HTTP/1.1")
			if tt.upstream == nil {
				wantProblem(t, got, http.StatusNotFound, "not_found")
				return
			}
			if got.StatusCode != http.StatusOK {
				t.Fatalf("answered %d %s", got.StatusCode, got.body)
			}
			request := tt.upstream.last(t)
			if request.RequestURI != tt.want || "http://"+request.Host != tt.upstream.URL {
				t.Errorf("the upstream saw %s at %s, want %s", request.RequestURI, request.Host, tt.want)
			}
		})
	}
	for i, u := range []*upstream{a, b, c, d} {
		if n := len(u.requests()); n != 0 {
			t.Errorf("upstream %d got %d requests that were another's", i, n)
		}
	}
}

func TestOwns(t *testing.T) {
	p := newProxy(t, api(t, "http://127.0.0.1:1"))
	for path, want := range map[string]bool{"/api/": true, "/api/x": true, "/api": true, "/apix": false, "/": false, "": false} {
		if got := p.handler.Owns(path); got != want {
			t.Errorf("Owns(%q) = %v", path, got)
		}
	}
}

func TestMethods(t *testing.T) {
	up := newUpstream(t, nil)
	some := api(t, up.URL)
	some.Path, some.Methods = "/some/", []string{"GET", "PUT"}
	p := newProxy(t, api(t, up.URL), some)
	const all = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
	for _, tt := range []struct{ line, allow string }{
		{"GET /api/x", ""},
		{"HEAD /api/x", ""},
		{"POST /api/x", ""},
		{"PUT /api/x", ""},
		{"PATCH /api/x", ""},
		{"DELETE /api/x", ""},
		{"OPTIONS /api/x", ""},
		{"PROPFIND /api/x", ""},
		{"TRACE /api/x", all},
		{"trace /api/x", all},
		{"TRACK /api/x", all},
		{"Track /api/x", all},
		{"CONNECT /api/x", all},
		{"GET /some/x", ""},
		{"PUT /some/x", ""},
		{"HEAD /some/x", "GET, PUT"},
		{"POST /some/x", "GET, PUT"},
		{"get /some/x", "GET, PUT"},
		{"TRACE /some/x", "GET, PUT"},
		{"TRACK /some/x", "GET, PUT"},
		{"CONNECT /some/x", "GET, PUT"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			p.tokens.calls.Store(0)
			got := p.raw(t, tt.line+" HTTP/1.1", "Content-Length: 0")
			method, _, _ := strings.Cut(tt.line, " ")
			if tt.allow == "" {
				if got.StatusCode != http.StatusOK || up.last(t).Method != method {
					t.Errorf("answered %d", got.StatusCode)
				}
				return
			}
			if got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != tt.allow {
				t.Errorf("answered %d, Allow %q", got.StatusCode, got.Header.Get("Allow"))
			}
			if len(up.requests()) != 0 || p.tokens.calls.Load() != 0 {
				t.Errorf("%d requests forwarded, %d authorised", len(up.requests()), p.tokens.calls.Load())
			}
			if method != http.MethodHead {
				wantProblem(t, got, http.StatusMethodNotAllowed, "method_not_allowed")
			}
		})
	}
}

// Over HTTP/2 net/http accepts any method. An invalid one is the client's error and must
// not be counted as the upstream's.
func TestMethodsOfHTTP2(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	for _, method := range []string{"GET /evil HTTP/1.1", "G ET", "GET ", "GE\tT", "GÉT", "GET\x7f", "(GET)", "GET:"} {
		r := p.request(t, http.MethodGet, "/api/x", http.NoBody)
		r.Method, r.RequestURI, r.ProtoMajor = method, "/api/x", 2
		r.URL.Scheme, r.URL.Host = "", ""
		if got := serveDirectly(p, r); got.Code != http.StatusMethodNotAllowed {
			t.Errorf("%q answered %d %s", method, got.Code, got.Body)
		}
	}
	if len(up.requests()) != 0 || p.tokens.calls.Load() != 0 || len(counted(t, p, "tokenhandler_proxy_upstream_errors_total")) != 0 {
		t.Error("forwarded, authorised or counted as the upstream's error")
	}
	if got := p.raw(t, "M-SEARCH /api/x HTTP/1.1"); got.StatusCode != http.StatusOK || up.last(t).Method != "M-SEARCH" {
		t.Errorf("answered %d", got.StatusCode)
	}
}

func TestTokenKinds(t *testing.T) {
	for _, tt := range []struct {
		kind oauthproxy.TokenKind
		noID bool
		want string
	}{
		{"", false, "Bearer " + accessToken},
		{oauthproxy.TokenAccess, false, "Bearer " + accessToken},
		{oauthproxy.TokenID, false, "Bearer " + idToken},
		{oauthproxy.TokenID, true, ""}, // another kind of token is never sent instead
		{oauthproxy.TokenNone, false, ""},
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			up := newUpstream(t, nil)
			route := api(t, up.URL)
			route.Token = tt.kind
			p := newProxy(t, route)
			p.tokens.noID = tt.noID
			wantCookie(t, p.get(t, "/api/x", "Authorization", "Bearer a-client's"))
			if got := strings.Join(up.last(t).Header["Authorization"], "|"); got != tt.want {
				t.Errorf("Authorization %q, want %q", got, tt.want)
			}
			p.tokens.err = web.NewProblem(web.CodeNotAuthenticated, "planned by the test", nil)
			wantProblem(t, p.get(t, "/api/x"), http.StatusUnauthorized, "not_authenticated")
			if len(up.requests()) != 0 {
				t.Error("forwarded without a session")
			}
		})
	}
}

func TestAnonymous(t *testing.T) {
	const removed = "__Host-Http-session=; Path=/; Max-Age=0; Secure; HttpOnly"
	expired := web.NewProblem(web.CodeSessionExpired, "planned by the test", nil).WithHeader("Set-Cookie", removed)
	for _, tt := range []struct {
		name          string
		err           error
		authorization string
		cookie        string
		status        int
	}{
		{"valid session", nil, "Bearer " + accessToken, sessionCookie, http.StatusOK},
		{"no session", web.NewProblem(web.CodeNotAuthenticated, "planned by the test", nil), "", "", http.StatusOK},
		{"dead session", expired, "", removed, http.StatusOK},
		// Only a 401 is ignored on an anonymous route.
		{"provider down", web.NewProblem(web.CodeProviderUnavailable, "planned by the test", nil), "", "", http.StatusServiceUnavailable},
		{"cookies too large", web.NewProblem(web.CodeCookiesTooLarge, "planned by the test", nil), "", "", http.StatusRequestHeaderFieldsTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "public, max-age=60")
				w.Header().Set("CDN-Cache-Control", "max-age=60")
			})
			route := api(t, up.URL)
			route.Anonymous = true
			p := newProxy(t, route)
			p.tokens.err = tt.err
			got := p.get(t, "/api/x", "Authorization", "Bearer a-client's", "Cookie", "__Host-Http-session=old; theme=dark")
			if got.StatusCode != tt.status || strings.Join(got.Header.Values("Set-Cookie"), "|") != tt.cookie {
				t.Fatalf("answered %d, Set-Cookie %q", got.StatusCode, got.Header.Values("Set-Cookie"))
			}
			if tt.status != http.StatusOK {
				if len(up.requests()) != 0 {
					t.Error("forwarded")
				}
				return
			}
			request := up.last(t)
			if auth := request.Header.Get("Authorization"); auth != tt.authorization || request.Header.Get("Cookie") != "theme=dark" {
				t.Errorf("the upstream saw Authorization %q, Cookie %q", auth, request.Header["Cookie"])
			}
			stored, cdn := got.Header.Get("Cache-Control"), got.Header.Get("CDN-Cache-Control")
			if tt.cookie != "" && (stored != "no-store" || cdn != "") {
				t.Errorf("Cache-Control %q, CDN-Cache-Control %q beside our cookie", stored, cdn)
			}
			if tt.cookie == "" && (stored != "public, max-age=60" || cdn != "max-age=60") {
				t.Errorf("Cache-Control %q, CDN-Cache-Control %q for everybody's answer", stored, cdn)
			}
		})
	}
}
