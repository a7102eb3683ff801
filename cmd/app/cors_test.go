package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// TestErrorsCanBeReadByAllowedOrigins: without CORS headers a page of an allowed
// origin sees "failed to fetch", and not what was wrong. This holds
// whether the path, the route, the method or a handler causes the error.
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

// TestPreflightsOfErrors: a browser whose preflight is refused does not send the
// request, and so cannot learn why it would fail.
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

// sister is the origin of an app on another subdomain. Tests use another port, because
// the ports of one host are one site.
const sister = "http://localhost:3000"

// startForSister runs a service with sister as allowed origin.
func startForSister(t *testing.T) *service {
	t.Helper()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late/" {
			<-r.Context().Done()
		}
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Vary", "Accept")
		_, _ = io.WriteString(w, r.Method)
	}))
	t.Cleanup(up.Close)
	return start(t, cognitotest.Options{}, fmt.Sprintf(`
    - {path: /admins/, upstream: %[1]q, groups: [admins]}
    - {path: /any/, upstream: %[1]q}
    - {path: /public/, upstream: %[1]q, anonymous: true}
    - {path: /late/, upstream: %[1]q, timeout: 20ms}
allowed_origins: [%[2]q]
spa: {dir: %[3]q}`, up.URL, sister, newSPA(t)))
}

// TestEveryErrorCanBeReadByAnAllowedOrigin provokes every error as a page of an allowed
// origin, with preflights. A page of another origin reads nothing, and its requests
// have no effect.
func TestEveryErrorCanBeReadByAnAllowedOrigin(t *testing.T) {
	s := startForSister(t)
	ua, stranger, stuffed, refused := s.login(), s.browser(), s.browser(), s.login()
	stuffed.SetCookie(useragent.Cookie{Name: testkit.Cookies(publicURL).Session, Value: strings.Repeat("x", 13000), Path: "/", HTTPOnly: true})
	dead := s.browser()
	for _, c := range refused.Cookies() {
		dead.SetCookie(c)
	}
	refused.Fetch(http.MethodPost, "/auth/logout", "")
	options := useragent.FetchOptions{Header: map[string]string{
		"Content-Type": "application/json", "X-CSRF": "1", "If-Match": `"e"`, "Idempotency-Key": "k",
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}}
	for _, tt := range []struct {
		ua                   *useragent.UA
		method, target, body string
		status               int
		code                 string
	}{
		{ua, "GET", "/api/x%2fy", "", 400, "invalid_request"},
		{ua, "POST", "/storage/uploads", `{"key":"../x","content_type":"text/plain","size":1}`, 400, "invalid_request"},
		{stranger, "POST", "/api/x", "{}", 401, "not_authenticated"},
		{stranger, "POST", "/auth/refresh", "", 401, "not_authenticated"},
		{stranger, "POST", "/storage/uploads", "{}", 401, "not_authenticated"},
		{dead, "GET", "/api/x", "", 401, "session_expired"},
		{ua, "GET", "/admins/x", "", 403, "insufficient_scope"},
		{ua, "GET", "/api", "", 404, "not_found"},
		{ua, "GET", "/auth/nothing", "", 404, "not_found"},
		{ua, "PUT", "/storage/nothing", "{}", 404, "not_found"},
		{ua, "DELETE", "/api/x", "", 405, "method_not_allowed"},
		{ua, "PUT", "/auth/session", "{}", 405, "method_not_allowed"},
		{ua, "POST", "/api/x", strings.Repeat("x", 1001), 413, "too_large"},
		{ua, "POST", "/storage/uploads", `{"key":"x","content_type":"text/plain","size":1001}`, 413, "too_large"},
		{stuffed, "GET", "/api/x", "", 431, "cookies_too_large"},
		{ua, "GET", "/down/x", "", 502, "upstream_error"},
		{ua, "GET", "/late/", "", 504, "upstream_timeout"},
		{ua, "POST", "/auth/refresh", "", 503, "provider_unavailable"}, // see below
		{s.login(), "POST", "/auth/refresh", "", 429, "rate_limited"},  // as well
	} {
		name := fmt.Sprintf("%d %s %s", tt.status, tt.method, tt.target)
		before := len(s.api.seen())
		hidden := tt.ua.FetchFrom("http://localhost:3001", tt.method, publicURL+tt.target, tt.body, options)
		if !hidden.Blocked || hidden.Header.Get("Access-Control-Allow-Origin") != "" || len(s.api.seen()) != before {
			t.Errorf("%s: another origin reads %d %v", name, hidden.Status, hidden.Header)
		}
		switch tt.status {
		case http.StatusServiceUnavailable:
			s.pool.Break(cognitotest.TokenRefresh, cognitotest.Text("503", http.StatusServiceUnavailable, "text/html", "down"), 0)
		case http.StatusTooManyRequests:
			for range 10 { // the most that may be requested at once
				tt.ua.FetchFrom(sister, tt.method, publicURL+tt.target, tt.body, options)
			}
		}
		r := tt.ua.FetchFrom(sister, tt.method, publicURL+tt.target, tt.body, options)
		s.pool.Mend(cognitotest.TokenRefresh)
		if r.Err != nil || r.Blocked {
			t.Errorf("%s: hidden from an allowed origin: %v", name, r.Err)
			continue
		}
		wantProblem(t, r, tt.status, tt.code)
		wantCORS(t, name, r.Header, sister)
	}
}

