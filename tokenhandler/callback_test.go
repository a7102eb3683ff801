package tokenhandler_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/session"
)

// with changes the query of a callback.
func with(tb testing.TB, callback string, edit func(q url.Values)) string {
	tb.Helper()
	u := testkit.MustURL(tb, callback)
	q := u.Query()
	edit(q)
	u.RawQuery = q.Encode()
	return u.String()
}

// TestStateIsComparedFirst checks that a callback with a wrong state does not redeem
// its code. Other products redeem the code before they compare the state, or accept
// an empty state that equals an empty one.
func TestStateIsComparedFirst(t *testing.T) {
	for name, edit := range map[string]func(q url.Values){
		"wrong":           func(q url.Values) { q.Set("state", "0"+strings.Repeat("A", 43)) },
		"one byte more":   func(q url.Values) { q.Set("state", q.Get("state")+"A") },
		"one byte less":   func(q url.Values) { q.Set("state", q.Get("state")[:43]) },
		"another case":    func(q url.Values) { q.Set("state", strings.ToUpper(q.Get("state"))) },
		"another counter": func(q url.Values) { q.Set("state", "1"+q.Get("state")[1:]) },
		"missing":         func(q url.Values) { q.Del("state") },
		"empty":           func(q url.Values) { q.Set("state", "") },
		"huge":            func(q url.Values) { q.Set("state", strings.Repeat("0", 5000)) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{})
			ua := a.browser()
			tab, callback := a.begin(ua, "/auth/login")
			res := a.back(tab, with(t, callback, edit))
			if res.Status >= http.StatusInternalServerError || res.Location() == a.url+"/" {
				t.Errorf("%d to %s", res.Status, res.Location())
			}
			if name == "huge" { // no state of this service, so there is no retry
				wantPage(t, res, http.StatusBadRequest, "invalid_request")
			}
			wantNoSession(t, ua, res)
			a.wantRedeemed(0)
			a.wantSession(ua, false)
			// The tab's own login still works.
			if res := a.back(tab, callback); res.Status != http.StatusSeeOther || res.Location() != a.url+"/" {
				t.Errorf("the right callback: %d to %s", res.Status, res.Location())
			}
			a.wantRedeemed(1)
		})
	}
}

// TestLoginOfAnotherBrowser checks login CSRF: an attacker's callback that a victim
// opens must not log the victim into the attacker's account (RFC 9700 §4.7).
func TestLoginOfAnotherBrowser(t *testing.T) {
	a := newApp(t, settings{})
	attacker, victim := a.browser(), a.browser()
	_, callback := a.begin(attacker, "/auth/login")
	tab, own := a.begin(victim, "/auth/login")
	res := victim.Tab().Open(useragent.Navigation{URL: callback, From: foreignSite, NoFollow: true})
	wantNoSession(t, victim, res)
	a.wantRedeemed(0)
	// The victim's cookie with the attacker's state, and the other way round.
	stolen := with(t, own, func(q url.Values) { q.Set("code", testkit.MustURL(t, callback).Query().Get("code")) })
	// State and cookie fit, but the provider refuses the code because of PKCE (RFC 9700
	// §4.5). The victim's own login begins again.
	res = a.back(tab, stolen)
	if res.Status != http.StatusFound || !strings.HasPrefix(res.Location(), a.pool.URL) {
		t.Errorf("the attacker's code: %d to %s", res.Status, res.Location())
	}
	wantNoSession(t, victim, res)
	a.wantSession(victim, false)
}

// TestStateWorksOnce checks that a state works once, also if the first answer was
// lost (RFC 9700 §4.7.1).
func TestStateWorksOnce(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	tab, callback := a.begin(ua, "/auth/login?return_to=/x")
	copied := loginCookie(t, ua)
	if res := a.back(tab, callback); res.Location() != a.url+"/x" {
		t.Fatalf("%d to %s", res.Status, res.Location())
	}
	// The session cookie is SameSite=Strict: browsers send it with navigations from
	// the app, but not with the provider's redirect.
	if res := tab.Open(useragent.Navigation{URL: callback, From: a.url, NoFollow: true}); res.Status != http.StatusSeeOther || res.Location() != a.url+"/" {
		t.Errorf("used, with a live session: %d to %s", res.Status, res.Location())
	}
	a.wantRedeemed(1)
	thief := a.browser()
	wantPage(t, a.back(thief, callback), http.StatusBadRequest, "login_failed")
	a.wantRedeemed(1)
	// With a copied login cookie the code is used up at the provider.
	thief.SetCookie(copied)
	res := a.back(thief, callback)
	if res.Status != http.StatusFound || !strings.HasPrefix(res.Location(), a.pool.URL) {
		t.Errorf("used, with the login's cookie: %d to %s", res.Status, res.Location())
	}
	wantNoSession(t, thief, res)
	a.wantSession(ua, true)
}

