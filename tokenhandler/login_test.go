package tokenhandler_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
)

// page opens a page by a navigation that the app starts, without following redirects.
func (a *app) page(ua *useragent.UA, path string, header map[string]string) *useragent.Response {
	return ua.Open(useragent.Navigation{URL: path, From: a.url, NoFollow: true, Header: header})
}

// TestLoginSendsToTheHostedPage checks all parameters of the authorization request.
// Other products send nonce and PKCE only on request.
func TestLoginSendsToTheHostedPage(t *testing.T) {
	a := newApp(t, settings{})
	for path, hosted := range map[string]string{
		"/auth/login":           "/oauth2/authorize",
		"/auth/signup":          "/signup",
		"/auth/forgot-password": "/forgotPassword",
	} {
		res := a.page(a.browser(), path+"?return_to=/x", nil)
		target := testkit.MustURL(t, res.Location())
		if res.Status != http.StatusFound || target.Scheme+"://"+target.Host != a.pool.URL || target.Path != hosted {
			t.Errorf("%s: %d to %s", path, res.Status, target)
		}
		query := target.Query()
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			if len(query.Get(name)) < 43 {
				t.Errorf("%s: %s is %q, want 256 bits", path, name, query.Get(name))
			}
			query.Del(name)
		}
		want := url.Values{
			"response_type": {"code"}, "client_id": {a.pool.ClientID()}, "redirect_uri": {a.url + "/auth/callback"},
			"scope": {"openid email profile"}, "code_challenge_method": {"S256"},
		}
		if diff := cmp.Diff(want, query); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// TestLoginsShareNothing checks that state, nonce and verifier are new in every
// login, and that the challenge is the SHA-256 of the verifier.
func TestLoginsShareNothing(t *testing.T) {
	a := newApp(t, settings{})
	ua, seen := a.browser(), map[string]bool{}
	for range 5 {
		tab, callback := a.begin(ua, "/auth/login")
		form := a.pool.LastForm(cognitotest.Authorize)
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			if seen[form.Get(name)] {
				t.Errorf("%s used twice", name)
			}
			seen[form.Get(name)] = true
		}
		if res := a.back(tab, callback); res.Status != http.StatusSeeOther {
			t.Fatalf("callback: %d %s", res.Status, res.Body)
		}
		sum := sha256.Sum256([]byte(a.pool.LastForm(cognitotest.TokenCode).Get("code_verifier")))
		if base64.RawURLEncoding.EncodeToString(sum[:]) != form.Get("code_challenge") {
			t.Error("the challenge is not of the verifier")
		}
	}
}

// TestLoginCookie checks the attributes of the cookie, and that it is sealed. It must
// be SameSite=Lax, because the provider's redirect comes from another site.
func TestLoginCookie(t *testing.T) {
	a := newApp(t, settings{})
	res := a.page(a.browser(), "/auth/login?return_to=/notes", nil)
	cookies := setCookies(t, res.Header)
	delete(cookies, beganCookie)
	if len(cookies) != 1 {
		t.Fatalf("%d cookies set", len(cookies))
	}
	for name, c := range cookies {
		lasts := map[bool]int{false: 900, true: 3600}[name == beganCookie]
		want := http.Cookie{Name: name, Value: c.Value, Path: "/", MaxAge: lasts, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, Raw: c.Raw}
		if diff := cmp.Diff(want, *c); diff != "" || name != beganCookie && !strings.HasPrefix(name, loginPrefix) {
			t.Errorf("cookie %s (-want +got):\n%s", name, diff)
		}
		state := testkit.MustURL(t, res.Location()).Query().Get("state")
		if strings.Contains(c.Raw, state) || strings.Contains(c.Raw, "notes") {
			t.Error("the cookie can be read")
		}
		if strings.Contains(res.Header.Get("Location"), "notes") {
			t.Error("the return path travels through the provider")
		}
	}
}

