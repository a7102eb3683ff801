package web_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/tokenhandler/web"
)

const (
	publicOrigin  = "https://app.example.com"
	allowedOrigin = "https://admin.example.com:8443"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func mustParse(tb testing.TB, raw string) *url.URL {
	tb.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

func siteConfig(tb testing.TB, log io.Writer) web.Config {
	tb.Helper()
	return web.Config{
		PublicURL:      mustParse(tb, publicOrigin),
		AllowedOrigins: []string{"HTTPS://Admin.Example.com:8443"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
		LoginURL:       "/auth/login",
		Log:            slog.New(slog.NewJSONHandler(log, nil)),
		Now:            func() time.Time { return noon },
	}
}

func newSite(t *testing.T) *web.Site {
	t.Helper()
	return web.NewSite(siteConfig(t, t.Output()))
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func request(t *testing.T, method, target string, header http.Header) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	if header != nil {
		r.Header = header
	}
	return r
}

func body(t *testing.T, rec *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatalf("answered %d %q: %v", rec.Code, rec.Body, err)
	}
	return got
}

// ok is the handler behind the middleware under test.
var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "reached") })

func TestOrigin(t *testing.T) {
	for raw, want := range map[string]string{
		"https://App.Example.com":      "https://app.example.com",
		"https://app.example.com:443/": "https://app.example.com",
		"https://app.example.com:8443": "https://app.example.com:8443",
		"HTTP://localhost:80/x":        "http://localhost",
		"http://localhost:443":         "http://localhost:443",
		"https://localhost:80":         "https://localhost:80",
		"https://[::1]:443":            "https://[::1]",
	} {
		if got := web.Origin(mustParse(t, raw)); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
	if got := newSite(t).PublicOrigin(); got != publicOrigin {
		t.Errorf("public origin %s", got)
	}
}

// The headers are those that OWASP ASVS V3.4 and V14.2.2 require, and are not copied from
// the code.
func TestOwnHeaders(t *testing.T) {
	s := newSite(t)
	for name, h := range map[string]http.Handler{
		"OwnHeaders": web.OwnHeaders(ok),
		"a problem":  s.NotFound(),
	} {
		t.Run(name, func(t *testing.T) {
			rec := serve(h, request(t, "GET", "/", nil))
			header := rec.Header()
			if reached := rec.Body.String() == "reached"; reached != (name == "OwnHeaders") {
				t.Errorf("answered %s", rec.Body)
			}
			for field, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
				"X-Content-Type-Options":  "nosniff",
				"Referrer-Policy":         "no-referrer",
				"Cache-Control":           "no-store",
			} {
				if diff := cmp.Diff([]string{want}, header.Values(field)); diff != "" {
					t.Errorf("%s:\n%s", field, diff)
				}
			}
			for _, absent := range []string{"Server", "X-Powered-By", "Access-Control-Allow-Origin", "Set-Cookie"} {
				if header.Get(absent) != "" {
					t.Errorf("%s: %s", absent, header.Get(absent))
				}
			}
		})
	}
}

func TestMethods(t *testing.T) {
	h := newSite(t).Methods(ok, "GET", "HEAD", "POST")
	for method, want := range map[string]int{
		"GET": 200, "HEAD": 200, "POST": 200,
		"PUT": 405, "DELETE": 405, "PATCH": 405, "OPTIONS": 405, "TRACE": 405, "CONNECT": 405, "get": 405, "POSTX": 405,
	} {
		rec := serve(h, request(t, method, "/x", nil))
		if rec.Code != want {
			t.Errorf("%s: %d, want %d", method, rec.Code, want)
		}
		if allow := rec.Header().Get("Allow"); (allow == "GET, HEAD, POST") != (want == 405) {
			t.Errorf("%s: Allow is %q", method, allow)
		}
	}
	got := body(t, serve(h, request(t, "PUT", "/x", nil)))
	want := map[string]any{
		"type": "about:blank", "title": "Method Not Allowed", "status": 405.0,
		"code": "method_not_allowed", "detail": "this path answers GET, HEAD, POST only",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNotFound(t *testing.T) {
	got := body(t, serve(newSite(t).NotFound(), request(t, "GET", "/nothing", nil)))
	want := map[string]any{
		"type": "about:blank", "title": "Not Found", "status": 404.0,
		"code": "not_found", "detail": "there is nothing at this path",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
