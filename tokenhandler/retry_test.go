package tokenhandler_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/session"
)

// TestCallbackTwice checks the callback of a user who stops the page and loads it again
// while the provider is slow: the code is used up, and the login begins once more by
// itself, with everything that it was asked for.
func TestCallbackTwice(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	const asked = "identity_provider=Google&lang=de&login_hint=a&max_age=0&prompt=login"
	tab, callback := a.begin(ua, "/auth/login?return_to=/x&"+asked)
	login := loginCookie(t, ua)
	a.back(tab, callback)
	for _, name := range []string{sessionCookie, activeCookie} {
		ua.DeleteCookie(name) // the answer never came
	}
	ua.SetCookie(login)
	res := a.back(tab, callback)
	if res.Status != http.StatusFound || !strings.HasPrefix(res.Location(), a.pool.URL) {
		t.Fatalf("the second time: %d to %s %s", res.Status, res.Location(), res.Body)
	}
	got := testkit.MustURL(t, res.Location()).Query()
	for name, want := range testkit.MustURL(t, "?"+asked).Query() {
		if got.Get(name) != want[0] {
			t.Errorf("the new login has %s %q, want %q", name, got.Get(name), want[0])
		}
	}
	if res := a.back(tab, a.authorize(res.Location())); res.Status != http.StatusSeeOther || res.Location() != a.url+"/x" {
		t.Errorf("the new login: %d to %s", res.Status, res.Location())
	}
	a.wantSession(ua, true)
	if n := a.metric("tokenhandler_logins_total", "retried"); n != 1 {
		t.Errorf("%v logins counted as retried", n)
	}
}

// TestRefusedCodesDoNotLoop checks that a login begins again once, and then shows the
// page, which keeps what the login was asked for.
func TestRefusedCodesDoNotLoop(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	a.pool.Break(cognitotest.TokenCode, cognitotest.OAuthError("invalid_grant"), 0)
	tab, callback := a.begin(ua, "/auth/login?return_to=/x&identity_provider=Google")
	res := a.back(tab, callback)
	res = a.back(tab, a.authorize(res.Location()))
	wantPage(t, res, http.StatusBadRequest, "login_failed")
	for _, want := range []string{`href="/auth/login?identity_provider=Google&amp;return_to=%2Fx"`, "Please try again."} {
		if !strings.Contains(string(res.Body), want) {
			t.Errorf("the page lacks %s: %s", want, res.Body)
		}
	}
	a.wantRedeemed(2)
}

// TestOtherSitesBeginNoLoginAtTheCallback checks that a callback that is of no login of
// the browser begins one by itself only if the browser began one here lately (ASVS
// V7.6.2): otherwise any site could log its visitors in.
func TestOtherSitesBeginNoLoginAtTheCallback(t *testing.T) {
	for _, query := range []string{"?state=00", "?state=0" + strings.Repeat("A", 43) + "&code=x", "?code=x", ""} {
		a := newApp(t, settings{})
		visit := func(ua *useragent.UA) *useragent.Response {
			return ua.Tab().Open(useragent.Navigation{URL: "/auth/callback" + query, From: foreignSite, NoFollow: true})
		}
		wantPage(t, visit(a.browser()), http.StatusBadRequest, "login_failed")
		if n := a.metric("tokenhandler_logins_total", "unknown_state"); n != 1 {
			t.Errorf("%q: %v counted as unknown", query, n)
		}
		if n := a.metric("tokenhandler_logins_total", "state_lost"); n != 0 {
			t.Errorf("%q: %v counted as failed", query, n)
		}
		ua := a.browser()
		a.begin(ua, "/auth/login")
		if res := visit(ua); res.Status != http.StatusFound || !strings.HasPrefix(res.Location(), a.pool.URL) {
			t.Errorf("%q, after a login began: %d to %s", query, res.Status, res.Location())
		}
		wantPage(t, visit(ua), http.StatusBadRequest, "login_failed") // not twice in a row
		a.clock.Advance(time.Hour)
		wantPage(t, visit(ua), http.StatusBadRequest, "login_failed")
	}
}