// TestLoginIsGoodForFewTries checks that a single login cookie is not enough to send
// any number of made-up codes to the provider, and that other logins go on.
func TestLoginIsGoodForFewTries(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	tab, callback := a.begin(ua, "/auth/login")
	copied := loginCookie(t, ua)
	for i := range 50 {
		ua.SetCookie(copied)
		a.back(tab, with(t, callback, func(q url.Values) { q.Set("code", "x"+strconv.Itoa(i)) }))
	}
	a.wantRedeemed(5)
	ua.SetCookie(copied)
	wantPage(t, a.back(tab, callback), http.StatusBadRequest, "login_failed")
	a.wantSession(ua, false)
	a.loginIn(ua, "/")
}

// TestMemoryOfTriesIsBounded checks how many logins are remembered, and that they are
// remembered for as long as their cookies open.
func TestMemoryOfTriesIsBounded(t *testing.T) {
	var tried tokenhandler.TriedLogins
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for range 2 {
		if !tried.Take("a", 2, now) {
			t.Fatal("a try is refused")
		}
	}
	for _, later := range []time.Duration{0, tokenhandler.LoginLifetime - 1, tokenhandler.LoginLifetime} {
		tried.Take("other", 2, now.Add(later))
		if tried.Take("a", 2, now.Add(later)) {
			t.Errorf("after %s a third try is allowed", later)
		}
	}
	for i := range 50_000 {
		tried.Take(strconv.Itoa(i), 2, now)
	}
	if n := tried.Len(); n > 20_000 {
		t.Errorf("%d logins are remembered", n)
	}
}

// TestBadLoginCookies checks that a login cookie that does not open is no login and
// is removed, and that no code is redeemed.
func TestBadLoginCookies(t *testing.T) {
	foreign := newApp(t, settings{session: func(c *session.Config) { c.Keys = keyring(t, 8) }})
	for name, change := range map[string]func(a *app, ua *useragent.UA, c useragent.Cookie) string{
		"tampered at the start": func(_ *app, _ *useragent.UA, c useragent.Cookie) string { return "B" + c.Value[1:] },
		"tampered at the end":   func(_ *app, _ *useragent.UA, c useragent.Cookie) string { return c.Value[:len(c.Value)-4] + "AAAA" },
		"truncated":             func(_ *app, _ *useragent.UA, c useragent.Cookie) string { return c.Value[:len(c.Value)/2] },
		"longer":                func(_ *app, _ *useragent.UA, c useragent.Cookie) string { return c.Value + "AAAA" },
		"huge":                  func(*app, *useragent.UA, useragent.Cookie) string { return strings.Repeat("A", 4000) },
		"empty":                 func(*app, *useragent.UA, useragent.Cookie) string { return "" },
		"not base64":            func(*app, *useragent.UA, useragent.Cookie) string { return "%%%" },
		"of another tab": func(a *app, ua *useragent.UA, c useragent.Cookie) string {
			a.begin(ua, "/auth/login")
			for _, other := range ua.Cookies() {
				if other.Name != c.Name {
					return other.Value
				}
			}
			return ""
		},
		"of another key": func(_ *app, _ *useragent.UA, c useragent.Cookie) string {
			h := http.Header{}
			save(t, foreign.store, h, c.Name, map[any]any{session.Key: []byte(`{"s":"x"}`)})
			return setCookies(t, h)[c.Name].Value
		},
		"of another state": func(a *app, _ *useragent.UA, c useragent.Cookie) string {
			h := http.Header{}
			save(t, a.store, h, c.Name, map[any]any{session.Key: []byte(`{"s":"","b":1772600767000}`)})
			return setCookies(t, h)[c.Name].Value
		},
		"no JSON": func(a *app, _ *useragent.UA, c useragent.Cookie) string {
			h := http.Header{}
			save(t, a.store, h, c.Name, map[any]any{session.Key: []byte("x")})
			return setCookies(t, h)[c.Name].Value
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{})
			ua := a.browser()
			tab, callback := a.begin(ua, "/auth/login")
			cookie := loginCookie(t, ua)
			cookie.Value = change(a, ua, cookie)
			ua.SetCookie(useragent.Cookie{Name: cookie.Name, Value: cookie.Value})
			res := a.back(tab, callback)
			if res.Status != http.StatusFound {
				t.Errorf("%d %s", res.Status, res.Body)
			}
			if c := setCookies(t, res.Header)[cookie.Name]; c == nil || c.MaxAge >= 0 {
				t.Errorf("the bad cookie stays: %v", res.Header["Set-Cookie"])
			}
			wantNoSession(t, ua, res)
			a.wantRedeemed(0)
		})
	}
}