// TestAllowedOriginsCall: allowed origins may send credentials, and every method and
// header that the route accepts. Caches must not give their answers to other origins.
func TestAllowedOriginsCall(t *testing.T) {
	s := startForSister(t)
	ua := s.login()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "PROPFIND"} {
		options := useragent.FetchOptions{Header: map[string]string{"Content-Type": "application/json", "If-None-Match": "*", "baggage": "k=v", "tracestate": "v=1"}}
		r := ua.FetchFrom(sister, method, publicURL+"/any/x", "", options)
		if r.Err != nil || r.Blocked || r.Status != http.StatusOK || method != "HEAD" && string(r.Body) != method {
			t.Errorf("%s: answered %d %v %s", method, r.Status, r.Err, r.Body)
		}
		wantCORS(t, method, r.Header, sister)
		if foreign := ua.FetchFrom("http://localhost:3001", method, publicURL+"/any/x", "", options); !foreign.Blocked || foreign.Status == http.StatusOK {
			t.Errorf("%s of another origin: answered %d %s", method, foreign.Status, foreign.Body)
		}
	}
	if r := ua.FetchFrom(sister, "GET", publicURL+"/auth/session", ""); r.Err != nil || !strings.Contains(string(r.Body), `"authenticated":true`) {
		t.Errorf("session: %v %s", r.Err, r.Body)
	}
}

// TestVaryIsThereForEverybody: a cache must not answer a request with Origin from a copy
// of one without it, which lacks the CORS headers, nor the other way round.
func TestVaryIsThereForEverybody(t *testing.T) {
	s := startForSister(t)
	s.ready()
	for _, target := range []string{
		"/public/x", "/any/x", "/api/me", "/api", "/api/x%2fy", "/down/x", "/auth/session", "/auth/nothing", "/auth/logout",
		"/storage/uploads", "/storage/nothing", "/nothing.js",
	} {
		for _, origin := range []string{"", publicURL, sister, "https://evil.example", "null", sister + "/", strings.ToUpper(sister)} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, publicURL+target, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Csrf", "1")
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			answer, err := s.transport().RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			allowed := map[bool]string{true: sister}[origin == sister]
			wantCORS(t, fmt.Sprintf("%s from %q", target, origin), answer.Header, allowed)
			if public := answer.Header.Get("Cache-Control") == "public, max-age=60"; target == "/public/x" && public != (answer.StatusCode == http.StatusOK) {
				t.Errorf("%s from %q: answered %d, Cache-Control %q", target, origin, answer.StatusCode, answer.Header["Cache-Control"])
			}
		}
	}
	// The app's own files must not be embedded by other origins.
	r := s.browser().FetchFrom(sister, "GET", publicURL+"/", "")
	if !r.Blocked || r.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
		t.Errorf("the app: %d %v", r.Status, r.Header)
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
	if vary := strings.Join(h["Vary"], ", "); !slices.Contains(strings.Split(vary, ", "), "Origin") {
		t.Errorf("%s: Vary %q", what, vary)
	}
}
