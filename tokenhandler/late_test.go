package tokenhandler_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// TestLateAnswerLeavesTheNewSession: a request of the old session waits for its
// refresh while another tab logs in again. Its answer comes last, and must not
// remove the cookies of the session that has begun.
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

// TestLogoutOfASessionThatDoesNotOpen: the cookie is idle here, or the store is
// out and sessions are not served. The logout counts all the same: copies with
// later activity are dead, and sockets end.
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

// watch is a socket of the browser's session.
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

// TestLogoutDuringAProbeWins: the request waits for the provider's word, and
// must not go on with the token after the logout.
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

// TestLoginEndsAnIdleSession: its sockets may go on, and the next login may be
// another person's.
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
