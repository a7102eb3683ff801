package tokenhandler_test

import (
	"encoding/binary"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/session"
)

// TestEndsOfSessionsAreCountedOnce: a browser that goes on with the cookie of a session
// that has ended sends many requests, and the session counts once, with the first cause.
func TestEndsOfSessionsAreCountedOnce(t *testing.T) {
	t.Parallel()
	causes := map[string]func(a *app, ua *useragent.UA){
		"idle":     func(a *app, _ *useragent.UA) { a.clock.Advance(2 * time.Hour) },
		"expired":  func(a *app, _ *useragent.UA) { a.clock.Advance(12 * time.Hour) },
		"logout":   func(_ *app, ua *useragent.UA) { ua.Fetch(http.MethodPost, "/auth/logout", "") },
		"replaced": func(a *app, ua *useragent.UA) { a.loginIn(ua, "/") },
		"refused":  func(a *app, _ *useragent.UA) { a.pool.SignOut("demo") },
		"revoked": func(a *app, _ *useragent.UA) {
			now := a.clock.Now().Add(time.Second)
			entry := replicas.Revocation{Kind: replicas.KindSubject, Name: a.pool.User("demo").Sub, Before: now, Until: now.Add(time.Hour)}
			if err := a.revoke(t.Context(), entry); err != nil {
				t.Error(err)
			}
		},
	}
	for cause, end := range causes {
		t.Run(cause, func(t *testing.T) {
			a := newApp(t, settings{})
			ua := a.login()
			copied := a.copyOf(ua)
			end(a, ua)
			for range 3 {
				copied.Clone().Fetch(http.MethodPost, "/auth/refresh", "")
			}
			for other := range causes {
				if got := a.metric("tokenhandler_sessions_ended_total", other); got != map[bool]float64{true: 1}[other == cause] {
					t.Errorf("%v sessions ended by %s", got, other)
				}
			}
		})
	}
}

// TestFailedLoginsAreCountedByWhoseFaultTheyAre: a bot, the provider, or an answer that
// cannot be verified.
func TestFailedLoginsAreCountedByWhoseFaultTheyAre(t *testing.T) {
	t.Parallel()
	for outcome, fail := range map[string]func(a *app){
		"unknown_state": func(a *app) { a.browser().Navigate("/auth/callback?code=x&state=0made-up") },
		"state_lost": func(a *app) {
			ua := a.browser()
			a.begin(ua, "/auth/login")
			ua.Navigate("/auth/callback?code=x&state=1made-up")
		},
		"refused": func(a *app) {
			a.pool.OnCallback(func(q url.Values) { q.Set("code", "made-up") })
			ua, res := a.failLogin()
			a.back(ua, a.authorize(res.Location()))
		},
		"unverified": func(a *app) {
			a.pool.EditIDToken(func(token *cognitotest.Token) { token.Claims["aud"] = "another-client" })
			a.failLogin()
		},
	} {
		t.Run(outcome, func(t *testing.T) {
			a := newApp(t, settings{})
			fail(a)
			if got := a.metric("tokenhandler_logins_total", outcome); got != 1 {
				t.Errorf("%v logins counted as %s", got, outcome)
			}
		})
	}
}

// numbered returns an id of its own for every number.
func numbered(n int) (id session.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

// TestMemoryOfEndingsIsBounded: the newest 10,000 sessions are remembered at least, and 20,000
// at most.
func TestMemoryOfEndingsIsBounded(t *testing.T) {
	var endings tokenhandler.Endings
	for n := range 50_000 {
		if !endings.IsNew(numbered(n)) || endings.IsNew(numbered(n)) || endings.IsNew(numbered(max(0, n-9_999))) {
			t.Fatalf("the end of session %d is recorded twice, or never", n)
		}
	}
	if n := endings.Len(); n > 20_000 {
		t.Errorf("%d sessions are remembered", n)
	}
}

// TestMemoryOfLogoutsIsBounded: the same for the sessions and users that have logged out.
func TestMemoryOfLogoutsIsBounded(t *testing.T) {
	begun := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for what, add := range map[string]func(*tokenhandler.LoggedOut, int){
		"sessions": func(l *tokenhandler.LoggedOut, n int) { l.AddSession(numbered(n)) },
		"users":    func(l *tokenhandler.LoggedOut, n int) { l.AddUser(strconv.Itoa(n), begun.Add(1)) },
	} {
		var out tokenhandler.LoggedOut
		is := func(n int) bool {
			s := &session.Session{Subject: strconv.Itoa(n), Begun: begun}
			s.ID = numbered(n)
			return out.Has(s)
		}
		if out.Has(nil) || is(0) {
			t.Errorf("%s: without a logout", what)
		}
		for n := range 50_000 {
			if add(&out, n); !is(n) || !is(max(0, n-9_999)) || is(n+1) {
				t.Fatalf("%s: number %d is not told from the others", what, n)
			}
		}
		if n := out.Len(); n > 20_000 {
			t.Errorf("%s: %d are remembered", what, n)
		}
		if out.Has(&session.Session{Subject: "49999", Begun: begun.Add(1)}) {
			t.Errorf("%s: a session that began after the logout has ended", what)
		}
	}
}
