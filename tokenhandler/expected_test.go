package tokenhandler_test

import (
	"net/http"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// TestExpectedUser: a window that still shows another user does not read, renew or end the
// session.
func TestExpectedUser(t *testing.T) {
	a := newApp(t, short())
	ua := a.login()
	sub := a.pool.User("demo").Sub
	for _, named := range []string{"", "somebody-else", sub + "x", sub[:len(sub)-1]} {
		as := useragent.FetchOptions{Header: map[string]string{"X-Expected-Sub": named}}
		for path, method := range map[string]string{
			"/auth/session": http.MethodGet, "/auth/refresh": http.MethodPost, "/auth/logout": http.MethodPost, "/api/me": http.MethodGet,
		} {
			res := ua.Fetch(method, path, "", as)
			testkit.WantProblem(t, res.Answer(), http.StatusConflict, "user_changed")
			if len(res.Header["Set-Cookie"]) > 0 {
				t.Errorf("%s as %q sets cookies", path, named)
			}
		}
	}
	a.wantSession(ua, true)
	if n := a.pool.Count(cognitotest.TokenRefresh); n != 0 {
		t.Errorf("%d refreshes", n)
	}
	r := a.request(ua)
	for _, values := range [][]string{{sub, "somebody-else"}, {"somebody-else", sub}} {
		r.Header["X-Expected-Sub"] = values
		if _, err := a.Authorize(r, 0); err == nil {
			t.Errorf("%v: authorized", values)
		}
	}
	as := useragent.FetchOptions{Header: map[string]string{"X-Expected-Sub": sub}}
	for path, method := range map[string]string{"/auth/session": http.MethodGet, "/auth/refresh": http.MethodPost, "/api/me": http.MethodGet} {
		if res := ua.Fetch(method, path, "", as); res.Status != http.StatusOK {
			t.Errorf("%s of the user's own window: %d %s", path, res.Status, res.Body)
		}
	}
	if res := ua.Fetch(http.MethodPost, "/auth/logout", "", as); res.Status != http.StatusOK {
		t.Errorf("the user's own logout: %d %s", res.Status, res.Body)
	}
	a.wantSession(ua, false)
}
