package tokenhandler_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
)

// logoutTo logs out as an app's script does, and goes where the answer says.
func (a *app) logoutTo(ua *useragent.UA, returnTo string) *useragent.Response {
	a.tb.Helper()
	res := ua.Fetch(http.MethodPost, "/auth/logout?return_to="+url.QueryEscape(returnTo), "")
	setCookies(a.tb, res.Header) // none twice
	var got struct {
		LogoutURL string `json:"logout_url"`
	}
	if err := res.JSON(&got); err != nil || res.Status != http.StatusOK || !strings.HasPrefix(got.LogoutURL, "http") {
		a.tb.Fatalf("%d %s", res.Status, res.Body)
	}
	return ua.Click(got.LogoutURL)
}

// TestLogoutReturns checks where the browser ends. Cognito's logout brings nothing back,
// and takes registered URLs only.
func TestLogoutReturns(t *testing.T) {
	const sister = "http://127.0.0.1:3000"
	for raw, want := range map[string]string{
		"/goodbye":                      "/goodbye",
		"/goodbye?why=1#end":            "/goodbye?why=1#end",
		"/bye":                          "/bye",
		"/":                             "/",
		"":                              "/",
		"//evil.example/x":              "/",
		"https://evil.example/":         "/",
		`/\evil.example`:                "/",
		"/auth/login":                   "/",
		"/auth/logout/done":             "/",
		"/" + strings.Repeat("x", 50):   "/" + strings.Repeat("x", 50),
		"/" + strings.Repeat("x", 2047): "/bye", // its cookie would make the answer's head too large
		sister + "/there":               sister + "/there",
	} {
		for _, openID := range []bool{false, true} {
			var a *app
			if openID {
				a = newOpenIDApp(t, func(s *settings) { keepIDToken(s); s.allowed = []string{sister} })
			} else {
				a = newApp(t, settings{allowed: []string{sister}})
			}
			a.pool.AllowLogout(a.url + "/auth/logout/done")
			ua := a.login()
			a.begin(ua, "/auth/login") // in another tab: its cookie is removed
			res := a.logoutTo(ua, raw)
			if !strings.HasPrefix(want, "http") {
				want = a.url + want
			}
			if got := res.URL; got != want && strings.ReplaceAll(got, "#end", "") != strings.ReplaceAll(want, "#end", "") {
				t.Errorf("%.40q ended at %.80s with %d %.200s, want %.80s", raw, got, res.Status, res.Body, want)
			}
			if left := ours(ua); len(left) != 0 {
				t.Errorf("%.40q: cookies left: %v", raw, left)
			}
			want = strings.TrimPrefix(want, a.url)
		}
	}
}

// newReturningApp is an app to which a logout comes back from Cognito, or from a plain OpenID provider.
func newReturningApp(t *testing.T, openID bool) *app {
	t.Helper()
	a := newApp(t, settings{})
	if openID {
		a = newOpenIDApp(t, keepIDToken)
	}
	a.pool.AllowLogout(a.url + "/auth/logout/done")
	return a
}

// TestWayBackOfTheLastLogout: who logs out twice, and has not come back from the first time,
// comes back as the second one says.
func TestWayBackOfTheLastLogout(t *testing.T) {
	for _, openID := range []bool{false, true} {
		a := newReturningApp(t, openID)
		ua := a.login()
		ua.Fetch(http.MethodPost, "/auth/logout?return_to=/first", "")
		a.loginIn(ua, "/")
		if res := a.logoutTo(ua, "/second"); res.URL != a.url+"/second" {
			t.Errorf("OpenID %v: the second logout ended at %s with %d", openID, res.URL, res.Status)
		}
	}
}

// TestWayBackThatDoesNotFit: a page whose way back would make the head of the answer larger than
// proxies accept is not returned to, and neither is the one of an earlier logout.
func TestWayBackThatDoesNotFit(t *testing.T) {
	a := newReturningApp(t, false)
	ua := a.login()
	ua.Fetch(http.MethodPost, "/auth/logout?return_to=/first", "")
	a.loginIn(ua, "/")
	if res := a.logoutTo(ua, "/?"+strings.Repeat(`"`, 2000)); res.URL != a.url+"/bye" {
		t.Errorf("ended at %s with %d", res.URL, res.Status)
	}
	if left := ours(ua); len(left) != 0 {
		t.Errorf("cookies left: %v", left)
	}
}

// TestWayBackSurvivesALogin: an app in another tab that notices the logout starts a login.
func TestWayBackSurvivesALogin(t *testing.T) {
	for _, openID := range []bool{false, true} {
		a := newReturningApp(t, openID)
		ua := a.login()
		var got struct {
			LogoutURL string `json:"logout_url"`
		}
		res := ua.Fetch(http.MethodPost, "/auth/logout?return_to=/goodbye", "")
		if err := res.JSON(&got); err != nil {
			t.Fatalf("%v %s", err, res.Body)
		}
		for range 2 {
			a.begin(ua, "/auth/login")
		}
		if res := ua.Click(got.LogoutURL); res.URL != a.url+"/goodbye" {
			t.Errorf("ended at %s", res.URL)
		}
		if hinted := a.pool.LastForm(cognitotest.EndSession).Get("id_token_hint") != ""; hinted != openID {
			t.Errorf("id_token_hint sent: %v", hinted)
		}
	}
}

// TestLogoutReturnsByForm: a form has no script that could follow the answer's URL.
func TestLogoutReturnsByForm(t *testing.T) {
	a := newApp(t, settings{})
	a.pool.AllowLogout(a.url + "/auth/logout/done")
	if res := a.login().SubmitForm("/auth/logout?return_to=/goodbye", nil); res.URL != a.url+"/goodbye" {
		t.Errorf("ended at %s with %d", res.URL, res.Status)
	}
}

