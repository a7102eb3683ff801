package tokenhandler_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// TestLateAnswerLeavesTheNewSession checks a request of the old session that waits
// for a refresh while the user logs in again in another tab. Its answer comes last
// and must not remove the cookies of the new session.
func TestLateAnswerLeavesTheNewSession(t *testing.T) {
	for path, status := range map[string]int{"/api/me": http.StatusUnauthorized, "/auth/session": http.StatusOK} {
		t.Run(path, func(t *testing.T) {
			a := newApp(t, short())
			ua := a.login()
			a.clock.Advance(11 * time.Minute)
			gate := a.pool.Hold(cognitotest.TokenRefresh)
			answer := make(chan *useragent.Response, 1)
			go func() { answer <- ua.Tab().Fetch(http.MethodGet, path, "") }()
			gate.Await(t, 1)
			a.loginIn(ua.Tab(), "/")
			a.wantSession(ua, true)
			gate.Open()
			if res := <-answer; res.Status != status || len(res.Header["Set-Cookie"]) != 0 {
				t.Errorf("the late answer is %d with %v", res.Status, res.Header["Set-Cookie"])
			}
			a.wantSession(ua, true)
		})
	}
}

// TestLogoutOfASessionThatDoesNotOpen checks a logout with a cookie that has become
// idle, or while no session is served because the store is out. It must end copies
// with later activity, and WebSockets.
func TestLogoutOfASessionThatDoesNotOpen(t *testing.T) {
	for name, query := range map[string]string{"": "", "everywhere": "?everywhere=true"} {
		t.Run("idle "+name, func(t *testing.T) {
			a := newApp(t, settings{})
			a.denied.OnGrowth(a.sessions.Recheck)
			ua := a.login()
			socket, copied := a.watch(ua), a.copyOf(ua)
			a.clock.Advance(58 * time.Minute)
			copied.Fetch(http.MethodPost, "/auth/refresh", "")
			a.clock.Advance(5 * time.Minute)
			a.wantLogoutURL(ua.Fetch(http.MethodPost, "/auth/logout"+query, ""))
			a.wantDead(copied)
			wantOver(t, socket.Done())
		})
		t.Run("not served "+name, func(t *testing.T) {
			var certain atomic.Bool
			certain.Store(true)
			a := newApp(t, settings{refresh: func(c *refresh.Config) { c.DenyListCurrent = certain.Load }})
			a.denied.OnGrowth(a.sessions.Recheck)
			ua, other := a.login(), a.login()
			socket, copied := a.watch(ua), a.copyOf(ua)
			a.clock.Advance(time.Second)
			certain.Store(false)
			a.wantLogoutURL(ua.Fetch(http.MethodPost, "/auth/logout"+query, ""))
			certain.Store(true)
			a.wantDead(copied)
			a.wantSession(other, query == "")
			wantOver(t, socket.Done())
		})
	}
}

// watch watches the browser's session as a WebSocket does.
func (a *app) watch(ua *useragent.UA) context.Context {
	a.tb.Helper()
	visit, err := a.sessions.Open(a.request(ua))
	if err != nil {
		a.tb.Fatal(err)
	}
	return visit.Watch(a.tb.Context())
}

func wantOver(t *testing.T, over <-chan struct{}) {
	t.Helper()
	testkit.Receive(t, over, "the end of the socket")
}

// TestLogoutDuringAProbeWins checks that a request that waits for a probe does not go
// on with the token if the user logs out meanwhile.
func TestLogoutDuringAProbeWins(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	a := newApp(t, settings{handler: func(c *tokenhandler.Config) {
		c.ProbeInterval = time.Minute
		c.Alive = func(context.Context, secret.String, string) error { close(asked); <-answer; return nil }
	}})
	ua := a.login()
	a.clock.Advance(time.Minute)
	late := make(chan *useragent.Response, 1)
	go func() { late <- ua.Tab().Fetch(http.MethodGet, "/api/me", "") }()
	<-asked
	ua.Fetch(http.MethodPost, "/auth/logout", "")
	close(answer)
	res := <-late
	testkit.WantProblem(t, res.Answer(), http.StatusUnauthorized, "session_expired")
	if len(res.Header["Set-Cookie"]) != 0 {
		t.Errorf("it wrote %v", res.Header["Set-Cookie"])
	}
}

// TestLoginEndsAnIdleSession checks that a login ends an idle session: its WebSockets
// may go on, and the next user of the browser may be another person.
func TestLoginEndsAnIdleSession(t *testing.T) {
	for name, sameSite := range map[string]bool{"hosted UI on the app's site": true, "hosted UI on another site": false} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{sameSite: sameSite})
			a.denied.OnGrowth(a.sessions.Recheck)
			ua := a.login()
			socket := a.watch(ua)
			a.clock.Advance(2 * time.Hour)
			a.loginIn(ua, "/")
			a.wantSession(ua, true)
			wantOver(t, socket.Done())
		})
	}
}

// TestLogoutEverywhereIsLoggedIfItFails: the user is logged out here, and an operator learns
// that the other sessions go on.
func TestLogoutEverywhereIsLoggedIfItFails(t *testing.T) {
	for _, fails := range []bool{false, true} {
		a := newApp(t, settings{handler: func(c *tokenhandler.Config) {
			if fails {
				c.Revoke = func(context.Context, replicas.Revocation) error { return errors.New("planted") }
			}
		}})
		ua := a.login()
		a.wantLogoutURL(ua.Fetch(http.MethodPost, "/auth/logout?everywhere=true", ""))
		a.wantSession(ua, false)
		if logged := a.log.Contains("sessions not ended everywhere"); logged != fails {
			t.Errorf("fails: %v, logged: %v", fails, logged)
		}
	}
}

// TestSignOutAtTheProvider: only a logout everywhere ends the user's sessions at the provider, with
// the access token of this one. That it fails is counted, and changes nothing else.
func TestSignOutAtTheProvider(t *testing.T) {
	for query, err := range map[string]error{"": nil, "?everywhere=true": nil, "?everywhere=true&fails": errors.New("planted")} {
		var asked []secret.String
		a := newApp(t, settings{handler: func(c *tokenhandler.Config) {
			c.SignOut = func(_ context.Context, access secret.String) error {
				asked = append(asked, access)
				return err
			}
		}})
		ua := a.login()
		a.wantLogoutURL(ua.Fetch(http.MethodPost, "/auth/logout"+query, ""))
		want := map[string]float64{"ok": 0, "failed": 0}
		if query != "" {
			want[map[bool]string{true: "ok", false: "failed"}[err == nil]] = 1
		}
		if calls := float64(len(asked)); calls != want["ok"]+want["failed"] || calls == 1 && !asked[0].Equal(a.provider.newest().Access) {
			t.Errorf("%q: asked %v times", query, calls)
		}
		for outcome, n := range want {
			if got := a.metric("tokenhandler_provider_signouts_total", outcome); got != n {
				t.Errorf("%q: %v counted as %s, want %v", query, got, outcome, n)
			}
		}
	}
}