// TestLoginMayTakeAQuarterOfAnHour checks that a login may take 15 minutes, for sign-
// up and a second factor, and no longer, even if the client keeps the cookie.
func TestLoginMayTakeAQuarterOfAnHour(t *testing.T) {
	for wait, want := range map[time.Duration]bool{
		tokenhandler.LoginLifetime - time.Second: true, tokenhandler.LoginLifetime + time.Second: false,
		-59 * time.Second: true, -61 * time.Second: false, // a replica whose clock was ahead began it
	} {
		a := newApp(t, settings{pool: cognitotest.Options{CodeTTL: time.Hour}})
		ua := a.browser()
		tab, callback := a.begin(ua, "/auth/login")
		kept := loginCookie(t, ua)
		a.clock.Advance(wait)
		kept.Expires = time.Time{} // a client that keeps cookies after they have expired
		ua.SetCookie(kept)
		if res := a.back(tab, callback); (res.Status == http.StatusSeeOther) != want {
			t.Errorf("after %s: %d", wait, res.Status)
		}
		a.wantRedeemed(map[bool]int{true: 1}[want])
		a.wantSession(ua, want)
	}
}

// TestMalformedCallbacks checks that malformed callbacks are refused without a call
// to the provider, and that the login that they name is removed.
func TestMalformedCallbacks(t *testing.T) {
	for name, edit := range map[string]func(query string) string{
		"missing code":      func(q string) string { return strings.Replace(q, "code=", "kode=", 1) },
		"empty code":        func(q string) string { return "code=&state=" + mustQuery(q).Get("state") },
		"huge code":         func(q string) string { return strings.Replace(q, "code=", "code="+strings.Repeat("x", 5000), 1) },
		"duplicate code":    func(q string) string { return q + "&code=x" },
		"duplicate state":   func(q string) string { return q + "&state=x" },
		"same state twice":  func(q string) string { return q + "&state=" + mustQuery(q).Get("state") },
		"duplicate error":   func(q string) string { return q + "&error=a&error=b" },
		"duplicate iss":     func(q string) string { return q + "&iss=a&iss=a" },
		"duplicate unknown": func(q string) string { return q + "&x=a&x=a" },
		"bad encoding":      func(q string) string { return q + "&x=%zz" },
		"semicolon":         func(q string) string { return q + "&a;b" },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{})
			ua := a.browser()
			tab, callback := a.begin(ua, "/auth/login?return_to=/x")
			base, query, _ := strings.Cut(callback, "?")
			res := a.back(tab, base+"?"+edit(query))
			wantPage(t, res, http.StatusBadRequest, "invalid_request")
			wantNoSession(t, ua, res)
			wantNoLogin(t, ua)
			a.wantRedeemed(0)
		})
	}
}

func mustQuery(raw string) url.Values {
	q, err := url.ParseQuery(raw)
	if err != nil {
		panic(err)
	}
	return q
}

// TestCallbackMethodsAndPrefetch checks that a prefetch does not use up the state.
func TestCallbackMethodsAndPrefetch(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	tab, callback := a.begin(ua, "/auth/login")
	res := tab.Open(useragent.Navigation{URL: callback, From: a.pool.URL, NoFollow: true, Header: map[string]string{"Sec-Purpose": "prefetch;prerender"}})
	if res.Status != http.StatusNoContent || len(res.Header["Set-Cookie"]) != 0 {
		t.Errorf("prefetch: %d %v", res.Status, res.Header["Set-Cookie"])
	}
	for _, method := range []string{http.MethodPost, http.MethodHead} {
		answer := a.send(t.Context(), method, callback, nil)
		if answer.Status != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != http.MethodGet {
			t.Errorf("%s: %d, Allow %q", method, answer.Status, answer.Header.Get("Allow"))
		}
	}
	// A fetch of a callback without a login starts no login.
	fetched := ua.FetchFrom(foreignSite, http.MethodGet, a.url+"/auth/callback?state=0x&code=x", "", useragent.FetchOptions{Mode: "no-cors", Dest: "image", Redirect: "manual"})
	if fetched.Status != http.StatusBadRequest || len(fetched.Header["Set-Cookie"]) != 0 {
		t.Errorf("an image: %d %v", fetched.Status, fetched.Header["Set-Cookie"])
	}
	a.wantRedeemed(0)
	if res := a.back(tab, callback); res.Status != http.StatusSeeOther {
		t.Errorf("then: %d %s", res.Status, res.Body)
	}
}

