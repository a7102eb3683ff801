package tokenhandler_test

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// setGroups puts the user of the pool into n groups with names that do not compress.
func (a *app) setGroups(n int) {
	user := a.pool.User("demo")
	user.Groups = make([]string, n)
	for i := range user.Groups {
		user.Groups[i] = rand.Text()
	}
	a.pool.AddUser(user)
}

// wantUsable checks that requests to the API go on with the newest tokens, and that GET
// /auth/session has this warning.
func (a *app) wantUsable(ua *useragent.UA, wantWarning string) {
	a.tb.Helper()
	if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
		a.tb.Errorf("the API: %d %s", res.Status, res.Body)
	}
	grant, err := a.Authorize(a.request(ua), 0)
	if err != nil || !grant.AccessToken().Equal(a.provider.newest().Access) {
		a.tb.Errorf("a request does not get the newest token: %v", err)
	}
	if got := a.session(ua); !got.Authenticated || got.Warning != wantWarning {
		a.tb.Errorf("GET /auth/session: authenticated %v, warning %q, want %q", got.Authenticated, got.Warning, wantWarning)
	}
}

// TestGroupsOutgrowTheCookies checks a user who gets so many groups while logged in that
// the renewed session does not fit into cookies: the app is told, the session goes on, and
// all is well again when the user has left the groups.
func TestGroupsOutgrowTheCookies(t *testing.T) {
	t.Parallel()
	s := short()
	s.pool.Rotation, s.pool.RevokeFamilyOnReuse = true, true
	a := newApp(t, s)
	ua := a.login()
	held, _ := ua.Cookie(sessionCookie)
	a.wantUsable(ua, "")

	a.setGroups(300)
	a.clock.Advance(5 * time.Minute) // the old token still works
	res := ua.Fetch(http.MethodPost, "/auth/refresh", "")
	testkit.WantProblem(t, res.Answer(), http.StatusInternalServerError, "session_too_large")
	a.wantQuiet(res)
	cookies := setCookies(t, res.Header)
	if cookies[sessionCookie] != nil || cookies[activeCookie] == nil || cookies[activeCookie].MaxAge < 0 {
		t.Errorf("the answer must keep the session and count as activity: %v", res.Header["Set-Cookie"])
	}
	a.wantUsable(ua, "session_too_large")
	a.clock.Advance(11 * time.Minute) // the next refresh is due
	a.wantUsable(ua, "session_too_large")
	if now, _ := ua.Cookie(sessionCookie); now.Value != held.Value {
		t.Error("the session's cookie has changed")
	}
	if !a.log.Contains("session not written") || !strings.Contains(a.log.String(), "the session needs") {
		t.Error("the log does not tell the operator")
	}

	a.setGroups(2)
	if res := ua.Fetch(http.MethodPost, "/auth/refresh", ""); res.Status != http.StatusOK || setCookies(t, res.Header)[sessionCookie] == nil {
		t.Errorf("after the user has left the groups: %d %s", res.Status, res.Body)
	}
	a.wantUsable(ua, "")
	if n := a.pool.Count(cognitotest.TokenRefresh); n != 3 {
		t.Errorf("%d refreshes", n)
	}
}
