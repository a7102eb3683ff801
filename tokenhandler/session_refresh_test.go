package tokenhandler_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// TestParallelRefreshes checks that 50 tabs that refresh at once cause one call, and
// that none of them fails.
func TestParallelRefreshes(t *testing.T) {
	a := newApp(t, settings{pool: cognitotest.Options{Rotation: true, RevokeFamilyOnReuse: true}})
	ua := a.login()
	gate := a.pool.Hold(cognitotest.TokenRefresh)
	var wg sync.WaitGroup
	statuses := make([]int, 50)
	for i := range statuses {
		wg.Go(func() { statuses[i] = ua.Tab().Fetch(http.MethodPost, "/auth/refresh", "").Status })
	}
	gate.Await(t, 1)
	gate.Open()
	wg.Wait()
	for i, status := range statuses {
		if status != http.StatusOK {
			t.Errorf("request %d: %d", i, status)
		}
	}
	// Late requests may ask for a second refresh of the new generation.
	if n := a.pool.Count(cognitotest.TokenRefresh); n > 5 {
		t.Errorf("%d calls", n)
	}
	a.wantSession(ua, true)
	if res := ua.Fetch(http.MethodPost, "/auth/refresh", ""); res.Status != http.StatusOK {
		t.Errorf("the cookie that is left does not refresh: %d %s", res.Status, res.Body)
	}
}

// TestOldCookieAfterRotation checks a browser that sends a cookie from before a
// rotation after the grace period: it gets refresh.ErrSuperseded, and its cookies are
// not removed, because the newer one may be on its way.
func TestOldCookieAfterRotation(t *testing.T) {
	s := short()
	s.pool.Rotation, s.pool.RevokeFamilyOnReuse = true, true
	s.refresh = func(c *refresh.Config) { c.RefreshGrace = 0 }
	a := newApp(t, s)
	ua := a.login()
	old := a.browser()
	for _, c := range ua.Cookies() {
		old.SetCookie(c)
	}
	if res := ua.Fetch(http.MethodPost, "/auth/refresh", ""); res.Status != http.StatusOK {
		t.Fatal(res.Status)
	}
	a.wantSession(ua, true)
	a.clock.Advance(time.Minute)
	other := a.login() // its refresh makes the process forget the first session
	other.Fetch(http.MethodPost, "/auth/refresh", "")
	res := old.Fetch(http.MethodPost, "/auth/refresh", "")
	testkit.WantProblem(t, res.Answer(), http.StatusUnauthorized, "session_expired")
	if len(res.Header["Set-Cookie"]) != 0 {
		t.Errorf("cookies are changed: %v", res.Header["Set-Cookie"])
	}
	if res := ua.Fetch(http.MethodPost, "/auth/refresh", ""); res.Status != http.StatusOK {
		t.Errorf("the session itself: %d %s", res.Status, res.Body)
	}
}

// TestRefreshOnDemandIsBounded checks that a page that refreshes in a loop does not
// use up the provider's quota, which all users share. It gets 429 and keeps its
// session.
func TestRefreshOnDemandIsBounded(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	limited := 0
	for range 50 {
		res := ua.Fetch(http.MethodPost, "/auth/refresh", "")
		if res.Status == http.StatusOK {
			continue
		}
		limited++
		testkit.WantProblem(t, res.Answer(), http.StatusTooManyRequests, "rate_limited")
		if res.Header.Get("Retry-After") != "10" {
			t.Errorf("Retry-After %q", res.Header.Get("Retry-After"))
		}
	}
	if calls := a.pool.Count(cognitotest.TokenRefresh); calls != 10 || limited != 40 {
		t.Errorf("%d calls, %d requests limited", calls, limited)
	}
	a.wantSession(ua, true)
	a.clock.Advance(10 * time.Second)
	if res := ua.Fetch(http.MethodPost, "/auth/refresh", ""); res.Status != http.StatusOK {
		t.Errorf("later: %d %s", res.Status, res.Body)
	}
}