// TestLoginPassesParametersOn checks that well-formed parameters are passed to the
// provider unchanged, and that malformed and repeated ones are refused (ASVS
// V15.3.7).
func TestLoginPassesParametersOn(t *testing.T) {
	a := newApp(t, settings{})
	for _, query := range []string{
		"identity_provider=Google", "identity_provider=My+IdP%2F%C3%A9", "idp_identifier=example.com", "login_hint=a%2Bb%40example.com",
		"lang=pt-BR", "lang=en", "lang=zh-CN", "prompt=none", "prompt=login", "prompt=login+consent", "prompt=select_account",
		"max_age=0", "max_age=3600", "max_age=34560000", "lang=de&prompt=login&login_hint=x",
	} {
		res := a.page(a.browser(), "/auth/login?"+query, nil)
		got, want := testkit.MustURL(t, res.Location()).Query(), testkit.MustURL(t, "?"+query).Query()
		for name := range want {
			if res.Status != http.StatusFound || got.Get(name) != want.Get(name) {
				t.Errorf("%s: %d, %s is %q", query, res.Status, name, got.Get(name))
			}
		}
	}
	for _, query := range []string{
		"identity_provider=", "identity_provider=" + strings.Repeat("x", 129), "identity_provider=a%00b", "identity_provider=a%0d%0ab",
		"idp_identifier=%E2%80%AE", "login_hint=%ff", "login_hint=" + strings.Repeat("x", 257), "login_hint=a%09b",
		"lang=", "lang=english", "lang=en_US", "lang=en%0d", "lang=en-", "lang=%3Cscript%3E",
		"prompt=", "prompt=create", "prompt=none+login", "prompt=login++consent", "prompt=login+login", "prompt=Login",
		"max_age=", "max_age=-1", "max_age=1.5", "max_age=01", "max_age=%2B1", "max_age=1e3", "max_age=34560001", "max_age=99999999999999999999",
		"return_to=/a&return_to=/b", "prompt=login&prompt=none", "lang=de&lang=de", "x=1&x=2", "return_to=%zz", "a;b",
	} {
		ua := a.browser()
		res := a.page(ua, "/auth/login?"+query, nil)
		p := testkit.WantProblem(t, res.Answer(), http.StatusBadRequest, "invalid_request")
		if name, _, _ := strings.Cut(query, "="); strings.Contains("identity_provider idp_identifier login_hint lang prompt max_age", name) &&
			strings.Count(query, name+"=") == 1 && !strings.Contains(p.Detail, name) {
			t.Errorf("%s: the answer does not name the parameter: %s", query, p.Detail)
		}
		wantNoLogin(t, ua)
	}
	for _, query := range []string{"client_id=evil", "redirect_uri=https://evil.example", "scope=admin", "response_type=token", "state=x", "code_challenge=x", "resource=x"} {
		name, value, _ := strings.Cut(query, "=")
		res := a.page(a.browser(), "/auth/login?"+query, nil)
		if got := testkit.MustURL(t, res.Location()).Query(); res.Status != http.StatusFound || slices.Contains(got[name], value) {
			t.Errorf("%s reached the provider", query)
		}
	}
}