// TestUnknownStateIsTriedOnceMore checks that a callback without its login starts the
// login again, once and without a page between. Other products answer 403 or loop.
func TestUnknownStateIsTriedOnceMore(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	tab, callback := a.begin(ua, "/auth/login?return_to=/x")
	ua.DeleteCookie(loginCookie(t, ua).Name) // as if it had expired
	res := tab.Open(useragent.Navigation{URL: callback, From: a.pool.URL})
	if res.URL != a.url+"/" || res.Status != http.StatusOK {
		t.Errorf("healed: %s %d", res.URL, res.Status)
	}
	a.wantSession(ua, true)
	a.wantRedeemed(1)
	if got := a.metric("tokenhandler_logins_total", "retried"); got != 1 {
		t.Errorf("%v tries counted", got)
	}
}

// TestBlockedCookiesDoNotLoop checks that a browser that keeps no cookies gets the page
// at once.
func TestBlockedCookiesDoNotLoop(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	next, starts := "/auth/login", 0
	var res *useragent.Response
	for range 20 {
		res = ua.Open(useragent.Navigation{URL: next, From: a.url, NoFollow: true})
		ua.ClearCookies()
		if strings.HasPrefix(res.Location(), a.pool.URL) {
			starts++
		}
		if next = res.Location(); next == "" {
			break
		}
	}
	wantPage(t, res, http.StatusBadRequest, "login_failed")
	if starts != 1 {
		t.Errorf("%d logins were started, want one", starts)
	}
	a.wantRedeemed(0)
	// The state holds the number of tries only for such browsers. An attacker who
	// changes it gains nothing: other characters cause no retry either.
	for _, state := range []string{"1x", "9x", "x", "", "-1x"} {
		if res := a.page(ua, "/auth/callback?code=x&state="+state, nil); res.Status != http.StatusBadRequest {
			t.Errorf("state %q: %d", state, res.Status)
		}
	}
}

// TestRetryFailsToo checks a retry while the provider is not reachable.
func TestRetryFailsToo(t *testing.T) {
	a := newApp(t, settings{disconnected: true, handler: func(c *tokenhandler.Config) { c.AllowCrossSiteLogin = true }})
	ua := a.browser()
	res := a.page(ua, "/auth/callback?code=x&state=0x", nil)
	wantPage(t, res, http.StatusServiceUnavailable, "provider_unavailable")
	wantNoLogin(t, ua)
}

// TestNewSessionEveryLogin checks against session fixation, and that the session that
// the browser had ends at once, also for copies of its cookie (ASVS V7.2.4).
func TestNewSessionEveryLogin(t *testing.T) {
	for name, sameSite := range map[string]bool{"hosted UI on the app's site": true, "hosted UI on another site": false} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{sameSite: sameSite})
			ua := a.login()
			thief := a.browser()
			for _, c := range ua.Cookies() {
				thief.SetCookie(c)
			}
			a.wantSession(thief, true)
			first := a.provider.newest().Refresh.Reveal()
			a.clock.Advance(time.Minute)
			a.loginIn(ua, "/")
			a.wantSession(ua, true)
			if sameSite && !a.pool.Revoked(first) { // otherwise the callback does not carry its cookie
				t.Error("the earlier refresh token lives on")
			}
			a.wantSession(thief, false)
		})
	}
}

// TestCallbackWithoutReadableSession checks that an old or broken session cookie does
// not disturb a login.
func TestCallbackWithoutReadableSession(t *testing.T) {
	a := newApp(t, settings{sameSite: true, handler: func(*tokenhandler.Config) {}})
	ua := a.browser()
	for _, name := range []string{sessionCookie, sessionCookie + ".1", activeCookie} {
		ua.SetCookie(useragent.Cookie{Name: name, Value: "2garbage"})
	}
	a.loginIn(ua, "/")
	a.wantSession(ua, true)
	if _, there := ua.Cookie(sessionCookie + ".1"); there {
		t.Error("a surplus part is left")
	}
}