// TestNewTryAfterASuccess checks that a callback may begin a login again when the last
// one that began so has succeeded, and that a logout ends that.
func TestNewTryAfterASuccess(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	for i := range 2 {
		tab, callback := a.begin(ua, "/auth/login")
		ua.SetCookie(useragent.Cookie{Name: loginCookie(t, ua).Name, Value: "lost"})
		res := a.back(tab, callback)
		if res.Status != http.StatusFound {
			t.Fatalf("no new login: %d %s", res.Status, res.Body)
		}
		a.complete(ua, tab, a.authorize(res.Location()))
		a.wantSession(ua, true)
		if n := a.metric("tokenhandler_logins_total", "retried"); int(n) != i+1 {
			t.Errorf("%v logins counted as retried", n)
		}
	}
	ua.Fetch(http.MethodPost, "/auth/logout", "")
	wantPage(t, ua.Tab().Open(useragent.Navigation{URL: "/auth/callback?code=x", From: foreignSite, NoFollow: true}), http.StatusBadRequest, "login_failed")
}

// TestOtherSitesLogNobodyInAgain checks that a callback that another site has made up leaves a
// browser alone that has a session, although the browser keeps that session's cookies back and
// has begun a login lately: the user would lose the session, and the WebSockets with it. A
// login that the user has begun in another tab goes on, also without its cookie.
func TestOtherSitesLogNobodyInAgain(t *testing.T) {
	for _, query := range []string{"?state=00", "?state=0" + strings.Repeat("A", 43) + "&code=x", "?code=x", "", "?error=access_denied"} {
		a := newApp(t, settings{})
		ua := a.login()
		tab, callback := a.begin(ua, "/auth/login?return_to=/x")
		for range 2 {
			res := ua.Tab().Open(useragent.Navigation{URL: "/auth/callback" + query, From: foreignSite, NoFollow: true})
			if res.Status != http.StatusSeeOther || res.Location() != a.url+"/" || len(res.Header["Set-Cookie"]) != 0 {
				t.Errorf("%q: %d to %s, cookies %v", query, res.Status, res.Location(), res.Header["Set-Cookie"])
			}
		}
		if n := a.metric("tokenhandler_logins_total", "already_logged_in"); n != 2 {
			t.Errorf("%q: %v counted", query, n)
		}
		a.wantSession(ua, true)
		lost := loginCookie(t, ua)
		lost.Value = "lost"
		ua.SetCookie(lost)
		res := a.back(tab, callback)
		if res.Status != http.StatusFound {
			t.Fatalf("%q: the user's own login: %d to %s", query, res.Status, res.Location())
		}
		a.complete(ua, tab, a.authorize(res.Location()))
		a.wantSession(ua, true)
	}
}

// TestOwnLoginWithTheSessionCookie: a provider on the same site (a custom domain of Cognito)
// sends the browser back with the session cookie of the user whom the login shall replace.
func TestOwnLoginWithTheSessionCookie(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	_, callback := a.begin(ua, "/auth/login?prompt=login")
	lost := loginCookie(t, ua)
	lost.Value = "lost"
	ua.SetCookie(lost)
	if res := ua.Tab().Open(useragent.Navigation{URL: callback, From: a.url, NoFollow: true}); res.Status != http.StatusFound {
		t.Errorf("%d to %s, want a new try", res.Status, res.Location())
	}
}

// TestSessionsThatAreOverDoNotCount checks that a browser may begin a login again by itself
// when the session that it had is known to be over.
func TestSessionsThatAreOverDoNotCount(t *testing.T) {
	for name, end := range map[string]func(a *app, ua *useragent.UA){
		"logged out by a copy": func(a *app, ua *useragent.UA) { a.copyOf(ua).Fetch(http.MethodPost, "/auth/logout", "") },
		"expired":              func(a *app, _ *useragent.UA) { a.clock.Advance(10 * time.Minute) },
	} {
		a := newApp(t, settings{session: func(c *session.Config) { c.AbsoluteLifetime = 10 * time.Minute }})
		ua := a.login()
		end(a, ua)
		if res := ua.Tab().Open(useragent.Navigation{URL: "/auth/callback?code=x", From: foreignSite, NoFollow: true}); res.Status != http.StatusFound {
			t.Errorf("%s: %d to %s", name, res.Status, res.Location())
		}
	}
}

