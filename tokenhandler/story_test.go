package tokenhandler_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/useragent"
)

// TestWholeStory logs in, asks for the user, refreshes and logs out, with the
// provider on another site and on the app's own.
func TestWholeStory(t *testing.T) {
	for name, sameSite := range map[string]bool{"provider on another site": false, "provider on the same site": true} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{sameSite: sameSite, pool: cognitotest.Options{Rotation: true}})
			ua := a.browser()
			a.wantSession(ua, false)

			res := a.loginIn(ua, "/notes?q=a%20b#top")
			if callback := res.Via[len(res.Via)-1]; callback.Status != http.StatusSeeOther || callback.Header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("the callback answered %d with Referrer-Policy %q", callback.Status, callback.Header.Get("Referrer-Policy"))
			}
			wantNoLogin(t, ua)
			wantSessionJSON(t, a, ua)

			if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK || !strings.Contains(string(res.Body), a.pool.User("demo").Sub) {
				t.Errorf("the API answered %d %s", res.Status, res.Body)
			}
			a.clock.Advance(10 * time.Minute)
			before, _ := ua.Cookie(sessionCookie)
			res = ua.Fetch(http.MethodPost, "/auth/refresh", "")
			after, _ := ua.Cookie(sessionCookie)
			if res.Status != http.StatusOK || before.Value == after.Value || a.pool.Count(cognitotest.TokenRefresh) != 1 {
				t.Errorf("refresh: %d %s", res.Status, res.Body)
			}
			refresh := a.provider.newest().Refresh.Reveal()
			res = ua.Fetch(http.MethodPost, "/auth/logout", "")
			var answer struct {
				LogoutURL string `json:"logout_url"`
			}
			if err := res.JSON(&answer); err != nil || res.Status != http.StatusOK {
				t.Fatalf("logout: %d %s", res.Status, res.Body)
			}
			if !a.pool.Revoked(refresh) {
				t.Error("the refresh token lives on after the logout")
			}
			if left := ua.Click(answer.LogoutURL); left.Status != http.StatusOK || left.URL != a.url+"/bye" {
				t.Errorf("the provider's logout ended at %s with %d", left.URL, left.Status)
			}
			if got := ua.Cookies(); len(got) != 0 {
				t.Errorf("cookies after the logout: %v", got)
			}
			a.wantSession(ua, false)
			if r := ua.Rejected(); len(r) != 0 {
				t.Errorf("the browser refused cookies: %v", r)
			}
			wantSecrecy(t, a, ua)
			for label, want := range map[string]float64{"ok": 1, "refused": 0} {
				if got := a.metric("tokenhandler_logins_total", label); got != want {
					t.Errorf("%v logins counted as %s, want %v", got, label, want)
				}
			}
			if got := a.metric("tokenhandler_logouts_total", ""); got != 1 {
				t.Errorf("%v logouts counted", got)
			}
			if got := a.metric("tokenhandler_revocations_total", "ok"); got != 1 {
				t.Errorf("%v revocations counted", got)
			}
		})
	}
}

// wantSessionJSON compares the answer byte by byte: clients depend on the names, and
// it must contain no token.
func wantSessionJSON(t *testing.T, a *app, ua *useragent.UA) {
	t.Helper()
	now := a.clock.Now()
	want := `{"authenticated":true,"now":"` + now.Format(time.RFC3339) + `","user":{"sub":"` + a.pool.User("demo").Sub + `","username":"demo","email":"demo@example.com",` +
		`"email_verified":true,"name":"Demo User","groups":["readers","writers"]},` +
		`"session_id":"` + a.sessionName() + `","auth_time":"` + now.Format(time.RFC3339) + `",` +
		`"expires_at":"` + now.Add(12*time.Hour).Format(time.RFC3339) + `",` +
		`"idle_expires_at":"` + now.Add(time.Hour).Format(time.RFC3339) + `",` +
		`"access_token_expires_at":"` + now.Add(time.Hour).Format(time.RFC3339) + `"}`
	res := ua.Fetch(http.MethodGet, "/auth/session", "")
	if diff := cmp.Diff(want, string(res.Body)); diff != "" {
		t.Errorf("GET /auth/session (-want +got):\n%s", diff)
	}
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
}

// sessionName returns the name of the session that was begun last, as the log shows it.
func (a *app) sessionName() string {
	a.tb.Helper()
	logins := a.log.RecordsOf(a.tb, "login")
	name, _ := logins[len(logins)-1]["session"].(string)
	return name
}

// wantSecrecy checks that no place that a script can read has a token, and that the
// log has no secret. The secrets are those that the provider issued and the cookies
// that were set.
func wantSecrecy(t *testing.T, a *app, ua *useragent.UA) {
	t.Helper()
	for _, res := range ua.History() {
		if !strings.HasPrefix(res.URL, a.url) {
			continue
		}
		for name, c := range setCookies(t, res.Header) {
			if len(c.Value) > 0 && strings.HasPrefix(name, "__Host-") {
				a.provider.note("cookie "+name, c.Value)
			}
		}
	}
	log, visible := a.log.String(), ua.ScriptVisible()
	if strings.Count(log, "\n") < 5 || len(visible) < 5 {
		t.Fatalf("%d visible places and this log are too few to prove anything:\n%s", len(visible), log)
	}
	if len(a.provider.secrets) < 10 {
		t.Fatalf("only %d secrets were seen", len(a.provider.secrets))
	}
	for value, what := range a.provider.secrets {
		if strings.Contains(log, value) {
			t.Errorf("the log holds the %s", what)
		}
		for _, place := range visible {
			if strings.Contains(place.Text, value) {
				t.Errorf("%s shows the %s", place.Where, what)
			}
		}
	}
	if strings.Contains(log, cognitotest.Canary) {
		t.Error("the log holds text of the provider's")
	}
}