// TestOnlyNavigationsStartALogin checks that a fetch starts no login, because it
// cannot follow the redirect; nor does an image or frame, which any page can contain,
// nor a prefetch, which no user has asked for.
func TestOnlyNavigationsStartALogin(t *testing.T) {
	a := newApp(t, settings{})
	for _, path := range []string{"/auth/login", "/auth/signup", "/auth/forgot-password"} {
		ua := a.browser()
		for name, res := range map[string]*useragent.Response{
			"fetch":            ua.Fetch(http.MethodGet, path, ""),
			"no-cors fetch":    ua.Fetch(http.MethodGet, path, "", useragent.FetchOptions{Mode: "no-cors"}),
			"image":            ua.Fetch(http.MethodGet, path, "", useragent.FetchOptions{Mode: "no-cors", Dest: "image"}),
			"image elsewhere":  ua.FetchFrom(foreignSite, http.MethodGet, a.url+path, "", useragent.FetchOptions{Mode: "no-cors", Dest: "image"}),
			"script elsewhere": ua.FetchFrom(foreignSite, http.MethodGet, a.url+path, ""),
		} {
			if res.Status != http.StatusBadRequest || len(setCookies(t, res.Header)) != 0 {
				t.Errorf("%s of %s: %d %v", name, path, res.Status, res.Header["Set-Cookie"])
			}
		}
		for _, dest := range []string{"iframe", "frame", "object", "embed", "fencedframe", "image"} {
			res := a.send(t.Context(), http.MethodGet, path, http.Header{
				"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {dest},
			})
			testkit.WantProblem(t, *res, http.StatusBadRequest, "invalid_request")
			res = a.send(t.Context(), http.MethodGet, path, http.Header{"Sec-Fetch-Dest": {dest}})
			testkit.WantProblem(t, *res, http.StatusBadRequest, "invalid_request")
		}
		for _, header := range []map[string]string{
			{"Sec-Purpose": "prefetch"},
			{"Sec-Purpose": "prefetch;prerender"},
			{"Sec-Purpose": "prefetch;anonymous-client-ip"},
			{"Sec-Purpose": "prefetch; prerender"},
			{"Purpose": "prefetch"},
			{"X-Moz": "prefetch"},
		} {
			res := a.page(ua, path, header)
			if res.Status != http.StatusNoContent || len(res.Body) != 0 || len(setCookies(t, res.Header)) != 0 {
				t.Errorf("%v of %s: %d %s", header, path, res.Status, res.Body)
			}
		}
		wantNoLogin(t, ua)
		for _, method := range []string{http.MethodPost, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions} {
			res := a.send(t.Context(), method, path, http.Header{"Sec-Fetch-Site": {"same-origin"}})
			if res.Status != http.StatusMethodNotAllowed || res.Header.Get("Allow") != http.MethodGet {
				t.Errorf("%s %s: %d, Allow %q", method, path, res.Status, res.Header.Get("Allow"))
			}
		}
	}
	// A browser without Fetch Metadata, and a user who types the address.
	// The app's service worker may pass the navigation on.
	for _, header := range []http.Header{
		nil,
		{"Sec-Fetch-Dest": {"document"}},
		{"Sec-Purpose": {"prefetched"}},
		{"Purpose": {"a-prefetch"}},
		{"Sec-Fetch-Site": {"none"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}},
		{"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"empty"}},
	} {
		if res := a.send(t.Context(), http.MethodGet, "/auth/login", header); res.Status != http.StatusFound {
			t.Errorf("%v: %d", header, res.Status)
		}
	}
}

// TestForeignSitesStartNoLogin checks that a link on another site leads to the app
// without starting a login, unless the operator allows it (ASVS V7.6.2).
func TestForeignSitesStartNoLogin(t *testing.T) {
	for _, allow := range []bool{false, true} {
		a := newApp(t, settings{handler: func(c *tokenhandler.Config) { c.AllowCrossSiteLogin = allow }})
		ua := a.browser()
		res := ua.Open(useragent.Navigation{URL: "/auth/login?return_to=/x&prompt=bad", From: foreignSite, NoFollow: true})
		if allow {
			testkit.WantProblem(t, res.Answer(), http.StatusBadRequest, "invalid_request")
		} else if res.Status != http.StatusSeeOther || res.Header.Get("Location") != "/" || len(res.Header["Set-Cookie"]) != 0 {
			t.Errorf("%d to %s", res.Status, res.Location())
		}
		res = ua.NavigateFrom(foreignSite, "/auth/login?return_to=/x")
		if want := a.url + map[bool]string{true: "/x", false: "/"}[allow]; res.URL != want || res.Status != http.StatusOK {
			t.Errorf("allowed %v: ended at %s with %d", allow, res.URL, res.Status)
		}
		a.wantSession(ua, allow)
	}
}

// TestReturnToStaysHere checks known open redirects through a whole login. Package
// web has a longer list.
func TestReturnToStaysHere(t *testing.T) {
	a := newApp(t, settings{allowed: []string{"http://static.example"}})
	long := "/" + strings.Repeat("a", 400)
	amps := "/a?" + strings.Repeat("&b", 250)
	for returnTo, want := range map[string]string{
		"":                                "/",
		"/notes?a=1&b=2#c":                "/notes?a=1&b=2#c",
		long:                              long,
		amps:                              amps, // each & was six bytes once, and the login 400
		"/" + strings.Repeat("<", 1000):   "/",
		"/x?" + strings.Repeat(`"`, 2046): "/",
		"/" + strings.Repeat("a", 2048):   "/",
		"/my orders":                      "/my%20orders",
		"/製品/1":                           "/%E8%A3%BD%E5%93%81/1",
		"?tab=2":                          "/?tab=2",
		"#/orders":                        "/#/orders",
		"https://evil.example/":           "/",
		"//evil.example":                  "/",
		`/\evil.example`:                  "/",
		"/\t/evil.example":                "/",
		"/%2f/evil.example":               "/",
		"/%5cevil.example":                "/",
		"javascript:alert(1)":             "/",
		"/a/../../evil":                   "/",
		"/auth/login":                     "/",
		"/auth/logout?x":                  "/",
		a.url + "/x?y#z":                  "/x?y#z",
		"http://static.example/x":         "http://static.example/x",
		"http://static.example.evil":      "/",
	} {
		ua := a.browser()
		tab, callback := a.begin(ua, "/auth/login?return_to="+url.QueryEscape(returnTo))
		if res := a.back(tab, callback); res.Status != http.StatusSeeOther || res.Header.Get("Location") != want {
			t.Errorf("return_to %.60q: %d to %.60q, want %.60q", returnTo, res.Status, res.Header.Get("Location"), want)
		}
	}
}

// TestLoginWithoutProvider checks that a login answers 503 with Retry-After while the
// provider is not reachable, and works as soon as it is.
func TestLoginWithoutProvider(t *testing.T) {
	a := newApp(t, settings{disconnected: true})
	ua := a.browser()
	res := ua.Click("/auth/login")
	testkit.WantProblem(t, res.Answer(), http.StatusServiceUnavailable, "provider_unavailable")
	wantNoLogin(t, ua)
	a.connect()
	a.loginIn(ua, "/x")
}

func TestUnknownPaths(t *testing.T) {
	a := newApp(t, settings{})
	for _, path := range []string{"/auth/", "/auth/login/", "/auth/nothing", "/auth/Login", "/auth/callback/x"} {
		res := a.page(a.browser(), path, nil)
		testkit.WantProblem(t, res.Answer(), http.StatusNotFound, "not_found")
	}
}
