package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// TestNoCacheKeepsOurCookies: no cache may store an answer that sets a cookie. The browser
// of these tests checks the header (see uncached). This test requests every kind of
// answer while a cookie is due, and asserts that the answer sets it.
func TestNoCacheKeepsOurCookies(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/late/") {
			<-r.Context().Done()
			return
		}
		for _, name := range []string{"Cache-Control", "CDN-Cache-Control", "Surrogate-Control"} {
			w.Header().Set(name, "public, max-age=600")
		}
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("Expires", "Fri, 31 Dec 9999 23:59:59 GMT")
		w.Header().Set("Location", "/status/200")
		status, _ := strconv.Atoi(path.Base(r.URL.Path))
		w.WriteHeader(status)
	}))
	t.Cleanup(upstream.Close)
	const verifySecret = "planted-verify-secret-value"
	// The tokens of a new session have already expired (see
	// TestParallelRequestsWithAnExpiredToken), so that the next answer sets new cookies.
	var behind atomic.Int64
	clock := func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) }
	s := start(t, cognitotest.Options{AccessTTL: time.Hour, Clock: clock}, fmt.Sprintf(`
    - {path: /status/, upstream: %[1]q}
    - {path: /guests/, upstream: %[1]q, anonymous: true}
    - {path: /admins/, upstream: %[1]q, groups: [admins]}
    - {path: /late/, upstream: %[1]q, timeout: 500ms}
spa: {dir: %[2]q}
auth: {verify_secret: %[3]s}`, upstream.URL, newSPA(t), verifySecret))
	s.ready()
	due := func() *useragent.UA {
		t.Helper()
		behind.Store(int64(time.Hour))
		ua := s.login()
		behind.Store(0)
		return ua
	}
	dead := func() *useragent.UA {
		t.Helper()
		ua := due()
		copied := s.browser()
		for _, c := range ua.Cookies() {
			copied.SetCookie(c)
		}
		ua.Fetch(http.MethodPost, "/auth/logout", "")
		return copied
	}
	manual := useragent.FetchOptions{Redirect: "manual"}
	stuffed := func() *useragent.UA {
		t.Helper()
		ua := s.browser()
		ua.SetCookie(useragent.Cookie{Name: testkit.Cookies(publicURL).Session, Value: strings.Repeat("x", 13000), Path: "/", HTTPOnly: true})
		return ua
	}
	// callback returns the answer to the redirect from the provider.
	callback := func(ua *useragent.UA) *useragent.Response {
		t.Helper()
		last := ua.Navigate("/auth/login?return_to=/open/start")
		for _, r := range append(last.Via, last) {
			if strings.HasPrefix(r.URL, publicURL+"/auth/callback?") {
				return r
			}
		}
		return last
	}
	refusedCallback := func(ua *useragent.UA) *useragent.Response {
		t.Helper()
		s.pool.Break(cognitotest.TokenCode, cognitotest.Text("HTML", http.StatusOK, "text/html", "<h1>down</h1>"), 1)
		return callback(ua)
	}
	fetch := func(method, target, body string, opts ...useragent.FetchOptions) func(*useragent.UA) *useragent.Response {
		return func(ua *useragent.UA) *useragent.Response {
			return ua.Fetch(method, target, body, append(opts, manual)[0])
		}
	}
	gateway := useragent.FetchOptions{Header: map[string]string{"X-Auth-Request-Secret": verifySecret}}
	type kind struct {
		ask    func(*useragent.UA) *useragent.Response
		from   func() *useragent.UA
		status int
	}
	kinds := map[string]kind{
		"login":                     {func(ua *useragent.UA) *useragent.Response { return ua.NavigateNoFollow("/auth/login") }, s.browser, 302},
		"callback":                  {callback, s.browser, 303},
		"callback, refused":         {refusedCallback, s.browser, 502},
		"session":                   {fetch("GET", "/auth/session", ""), due, 200},
		"session, HEAD":             {fetch("HEAD", "/auth/session", ""), due, 200},
		"session, dead":             {fetch("GET", "/auth/session", ""), dead, 200},
		"refresh":                   {fetch("POST", "/auth/refresh", ""), due, 200},
		"refresh, dead":             {fetch("POST", "/auth/refresh", ""), dead, 401},
		"logout":                    {fetch("POST", "/auth/logout", ""), due, 200},
		"logout by form":            {func(ua *useragent.UA) *useragent.Response { return ua.SubmitForm("/auth/logout", url.Values{}).Via[0] }, due, 200},
		"verify":                    {fetch("GET", "/auth/verify", "", gateway), due, 204},
		"verify, refused":           {fetch("GET", "/auth/verify?group=admins", "", gateway), due, 403},
		"verify, dead":              {fetch("GET", "/auth/verify", "", gateway), dead, 401},
		"upload":                    {fetch("POST", "/storage/uploads", `{"key":"a","content_type":"text/plain","size":1}`, jsonBody), due, 201},
		"upload, refused":           {fetch("POST", "/storage/uploads", `{"key":"../a","content_type":"text/plain","size":1}`, jsonBody), due, 400},
		"upload, dead":              {fetch("POST", "/storage/uploads", `{}`, jsonBody), dead, 401},
		"API, HEAD":                 {fetch("HEAD", "/status/200", ""), due, 200},
		"API, refused":              {fetch("GET", "/admins/200", ""), due, 403},
		"API, unreachable":          {fetch("GET", "/down/x", ""), due, 502},
		"API, late":                 {fetch("GET", "/late/x", ""), due, 504},
		"API, dead":                 {fetch("GET", "/status/200", ""), dead, 401},
		"API, dead but open to all": {fetch("GET", "/guests/200", ""), dead, 200},
		"API, too many cookies":     {fetch("GET", "/status/200", ""), stuffed, 431},
		"session, too many cookies": {fetch("GET", "/auth/session", ""), stuffed, 200},
	}
	for _, status := range []int{200, 201, 204, 301, 302, 304, 307, 308, 400, 401, 404, 429, 500, 503} {
		kinds[fmt.Sprintf("API, %d", status)] = kind{fetch("GET", fmt.Sprintf("/status/%d", status), ""), due, status}
	}
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			r := k.ask(k.from())
			if r.Status != k.status || len(r.Header["Set-Cookie"]) == 0 || !slices.Equal(r.Header["Cache-Control"], []string{"no-store"}) {
				t.Errorf("answered %d, Set-Cookie %.100q, Cache-Control %q: %s", r.Status, r.Header["Set-Cookie"], r.Header["Cache-Control"], r.Body)
			}
		})
	}
	// Caches may store the app's files: they set no cookie.
	if r := due().Navigate("/"); r.Status != http.StatusOK || len(r.Header["Set-Cookie"]) != 0 {
		t.Errorf("the app: answered %d, Set-Cookie %q", r.Status, r.Header["Set-Cookie"])
	}
}
