package app_test

import (
	"net/http"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

var jsonBody = useragent.FetchOptions{Header: map[string]string{"Content-Type": "application/json"}}

// wantProblem asserts that r is the error answer with this status and code.
func wantProblem(t *testing.T, r *useragent.Response, status int, code string) {
	t.Helper()
	if r.Err != nil && !r.Blocked { // by CORS: the script cannot read the answer, the test can
		t.Errorf("%s: %v", code, r.Err)
		return
	}
	testkit.WantProblem(t, r.Answer(), status, code)
}

// TestEveryRowOfTheErrorTable provokes every documented error in a browser.
func TestEveryRowOfTheErrorTable(t *testing.T) {
	t.Parallel()
	s := start(t, cognitotest.Options{})
	ua := s.login()
	stranger := s.browser()

	wantProblem(t, ua.Fetch(http.MethodPost, "/storage/uploads", `{"key":"../a","content_type":"text/plain","size":1}`, jsonBody), 400, "invalid_request")
	wantProblem(t, stranger.Fetch(http.MethodGet, "/api/me", ""), 401, "not_authenticated")
	wantProblem(t, stranger.Fetch(http.MethodPost, "/auth/refresh", ""), 401, "not_authenticated")
	wantProblem(t, ua.FetchFrom("https://evil.example", http.MethodGet, publicURL+"/api/me", ""), 403, "cross_site_request")
	wantProblem(t, ua.Fetch(http.MethodGet, "/nothing", ""), 404, "not_found")
	wantProblem(t, ua.Fetch(http.MethodGet, "/api", ""), 404, "not_found")
	wantProblem(t, ua.Fetch(http.MethodGet, "/auth/nothing", ""), 404, "not_found")
	wantProblem(t, ua.Fetch(http.MethodGet, "/storage/nothing", ""), 404, "not_found")
	for path, allow := range map[string]string{"/auth/logout": "POST", "/api/me": "GET, POST", "/storage/uploads": "POST"} {
		method := http.MethodDelete
		r := ua.Fetch(method, path, "")
		wantProblem(t, r, 405, "method_not_allowed")
		if r.Header.Get("Allow") != allow {
			t.Errorf("%s: Allow %q", path, r.Header.Get("Allow"))
		}
	}
	wantProblem(t, ua.Fetch(http.MethodPost, "/api/me", strings.Repeat("x", 1001)), 413, "too_large")
	wantProblem(t, ua.Fetch(http.MethodPost, "/storage/uploads", `{"key":"a","content_type":"text/plain","size":1001}`, jsonBody), 413, "too_large")
	wantProblem(t, ua.Fetch(http.MethodGet, "/down/x", ""), 502, "upstream_error")
	wantProblem(t, ua.Fetch(http.MethodGet, "/hang/", ""), 504, "upstream_timeout")

	for code, outage := range map[string]cognitotest.Outage{
		"provider_unavailable": cognitotest.Text("503", http.StatusServiceUnavailable, "text/html", "<h1>down</h1>"),
		"rate_limited":         cognitotest.Text("429", http.StatusTooManyRequests, "text/plain", "Rate exceeded"),
	} {
		s.pool.Break(cognitotest.TokenRefresh, outage, 0)
		ua := s.login()
		r := ua.Fetch(http.MethodPost, "/auth/refresh", "")
		wantProblem(t, r, map[string]int{"provider_unavailable": 503, "rate_limited": 429}[code], code)
		if r.Header.Get("Retry-After") == "" || len(r.Header["Set-Cookie"]) != 0 {
			t.Errorf("%s: Retry-After %q, cookies %v", code, r.Header.Get("Retry-After"), r.Header["Set-Cookie"])
		}
		s.pool.Mend(cognitotest.TokenRefresh)
	}

	large := s.browser()
	large.SetCookie(useragent.Cookie{Name: testkit.Cookies(publicURL).Session, Value: strings.Repeat("x", 13000), Path: "/", HTTPOnly: true})
	wantProblem(t, large.Fetch(http.MethodGet, "/api/me", ""), 431, "cookies_too_large")
	if _, still := large.Cookie(testkit.Cookies(publicURL).Session); still {
		t.Error("cookies that are too large stay: the browser is stuck")
	}

	copied := s.browser()
	for _, c := range ua.Cookies() {
		copied.SetCookie(c)
	}
	ua.Fetch(http.MethodPost, "/auth/logout", "")
	wantProblem(t, copied.Fetch(http.MethodGet, "/api/me", ""), 401, "session_expired")
	if _, still := copied.Cookie(testkit.Cookies(publicURL).Session); still {
		t.Error("the cookie of a dead session stays")
	}
}

// TestProviderErrorsOfALogin: errors of a login are pages, because a person navigates
// there.
func TestProviderErrorsOfALogin(t *testing.T) {
	s := start(t, cognitotest.Options{})
	s.ready()
	s.pool.Break(cognitotest.TokenCode, cognitotest.Text("HTML", http.StatusOK, "text/html", "<h1>"+cognitotest.Canary+"</h1>"), 1)
	r := s.browser().Navigate("/auth/login")
	if r.Status != http.StatusBadGateway || !strings.Contains(string(r.Body), "provider_error") || strings.Contains(string(r.Body), cognitotest.Canary) {
		t.Errorf("%d %s", r.Status, r.Body)
	}

	huge := start(t, cognitotest.Options{RefreshTokenSize: 9000})
	huge.ready()
	ua := huge.browser()
	r = ua.Navigate("/auth/login")
	if r.Status != http.StatusInternalServerError || !strings.Contains(string(r.Body), "session_too_large") {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	for _, c := range ua.Cookies() {
		if names := testkit.Cookies(publicURL); names.Ours(c.Name) && c.Name != names.Began {
			t.Errorf("a cookie of a session that was not written: %s", c.Name)
		}
	}
	if !huge.log.Contains("the session needs") {
		t.Error("the log does not say what made it large")
	}
}