// TestUsedCallbackIsNotRepeated checks the callback of a login that has succeeded, which the
// browser loads once more (back, reload): the user is logged in already.
func TestUsedCallbackIsNotRepeated(t *testing.T) {
	for _, sameSite := range []bool{false, true} {
		a := newApp(t, settings{sameSite: sameSite})
		ua := a.browser()
		tab, callback := a.begin(ua, "/auth/login")
		a.complete(ua, tab, callback)
		if res := a.back(tab, callback); res.Status != http.StatusSeeOther || res.Location() != a.url+"/" {
			t.Errorf("hosted UI on the app's site %v: %d to %s", sameSite, res.Status, res.Location())
		}
		a.wantSession(ua, true)
	}
}

// TestPortalsMayBeginLogins checks auth.allow_cross_site_login: the portal of an
// identity provider sends the browser to the callback with a code and no state.
func TestPortalsMayBeginLogins(t *testing.T) {
	a := newApp(t, settings{handler: func(c *tokenhandler.Config) { c.AllowCrossSiteLogin = true }})
	ua := a.browser()
	for range 3 {
		if res := ua.Tab().Open(useragent.Navigation{URL: "/auth/callback?code=x", From: foreignSite}); res.URL != a.url+"/" {
			t.Errorf("ended at %s with %d", res.URL, res.Status)
		}
		a.wantSession(ua, true)
	}
}

