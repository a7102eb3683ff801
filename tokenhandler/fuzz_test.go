package tokenhandler_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// fuzzQuery serves a query without a server and checks what must hold for every
// answer: no 5xx except 503, no redirect except within the app and to the provider,
// no script on a page, no session.
func fuzzQuery(t *testing.T, a *app, path, query string, cookies []useragent.Cookie) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, a.url+path, http.NoBody)
	r.URL.RawQuery = query
	for _, c := range cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	rec := httptest.NewRecorder()
	a.ServeHTTP(rec, r)
	if rec.Code >= http.StatusInternalServerError && rec.Code != http.StatusServiceUnavailable {
		t.Errorf("%q: %d %s", query, rec.Code, rec.Body)
	}
	if location := rec.Header().Get("Location"); location != "" {
		target, err := url.Parse(location)
		if err != nil {
			t.Fatalf("%q: Location %q: %v", query, location, err)
		}
		ours := target.Scheme == "" && target.Host == "" && strings.HasPrefix(location, "/") &&
			!strings.HasPrefix(location, "//") && !strings.ContainsAny(location, "\\\r\n\t")
		if !ours && target.Scheme+"://"+target.Host != a.pool.URL {
			t.Errorf("%q: Location %q", query, location)
		}
	}
	if strings.Contains(rec.Body.String(), "<script") {
		t.Errorf("%q: %s", query, rec.Body)
	}
	for name, c := range setCookies(t, rec.Header()) {
		if !strings.HasPrefix(name, loginPrefix) && name != beganCookie && c.MaxAge >= 0 {
			t.Errorf("%q: a session comes of nothing", query)
		}
	}
	return rec
}

func FuzzCallbackQuery(f *testing.F) {
	a := newApp(f, settings{})
	ua := a.browser()
	_, callback := a.begin(ua, "/auth/login?return_to=/x")
	cookies := ua.Cookies()
	state := testkit.MustURL(f, callback).Query().Get("state")
	for _, seed := range []string{
		"", "code=x&state=0x", "code=x&state=STATE", "code=&state=STATE", "state=STATE&error=access_denied&error_description=%3Cscript%3E",
		"error=%3Cscript%3Ealert(1)%3C/script%3E", "state=STATE&iss=x", "state=STATE&state=STATE", "code=a&code=b&state=0", "%zz", "a;b=c",
		"state=%00&code=%ff", "state=0&code=" + strings.Repeat("x", 5000), "state=" + strings.Repeat("0", 200), "return_to=//evil.example&state=STATE&error=x",
		"state=1AAAA&code=x", "code=x&state=0x&iss=https://evil.example",
	} {
		f.Add(seed)
	}
	// The token endpoint is not fuzzed: it refuses the invented codes.
	f.Fuzz(func(t *testing.T, query string) {
		fuzzQuery(t, a, "/auth/callback", strings.ReplaceAll(query, "STATE", state), cookies)
	})
}

func FuzzLoginQuery(f *testing.F) {
	a := newApp(f, settings{})
	for _, seed := range []string{
		"", "return_to=/x", "return_to=//evil.example", `return_to=/\evil.example`, "return_to=/%0d%0aSet-Cookie:x", "return_to=https://evil.example",
		"return_to=/%2f%2fevil.example", "return_to=%2F%09%2Fevil.example", "return_to=/a&return_to=/b", "prompt=none&max_age=0&lang=de",
		"login_hint=%ff", "identity_provider=" + strings.Repeat("x", 200), "lang=%3Cscript%3E", "max_age=-1", "%zz", "a;b", "return_to=javascript:alert(1)",
		"return_to=/" + strings.Repeat("%22", 400), "return_to=/%3F%23%5C", "return_to=http:evil.example", "return_to=/@evil.example",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		rec := fuzzQuery(t, a, "/auth/login", query, nil)
		if rec.Code != http.StatusFound {
			if rec.Code != http.StatusBadRequest || len(rec.Header()["Set-Cookie"]) != 0 {
				t.Errorf("%q: %d", query, rec.Code)
			}
			return
		}
		// The sealed return path leads to the app.
		ua := useragent.New(t, a.url)
		for _, c := range setCookies(t, rec.Header()) {
			ua.SetCookie(useragent.Cookie{Name: c.Name, Value: c.Value})
		}
		state := testkit.MustURL(t, rec.Header().Get("Location")).Query().Get("state")
		page := fuzzQuery(t, a, "/auth/callback", "error=access_denied&state="+state, ua.Cookies())
		if page.Code != http.StatusForbidden {
			t.Errorf("%q: the login does not come back: %d", query, page.Code)
		}
	})
}
