package app_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
)

// TestErrorsCanBeReadByAllowedOrigins: without CORS headers a page of an allowed
// origin sees "failed to fetch", and not what was wrong. Whatever refuses: the
// reading of the path, a router, a method, a handler.
func TestErrorsCanBeReadByAllowedOrigins(t *testing.T) {
	const origin = "http://localhost:3000"
	for name, change := range map[string]func(*config.Config){
		"alone":    func(*config.Config) {},
		"with SPA": func(c *config.Config) { c.SPA.Dir = newSPA(t) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := parsed(t)
			cfg.AllowedOrigins = []string{origin}
			change(&cfg)
			a, err := app.New(t.Context(), cfg, discard())
			if err != nil {
				t.Fatal(err)
			}
			for _, tt := range []struct {
				method, target string
				status         int
			}{
				{"GET", "/auth/nothing", 404},
				{"GET", "/auth", 404},
				{"POST", "/auth/login", 405},
				{"GET", "/auth/logout", 405},
				{"POST", "/auth/refresh", 401},
				{"GET", "/api/..%2fx", 400},
				{"GET", "/a//b", 400},
				{"POST", "/storage/%2e%2e/x", 400},
				{"GET", "/storage/nothing", 404},
				{"GET", "/api/x", 401},
				{"GET", "/nothing.js", 404},
			} {
				for sender, want := range map[string]string{origin: origin, "https://evil.example": ""} {
					rec := ask(a, tt.method, tt.target, http.Header{"Origin": {sender}, "Sec-Fetch-Site": {"same-site"}})
					if sender == origin && rec.Code != tt.status {
						t.Errorf("%s %s: answered %d, want %d", tt.method, tt.target, rec.Code, tt.status)
					}
					wantCORS(t, tt.method+" "+tt.target, rec.Header(), want)
				}
			}
		})
	}
}

// TestPreflightsOfErrors: a browser that is refused the preflight never sends
// the request, and never learns what is wrong with it.
func TestPreflightsOfErrors(t *testing.T) {
	const origin = "http://localhost:3000"
	cfg := parsed(t)
	cfg.AllowedOrigins = []string{origin}
	a, err := app.New(t.Context(), cfg, discard())
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/auth/nothing", "/auth/refresh", "/api/..%2fx", "/storage/a//b", "/nothing"} {
		rec := ask(a, "OPTIONS", target, http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"PUT"}})
		if rec.Code != http.StatusNoContent {
			t.Errorf("%s: answered %d", target, rec.Code)
		}
		wantCORS(t, target, rec.Header(), origin)
		rec = ask(a, "OPTIONS", target, http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"PUT"}})
		if rec.Code < 400 {
			t.Errorf("%s: answered %d to another origin", target, rec.Code)
		}
		wantCORS(t, target, rec.Header(), "")
	}
}

func ask(a *app.App, method, target string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Header = header
	rec := httptest.NewRecorder()
	app.Public(a).ServeHTTP(rec, r)
	return rec
}

func wantCORS(t *testing.T, what string, h http.Header, origin string) {
	t.Helper()
	credentials := map[bool]string{true: "true"}[origin != ""]
	if h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Allow-Credentials") != credentials {
		t.Errorf("%s: CORS headers for %q, credentials %q, want %q", what, h.Get("Access-Control-Allow-Origin"),
			h.Get("Access-Control-Allow-Credentials"), origin)
	}
	if len(h["Vary"]) == 0 {
		t.Errorf("%s: no Vary", what)
	}
}
