package tokenhandler_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
)

// TestSessionSaysWhyItEnded: an app can tell "you were inactive" from "you have logged out
// in another tab". It is said once, because the answer removes the cookie.
func TestSessionSaysWhyItEnded(t *testing.T) {
	for want, cases := range map[string]map[string]func(a *app, ua *useragent.UA){
		"idle":    {"an hour without a request": func(a *app, _ *useragent.UA) { a.clock.Advance(time.Hour) }},
		"expired": {"the end of the lifetime": func(a *app, _ *useragent.UA) { a.clock.Advance(12 * time.Hour) }},
		"logout": {
			"here":       func(a *app, ua *useragent.UA) { a.copyOf(ua).Fetch(http.MethodPost, "/auth/logout", "") },
			"everywhere": func(a *app, _ *useragent.UA) { a.login().Fetch(http.MethodPost, "/auth/logout?everywhere=true", "") },
		},
		"revoked": {
			"the user": func(a *app, _ *useragent.UA) { a.revokeNow(replicas.KindSubject, a.pool.User("demo").Sub) },
			"the session, by the name that the app shows": func(a *app, ua *useragent.UA) {
				a.revokeNow(replicas.KindSession, a.session(ua).SessionID)
			},
		},
		"refused": {
			"invalid_grant": func(a *app, _ *useragent.UA) { a.pool.SignOut("demo"); a.clock.Advance(11 * time.Minute) },
			"another error": func(a *app, _ *useragent.UA) {
				a.pool.Break(cognitotest.TokenRefresh, cognitotest.OAuthError("access_denied"), 0)
				a.clock.Advance(11 * time.Minute)
			},
		},
		"": {
			"no session": func(_ *app, ua *useragent.UA) { ua.ClearCookies() },
			"garbage":    func(_ *app, ua *useragent.UA) { ua.SetCookie(useragent.Cookie{Name: sessionCookie, Value: "garbage"}) },
		},
	} {
		for name, end := range cases {
			t.Run(want+"/"+name, func(t *testing.T) {
				a := newApp(t, short())
				ua := a.login()
				a.clock.Advance(time.Second) // what ends all sessions of the user was begun later
				end(a, ua)
				if body := a.session(ua); body.Authenticated || body.Ended != want {
					t.Errorf("ended %q", body.Ended)
				}
				if _, kept := ua.Cookie(sessionCookie); kept {
					return // the provider did not say for good that it refuses the session
				}
				if body := a.session(ua); body.Authenticated || body.Ended != "" {
					t.Errorf("without a cookie: ended %q", body.Ended)
				}
			})
		}
	}
}

// revokeNow ends sessions as an operator does.
func (a *app) revokeNow(kind replicas.Kind, name string) {
	a.tb.Helper()
	entry := replicas.Revocation{Kind: kind, Name: name, Until: a.clock.Now().Add(time.Hour)}
	if kind != replicas.KindSession {
		entry.Before = a.clock.Now()
	}
	if err := a.revoke(a.tb.Context(), entry); err != nil {
		a.tb.Error(err)
	}
}

// TestSessionIsNotOverInAnotherTab: the cookie of a session that a login in the same
// browser has replaced says nothing about the browser's session.
func TestSessionIsNotOverInAnotherTab(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	old := a.copyOf(ua)
	a.loginIn(ua, "/")
	if body := a.session(old); body.Authenticated || body.Ended != "" {
		t.Errorf("%+v", body)
	}
}

// TestSessionDescribesItself checks every field that an app gets, against what was issued.
func TestSessionDescribesItself(t *testing.T) {
	const life, authenticated = 2 * time.Hour, -30 * time.Minute
	var ends time.Time // of the refresh token
	a := newApp(t, settings{})
	a.provider.exchanged = func(tokens secret.Tokens) secret.Tokens {
		tokens.AuthTime, tokens.RefreshExpires = a.clock.Now().Add(authenticated), ends
		return tokens
	}
	ua := a.login()
	a.clock.Advance(1234 * time.Millisecond)
	body := a.session(ua)
	began := a.clock.Now().Add(-1234 * time.Millisecond)
	if len(body.SessionID) != 16 || strings.Trim(body.SessionID, "0123456789abcdef") != "" || !a.log.Contains(body.SessionID) {
		t.Errorf("session_id %q is not the one in the log", body.SessionID)
	}
	if !body.AuthTime.Equal(began.Add(authenticated)) || !body.ExpiresAt.Equal(began.Add(12*time.Hour)) || !body.IdleExpiresAt.Equal(began.Add(time.Hour)) {
		t.Errorf("%+v", body)
	}
	ends = a.clock.Now().Add(life).Truncate(time.Second)
	if got := a.session(a.login()).ExpiresAt; !got.Equal(ends) {
		t.Errorf("expires_at %v is not the end of the refresh token, %v", got, ends)
	}
}

// TestSessionOfAnotherOrigin: the path of a login would lead a page of another origin to
// its own server.
func TestSessionOfAnotherOrigin(t *testing.T) {
	const sister = "http://127.0.0.1:3000"
	a := newApp(t, settings{allowed: []string{sister}})
	var body sessionBody
	res := a.browser().FetchFrom(sister, http.MethodGet, a.url+"/auth/session", "")
	if err := res.JSON(&body); err != nil || body.LoginURL != a.url+"/auth/login" {
		t.Errorf("%v %s", err, res.Body)
	}
}
