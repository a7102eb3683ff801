package web_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

// TestOneHost: only a page that is opened under another name of the same machine and port
// is redirected, to the same path of the public URL.
func TestOneHost(t *testing.T) {
	navigate := http.Header{"Sec-Fetch-Mode": {"navigate"}}
	old := http.Header{"Accept": {"text/html,*/*"}}
	for name, c := range map[string]struct {
		public, method, host string
		header               http.Header
		want                 string
	}{
		"127.0.0.1":                  {"http://localhost:8080", "GET", "127.0.0.1:8080", navigate, "http://localhost:8080/a%20b?c=d"},
		"[::1]":                      {"http://localhost:8080", "GET", "[::1]:8080", navigate, "http://localhost:8080/a%20b?c=d"},
		"localhost":                  {"http://127.0.0.1:8080", "GET", "localhost:8080", navigate, "http://127.0.0.1:8080/a%20b?c=d"},
		"default port":               {"http://localhost", "GET", "127.0.0.1", navigate, "http://localhost/a%20b?c=d"},
		"old browser":                {"http://localhost:8080", "GET", "127.0.0.1:8080", old, "http://localhost:8080/a%20b?c=d"},
		"the public name":            {"http://localhost:8080", "GET", "localhost:8080", navigate, ""},
		"the public name in capital": {"http://localhost:8080", "GET", "LOCALHOST:8080", navigate, ""},
		"fetch":                      {"http://localhost:8080", "GET", "127.0.0.1:8080", http.Header{"Sec-Fetch-Mode": {"cors"}, "Accept": {"text/html"}}, ""},
		"no browser":                 {"http://localhost:8080", "GET", "127.0.0.1:8080", nil, ""},
		"form":                       {"http://localhost:8080", "POST", "127.0.0.1:8080", navigate, ""},
		"behind a dev server":        {"http://localhost:5173", "GET", "127.0.0.1:8080", navigate, ""},
		"behind a proxy":             {"http://localhost:8080", "GET", "127.0.0.1:8080", http.Header{"Sec-Fetch-Mode": {"navigate"}, "X-Forwarded-Host": {"localhost:8080"}}, ""},
		"lookalike":                  {"http://localhost:8080", "GET", "localhost.evil.example:8080", navigate, ""},
		"another machine":            {"http://localhost:8080", "GET", "10.0.0.1:8080", navigate, ""},
		"no host":                    {"http://localhost:8080", "GET", "", navigate, ""},
		"production":                 {"https://app.example.com", "GET", "127.0.0.1:8080", navigate, ""},
		"https on this machine":      {"https://localhost:8080", "GET", "127.0.0.1:8080", navigate, ""},
	} {
		public, err := url.Parse(c.public)
		if err != nil {
			t.Fatal(err)
		}
		site := web.NewSite(web.Config{PublicURL: public, LoginURL: "/auth/login", Log: slog.New(slog.DiscardHandler), Now: time.Now})
		r := httptest.NewRequestWithContext(t.Context(), c.method, "/a%20b?c=d", http.NoBody)
		r.Host, r.Header = c.host, c.header
		w := httptest.NewRecorder()
		site.OneHost(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })).ServeHTTP(w, r)
		status := map[bool]int{true: http.StatusTeapot, false: http.StatusFound}[c.want == ""]
		if w.Code != status || w.Header().Get("Location") != c.want {
			t.Errorf("%s: %d to %q, want %d to %q", name, w.Code, w.Header().Get("Location"), status, c.want)
		}
	}
}