// TestBeganCookie checks the cookie's attributes, that only the service can make it, and
// that logins that begin by themselves do not prolong it.
func TestBeganCookie(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	res := a.page(ua, "/auth/login", nil)
	c := setCookies(t, res.Header)[beganCookie]
	want := &http.Cookie{Name: beganCookie, Path: "/", MaxAge: 3600, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if c == nil || len(c.Value) < 40 {
		t.Fatalf("the cookie is %v", c)
	}
	want.Value, want.Raw = c.Value, c.Raw
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	a.clock.Advance(50 * time.Minute)
	if res := a.page(ua, "/auth/callback?code=x", nil); res.Status != http.StatusFound {
		t.Errorf("after 50 minutes: %d", res.Status)
	}
	pending := loginCookies(ua)
	a.clock.Advance(10 * time.Minute)
	wantPage(t, a.page(ua, "/auth/callback?code=x", nil), http.StatusBadRequest, "login_failed")
	for _, value := range []string{"", "x", c.Value[:len(c.Value)-4] + "AAAA", pending[0]} {
		other := a.browser()
		other.SetCookie(useragent.Cookie{Name: beganCookie, Value: value})
		wantPage(t, a.page(other, "/auth/callback?code=x", nil), http.StatusBadRequest, "login_failed")
	}
}

// TestReasons checks what users, the app's page and the log see of Cognito's
// descriptions, and that the app's page gets a trigger's text only if that is wanted.
func TestReasons(t *testing.T) {
	for description, want := range map[string]struct {
		code, message string
		status        int
	}{
		"User is not enabled.":                                     {"user_disabled", "", http.StatusForbidden},
		"PreSignUp failed with error Only invited users.. ":        {"trigger_refused", "Only invited users.", http.StatusForbidden},
		"PreAuthentication failed with error <b>No.</b>.":          {"trigger_refused", "<b>No.</b>", http.StatusForbidden},
		"PreTokenGeneration failed with error secret of the code.": {"trigger_refused", "", http.StatusForbidden},
		"attributes required: [email]":                             {"login_failed", "", http.StatusBadRequest},
		"":                                                         {"login_failed", "", http.StatusBadRequest},
	} {
		for _, messages := range []bool{false, true} {
			a := newApp(t, settings{handler: func(c *tokenhandler.Config) {
				c.LoginError, c.TriggerMessages = cognito.LoginError, messages
				c.ErrorPath = map[bool]string{true: "/sign-in-failed"}[messages]
			}})
			a.pool.OnCallback(func(q url.Values) {
				q.Del("code")
				q.Set("error", "invalid_request")
				q.Set("error_description", description)
			})
			_, res := a.failLogin()
			if !messages {
				wantPage(t, res, want.status, want.code)
			} else if q := testkit.MustURL(t, res.Location()).Query(); q.Get("error") != want.code || q.Get("message") != want.message {
				t.Errorf("%q: %s", description, res.Location())
			}
			outcome := want.code
			if outcome == "login_failed" {
				outcome = "refused"
			}
			if n := a.metric("tokenhandler_logins_total", outcome); n != 1 {
				t.Errorf("%q: %v counted", description, n)
			}
			if !strings.Contains(string(res.Body), "cookies") && description != "" && !a.log.Contains(strings.TrimSpace(description[:9])) {
				t.Errorf("%q is not in the log", description)
			}
			if strings.Contains(string(res.Body), "cookies are blocked") {
				t.Errorf("%q: the page blames cookies: %s", description, res.Body)
			}
		}
	}
}

// TestDescriptionsAreBounded checks that a long description does not fill the log, and
// cannot forge a line of it.
func TestDescriptionsAreBounded(t *testing.T) {
	a := newApp(t, settings{})
	a.pool.OnCallback(func(q url.Values) {
		q.Set("error", "invalid_request")
		q.Set("error_description", "first\r\n\x00\u2028second\xff"+strings.Repeat("é", 1000))
	})
	a.failLogin()
	if !a.log.Contains(`"description":"first    second `+strings.Repeat("é", 100)) || a.log.Contains(strings.Repeat("é", 200)) {
		t.Errorf("the log: %s", a.log.String())
	}
}

// TestAccountLinkedIsTriedAgain checks the first login of a federated user that only
// linked the account: Cognito refuses it, and the next one succeeds.
func TestAccountLinkedIsTriedAgain(t *testing.T) {
	for _, forGood := range []bool{false, true} {
		a := newApp(t, settings{handler: func(c *tokenhandler.Config) { c.LoginError = cognito.LoginError }})
		refuse := func(q url.Values) {
			q.Set("error", "invalid_request")
			q.Set("error_description", "Already found an entry for username Google_1234567890 ")
		}
		a.pool.OnCallback(refuse)
		ua := a.browser()
		tab, callback := a.begin(ua, "/auth/login?return_to=/x&identity_provider=Google")
		res := a.back(tab, callback)
		if res.Status != http.StatusFound || testkit.MustURL(t, res.Location()).Query().Get("identity_provider") != "Google" {
			t.Fatalf("%d to %s", res.Status, res.Location())
		}
		if !forGood {
			a.pool.OnCallback(nil)
		}
		res = a.back(tab, a.authorize(res.Location()))
		if forGood {
			wantPage(t, res, http.StatusBadRequest, "account_linked")
		} else if res.Location() != a.url+"/x" {
			t.Errorf("%d to %s", res.Status, res.Location())
		}
	}
}

// TestErrorPathGetsWhatATryNeeds checks that the app's page can begin the same login
// again, and that the answer's head stays as small as proxies want it.
func TestErrorPathGetsWhatATryNeeds(t *testing.T) {
	a := newApp(t, settings{handler: func(c *tokenhandler.Config) { c.ErrorPath = "/sign-in-failed" }})
	a.pool.OnCallback(func(q url.Values) { q.Set("error", "access_denied") })
	fail := func(query string) (url.Values, *useragent.Response) {
		tab, callback := a.begin(a.browser(), "/auth/login?"+query)
		res := a.back(tab, callback)
		return testkit.MustURL(t, res.Location()).Query(), res
	}
	asked := url.Values{"return_to": {"/x?a=b"}, "identity_provider": {"My IdP"}, "lang": {"pt-BR"}, "login_hint": {"a@b.example"}, "max_age": {"60"}, "prompt": {"login"}}
	got, _ := fail(asked.Encode())
	got.Del("request_id")
	want := url.Values{"error": {"access_denied"}}
	for name := range asked {
		want[name] = asked[name]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, _ := fail("login_hint=none"); got.Get("login_hint") != "none" {
		t.Errorf("the hint is lost: %v", got)
	}
	if got, _ := fail("prompt=none"); got.Has("prompt") || got.Has("return_to") {
		t.Errorf("prompt=none is kept, or a return path made up: %v", got)
	}
	long := url.Values{"return_to": {"/" + strings.Repeat("é", 340)}, "login_hint": {strings.Repeat("x", 256)}}
	got, res := fail(long.Encode())
	size := 0
	for name, values := range res.Header {
		for _, value := range values {
			size += len(name) + len(value) + 4
		}
	}
	if !got.Has("return_to") || got.Has("login_hint") || got.Get("error") != "access_denied" || size > 4096 {
		t.Errorf("%d bytes: %v", size, got)
	}
}
