package tokenhandler_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/limit"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/web"
)

// limited returns an app whose users share an address, with a limit of so many requests a
// minute. set puts it in its place.
func limited(t *testing.T, name string, perMinute int, set func(*tokenhandler.Config, *limit.Limit)) *app {
	t.Helper()
	office := netip.MustParsePrefix("203.0.113.1/32")
	return newApp(t, settings{handler: func(c *tokenhandler.Config) {
		set(c, limit.New(limit.Config{Name: name, Count: perMinute, Per: time.Minute, Now: c.Now, Client: func(*http.Request) netip.Prefix { return office }}))
	}})
}

// TestCallbacksOfLoginsAreNotLimited: an honest user who shares an address with somebody who
// makes callbacks up, or tries out codes, logs in at once.
func TestCallbacksOfLoginsAreNotLimited(t *testing.T) {
	a := limited(t, web.LimitCallback, 2, func(c *tokenhandler.Config, l *limit.Limit) { c.Limits.Callback = l })
	for range 3 {
		attacker, theirs := a.begin(a.browser(), "/auth/login")
		a.back(attacker, with(t, theirs, func(q url.Values) { q.Set("code", "x") }))
	}
	madeUp := func() *useragent.Response {
		return a.back(a.browser(), a.url+"/auth/callback?code=x&state="+strings.Repeat("1", 43))
	}
	for range 2 {
		wantPage(t, madeUp(), http.StatusBadRequest, "login_failed")
	}
	for range 3 {
		res := madeUp()
		wantPage(t, res, http.StatusTooManyRequests, "rate_limited")
		if got := res.Header.Get("Retry-After"); got != "30" {
			t.Errorf("Retry-After %q", got)
		}
	}
	if n := a.metric("tokenhandler_logins_total", "rate_limited"); n != 3 {
		t.Errorf("%v logins counted as limited", n)
	}
	ua := a.browser()
	tab, callback := a.begin(ua, "/auth/login")
	a.back(tab, callback)
	a.wantSession(ua, true)
}

// TestWhichCallbacksAreMadeUp: those that nobody sends in number who only logs in.
func TestWhichCallbacksAreMadeUp(t *testing.T) {
	for what, tt := range map[string]struct {
		edit func(q url.Values)
		want bool
	}{
		"unknown state":      {func(q url.Values) { q.Set("state", strings.Repeat("1", 43)) }, true},
		"repeated parameter": {func(q url.Values) { q.Add("code", "x") }, true},
		"another issuer":     {func(q url.Values) { q.Set("iss", "https://evil.example") }, true},
		"refused code":       {func(q url.Values) { q.Set("code", "x") }, false},
		"cancelled":          {func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, false},
		"good":               {func(url.Values) {}, false},
	} {
		a := limited(t, web.LimitCallback, 1, func(c *tokenhandler.Config, l *limit.Limit) { c.Limits.Callback = l })
		tab, callback := a.begin(a.browser(), "/auth/login")
		if res := a.back(tab, with(t, callback, tt.edit)); res.Status == http.StatusTooManyRequests {
			t.Errorf("%s: limited at once", what)
		}
		if res := a.back(a.browser(), a.url+"/auth/callback?code=x&state="+strings.Repeat("1", 43)); (res.Status == http.StatusTooManyRequests) != tt.want {
			t.Errorf("%s: the next callback: %d", what, res.Status)
		}
	}
}

// TestLoginsThatBeginByThemselvesAreLimited: a callback without a login begins one if the
// app allows it, which is no way around the limit.
func TestLoginsThatBeginByThemselvesAreLimited(t *testing.T) {
	a := limited(t, web.LimitLogin, 2, func(c *tokenhandler.Config, l *limit.Limit) {
		c.Limits.Login, c.AllowCrossSiteLogin = l, true
	})
	open := func() int { return a.back(a.browser(), a.url+"/auth/callback?code=x").Status }
	for _, want := range []int{http.StatusFound, http.StatusFound, http.StatusTooManyRequests} {
		if got := open(); got != want {
			t.Errorf("without a state: %d, want %d", got, want)
		}
	}
	if !a.log.Contains(`"error_code":"rate_limited"`) {
		t.Error("the record of the refused request does not say why")
	}
	if res := a.browser().NavigateNoFollow("/auth/login"); res.Status != http.StatusTooManyRequests || !strings.Contains(string(res.Body), `"code":"rate_limited"`) {
		t.Errorf("a login: %d %s", res.Status, res.Body)
	}
	a.clock.Advance(30 * time.Second)
	if got := open(); got != http.StatusFound {
		t.Errorf("later: %d", got)
	}
}

// TestLimitOnTheAppsPage: with Config.ErrorPath, what the limit of callbacks refuses is a
// redirect like other failures, without Retry-After. Codes beyond those that a login is good
// for count.
func TestLimitOnTheAppsPage(t *testing.T) {
	a := limited(t, web.LimitCallback, 1, func(c *tokenhandler.Config, l *limit.Limit) {
		c.Limits.Callback, c.Limits.LoginCookie, c.ErrorPath = l, 1, "/sign-in-failed"
	})
	ua := a.browser()
	tab, callback := a.begin(ua, "/auth/login?return_to=/notes&lang=de")
	copied := loginCookie(t, ua)
	for i, code := range []string{"", "login_failed", "rate_limited"} { // the first try begins the login once more
		ua.SetCookie(copied)
		res := a.back(tab, with(t, callback, func(q url.Values) { q.Set("code", "x") }))
		if code != "" && (res.Status != http.StatusSeeOther || testkit.MustURL(t, res.Location()).Query().Get("error") != code || res.Header.Get("Retry-After") != "") {
			t.Errorf("code %d: %d to %s, %v", i+1, res.Status, res.Location(), res.Header)
		}
		if query := testkit.MustURL(t, res.Location()).Query(); code != "" && (query.Get("return_to") != "/notes" || query.Get("lang") != "de") {
			t.Errorf("code %d: a new try would forget the parameters of this one: %s", i+1, res.Location())
		}
	}
}

// TestWrongGatewaySecretsAreLimited: who tries out secrets gets 429 after some of them. Requests
// without one are no guesses, and the right one is never refused.
func TestWrongGatewaySecretsAreLimited(t *testing.T) {
	a := limited(t, web.LimitVerifySecret, 2, func(c *tokenhandler.Config, l *limit.Limit) {
		c.Limits.VerifySecret, c.VerifySecret = l, secret.New(gatewaySecret)
	})
	want := func(status int, secrets ...string) {
		t.Helper()
		if res := a.send(t.Context(), http.MethodGet, "/auth/verify", http.Header{secretHeader: secrets}); res.Status != status {
			t.Errorf("%q: %d, want %d", secrets, res.Status, status)
		}
	}
	for range 5 {
		want(http.StatusNotFound)
		want(http.StatusForbidden, gatewaySecret) // it has no Sec-Fetch-Site
	}
	want(http.StatusNotFound, "wrong")
	want(http.StatusNotFound, gatewaySecret, gatewaySecret)
	want(http.StatusTooManyRequests, "wrong")
	want(http.StatusForbidden, gatewaySecret)
	want(http.StatusNotFound)
}
