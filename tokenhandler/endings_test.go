package tokenhandler_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/replicas"
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
