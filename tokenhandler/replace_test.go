package tokenhandler_test

import (
	"net/http"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// complete completes a login and returns a browser with a copy of its cookies.
func (a *app) complete(ua, tab *useragent.UA, callback string) *useragent.UA {
	a.tb.Helper()
	if res := a.back(tab, callback); res.Status != http.StatusSeeOther {
		a.tb.Fatalf("the login ended with %d %s", res.Status, res.Body)
	}
	return a.copyOf(ua)
}

// TestLoginEndsTheSessionOfAnotherTab: two tabs begin a login each, and the second to
// complete ends the session of the first, in any order and also if none of them saw a
// session when it began.
func TestLoginEndsTheSessionOfAnotherTab(t *testing.T) {
	for name, before := range map[string]bool{"without a session before": false, "with a session before": true} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{})
			ua := a.browser()
			var copies []*useragent.UA
			if before {
				a.loginIn(ua, "/")
				copies = append(copies, a.copyOf(ua))
			}
			var tabs []*useragent.UA
			var callbacks []string
			for range 4 {
				tab, callback := a.begin(ua, "/auth/login")
				tabs, callbacks = append(tabs, tab), append(callbacks, callback)
				a.clock.Advance(time.Second)
			}
			for _, i := range []int{1, 0, 3, 2} {
				for _, earlier := range copies {
					a.copyOf(earlier).Fetch(http.MethodGet, "/api/me", "") // it may be in use
				}
				copies = append(copies, a.complete(ua, tabs[i], callbacks[i]))
				a.wantSession(ua, true)
			}
			for i, earlier := range copies[:len(copies)-1] {
				if res := earlier.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusUnauthorized {
					t.Errorf("session %d lives on: %d", i, res.Status)
				}
			}
			if n := a.metric("tokenhandler_sessions_replaced_total", "denied"); int(n) != len(copies)-1 {
				t.Errorf("%v sessions counted, want %d", n, len(copies)-1)
			}
		})
	}
}

// TestRetriedLoginEndsTheEarlierSession: a login that is sent to the provider once more
// ends the session that the browser had, although none of its own cookies says so.
func TestRetriedLoginEndsTheEarlierSession(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	earlier := a.copyOf(ua)
	tab, callback := a.begin(ua, "/auth/login")
	ua.SetCookie(useragent.Cookie{Name: loginCookies(ua)[0], Value: "lost"})
	res := a.back(tab, callback)
	if res.Status != http.StatusFound {
		t.Fatalf("no retry: %d %s", res.Status, res.Body)
	}
	a.complete(ua, tab, a.authorize(res.Location()))
	a.wantSession(ua, true)
	if res := earlier.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusUnauthorized {
		t.Errorf("the earlier session lives on: %d", res.Status)
	}
}

// TestLateAnswerOfAReplacedSession: two tabs log in, as A and then as B. An answer to A
// whose head is written after B's callback writes no cookies of A. A request of A that
// was on its way then does not remove those of B.
func TestLateAnswerOfAReplacedSession(t *testing.T) {
	a := newApp(t, short())
	ua := a.browser()
	late := ua.Tab()
	begun := late.Open(useragent.Navigation{URL: "/auth/login", From: a.url, NoFollow: true})
	tab, first := a.begin(ua, "/auth/login")
	asA := a.complete(ua, tab, first)
	a.clock.Advance(11 * time.Minute)
	gate := a.pool.Hold(cognitotest.TokenRefresh)
	answer := make(chan *useragent.Response, 1)
	go func() { answer <- asA.Tab().Fetch(http.MethodGet, "/api/me", "") }()
	gate.Await(t, 1)
	a.complete(ua, late, a.authorize(begun.Location()))
	gate.Open()
	if res := <-answer; res.Status != http.StatusUnauthorized || len(res.Header["Set-Cookie"]) != 0 {
		t.Errorf("the late answer is %d with %v", res.Status, res.Header["Set-Cookie"])
	}
	for _, path := range []string{"/api/me", "/auth/session"} {
		if res := asA.Fetch(http.MethodGet, path, ""); len(res.Header["Set-Cookie"]) != 0 {
			t.Errorf("%s: a request that was on its way gets %v", path, res.Header["Set-Cookie"])
		}
	}
	testkit.WantProblem(t, asA.Fetch(http.MethodGet, "/api/me", "").Answer(), http.StatusUnauthorized, "session_expired")
	a.wantSession(ua, true)
	a.clock.Advance(time.Minute) // nothing of A is on its way any more
	asA.Fetch(http.MethodGet, "/api/me", "")
	if _, there := asA.Cookie(sessionCookie); there {
		t.Error("the cookie of the dead session stays for ever")
	}
}

// TestReplacedSessionIsRevoked: the refresh token of the earlier session is revoked if
// the memory of the process has it, or the callback's request. The latter is so if the
// hosted UI is on the app's site.
func TestReplacedSessionIsRevoked(t *testing.T) {
	for name, c := range map[string]struct {
		sameSite, refreshed bool
		outcome             string
	}{
		"in memory":   {false, true, "revoked"},
		"in a cookie": {true, false, "revoked"},
		"in both":     {true, true, "revoked"},
		"nowhere":     {false, false, "denied"},
	} {
		t.Run(name, func(t *testing.T) {
			s := short()
			s.sameSite = c.sameSite
			a := newApp(t, s)
			ua := a.login()
			if c.refreshed {
				ua.Fetch(http.MethodPost, "/auth/refresh", "")
			}
			before := a.pool.Count(cognitotest.Revoke)
			a.loginIn(ua, "/")
			want := map[string]int{"revoked": 1, "denied": 0}[c.outcome]
			if n := a.pool.Count(cognitotest.Revoke) - before; n != want {
				t.Errorf("%d revocations, want %d", n, want)
			}
			if n := a.metric("tokenhandler_sessions_replaced_total", c.outcome); n != 1 {
				t.Errorf("%s: counted %v times", c.outcome, n)
			}
			a.wantSession(ua, true)
		})
	}
}

// TestBeganCookieStaysSmall: a browser whose sessions other tabs replaced over and over, without
// the answer that would have told, names the four newest to the next login, which ends them.
// The cookie has 400 bytes of the budget of all cookies.
func TestBeganCookieStaysSmall(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	var copies []*useragent.UA
	for range 7 {
		other := a.login()
		copies = append(copies, a.copyOf(other))
		for _, name := range []string{sessionCookie, activeCookie} {
			c, _ := other.Cookie(name)
			ua.SetCookie(c)
		}
		a.begin(ua, "/auth/login")
		a.clock.Advance(time.Second)
	}
	c, there := ua.Cookie(beganCookie)
	if size := len(c.Name) + len(c.Value); !there || size > 400 {
		t.Errorf("the cookie has %d bytes", size)
	}
	a.loginIn(ua, "/")
	for i, earlier := range copies {
		if res := earlier.Fetch(http.MethodGet, "/api/me", ""); (res.Status == http.StatusOK) != (i < 3) {
			t.Errorf("session %d: %d", i, res.Status)
		}
	}
}