// TestWayBackIsBound: a link to the end of a logout, or a cookie that the browser kept for
// too long, lead to the page of the configuration.
func TestWayBackIsBound(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	if res := ua.NavigateFrom(foreignSite, a.url+"/auth/logout/done"); res.URL != a.url+"/bye" {
		t.Errorf("without a logout: %s", res.URL)
	}
	a.wantSession(ua, true)
	ua.Fetch(http.MethodPost, "/auth/logout?return_to=/goodbye", "")
	cookies := ours(ua)
	if len(cookies) != 1 || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].Expires.Sub(a.clock.Now()) != 15*time.Minute {
		t.Fatalf("%+v", cookies)
	}
	for name, request := range map[string]http.Header{"prefetch": {"Sec-Purpose": {"prefetch"}}, "fetch": {"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}}} {
		if got := a.send(t.Context(), http.MethodGet, "/auth/logout/done", request); got.Header.Get("Location") != "" {
			t.Errorf("a %s is redirected: %v", name, got.Header)
		}
	}
	a.clock.Advance(15 * time.Minute)
	cookies[0].Expires = a.clock.Now().Add(time.Hour) // the browser has kept it for too long
	ua.SetCookie(cookies[0])
	if res := ua.Click("/auth/logout/done"); res.URL != a.url+"/bye" || len(ours(ua)) != 0 {
		t.Errorf("too late: %s, cookies %v", res.URL, ours(ua))
	}
	second := a.login()
	second.Fetch(http.MethodPost, "/auth/logout?return_to=/goodbye", "")
	second.Fetch(http.MethodPost, "/auth/logout", "")
	if left := ours(second); len(left) != 0 {
		t.Errorf("after a logout without return_to: %v", left)
	}
}

func withPasskeys() settings {
	return settings{handler: func(c *tokenhandler.Config) {
		if p, ok := c.Provider.(*adapter); ok {
			c.PasskeyURL = p.PasskeyURL
		}
	}}
}

// TestPasskeyIsAddedAndComesBack checks the way to Cognito's page and back, from a live
// session there and from one that asks for the password first.
func TestPasskeyIsAddedAndComesBack(t *testing.T) {
	a := newApp(t, withPasskeys())
	a.pool.AllowCallback(a.url + "/auth/passkeys/done")
	ua := a.login()
	before, _ := ua.Cookie(sessionCookie)
	for raw, want := range map[string]string{"/profile?tab=2": "/profile?tab=2", "//evil.example": "/", "": "/"} {
		res := ua.Click("/auth/passkeys/add?return_to=" + url.QueryEscape(raw))
		if res.URL != a.url+want || res.Status != http.StatusOK {
			t.Errorf("%q ended at %s with %d", raw, res.URL, res.Status)
		}
	}
	if a.pool.Count("passkeys") != 3 {
		t.Errorf("%d requests of Cognito's page", a.pool.Count("passkeys"))
	}
	asked := a.pool.LastForm("passkeys")
	want := url.Values{"client_id": {a.pool.ClientID()}, "redirect_uri": {a.url + "/auth/passkeys/done"}, "response_type": {"code"}, "scope": {"openid email profile"}}
	if asked.Encode() != want.Encode() {
		t.Errorf("asked %v", asked)
	}
	if after, _ := ua.Cookie(sessionCookie); after.Value != before.Value || len(ours(ua)) != 3 {
		t.Errorf("the session changed, or cookies are left: %v", ours(ua))
	}
	ua.DeleteCookie("cognito") // the session of the hosted pages is over
	if res := ua.Click("/auth/passkeys/add?return_to=/profile"); res.URL != a.url+"/profile" {
		t.Errorf("after a sign-in: %s %d", res.URL, res.Status)
	}
	a.wantSession(ua, true)
}

// TestPasskeyNeedsTheUsersWill: only a navigation of the app's leads to Cognito's page.
func TestPasskeyNeedsTheUsersWill(t *testing.T) {
	a := newApp(t, withPasskeys())
	ua := a.login()
	if res := ua.Fetch(http.MethodGet, "/auth/passkeys/add", ""); res.Status != http.StatusBadRequest {
		t.Errorf("a fetch: %d", res.Status)
	}
	if res := ua.NavigateFrom(foreignSite, a.url+"/auth/passkeys/add?return_to=/x"); res.URL != a.url+"/" {
		t.Errorf("from another site: %s", res.URL)
	}
	if res := a.send(t.Context(), http.MethodGet, "/auth/passkeys/add", http.Header{"Purpose": {"prefetch"}}); res.Status != http.StatusNoContent {
		t.Errorf("a prefetch: %d", res.Status)
	}
	if res := ua.Navigate("/auth/passkeys/add?return_to=/a&return_to=/b"); res.Status != http.StatusBadRequest {
		t.Errorf("two pages to return to: %d", res.Status)
	}
	if a.pool.Count("passkeys") != 0 {
		t.Error("Cognito's page was asked")
	}
	without := newOpenIDApp(t, keepIDToken)
	for _, path := range []string{"/auth/passkeys/add", "/auth/passkeys/done"} {
		if res := without.browser().Navigate(path); res.Status != http.StatusNotFound {
			t.Errorf("%s of another provider: %d", path, res.Status)
		}
	}
	down := withPasskeys()
	down.disconnected = true
	if res := newApp(t, down).browser().Navigate("/auth/passkeys/add"); res.Status != http.StatusServiceUnavailable {
		t.Errorf("Cognito is down: %d", res.Status)
	}
}
