package tokenhandler_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// whileRedeemed calls during while the code of a login is redeemed.
func (a *app) whileRedeemed(during func(secret.Tokens)) {
	a.provider.exchanged = func(tokens secret.Tokens) secret.Tokens {
		during(tokens)
		return tokens
	}
}

// TestRevocationWhileTheCodeIsRedeemed checks that a revocation of the user ends the login
// that is just being completed, and its refresh token with it. The user may begin anew.
func TestRevocationWhileTheCodeIsRedeemed(t *testing.T) {
	for name, c := range map[string]struct {
		kind  replicas.Kind
		name  string // "" for that of the user
		early time.Duration
		ends  bool
	}{
		"of the user":                      {replicas.KindSubject, "", 0, true},
		"of the session at the provider":   {replicas.KindProviderSession, "", 0, true},
		"of another user":                  {replicas.KindSubject, "another", 0, false},
		"an old one, which comes only now": {replicas.KindSubject, "", time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{})
			ua := a.browser()
			a.whileRedeemed(func(tokens secret.Tokens) {
				now := a.clock.Now().Add(-c.early)
				entry := replicas.Revocation{Kind: c.kind, Name: c.name, Before: now, Until: now.Add(time.Hour)}
				if entry.Name == "" {
					entry.Name = map[replicas.Kind]string{replicas.KindSubject: tokens.Subject, replicas.KindProviderSession: tokens.SID}[c.kind]
				}
				if _, err := a.denied.Add(entry); err != nil {
					t.Error(err)
				}
			})
			if c.kind == replicas.KindProviderSession {
				next := a.provider.exchanged
				a.provider.exchanged = func(tokens secret.Tokens) secret.Tokens {
					tokens.SID = "sid-1"
					return next(tokens)
				}
			}
			tab, callback := a.begin(ua, "/auth/login")
			res := a.back(tab, callback)
			if !c.ends {
				a.wantSession(ua, true)
				return
			}
			wantPage(t, res, http.StatusBadRequest, "login_failed")
			wantNoSession(t, ua, res)
			if n := a.pool.Count(cognitotest.Revoke); n != 1 {
				t.Errorf("%d refresh tokens were revoked", n)
			}
			a.provider.exchanged = nil
			a.loginIn(ua, "/")
			a.wantSession(ua, true)
		})
	}
}

// TestBrowserThatLeavesKeepsItsSession checks a user who closes the tab, or stops the page,
// while the code is redeemed: the browser never gets the new session's cookies, so that the
// session that it has must not end.
func TestBrowserThatLeavesKeepsItsSession(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	tab, callback := a.begin(ua, "/auth/login")
	ctx, leave := context.WithCancel(t.Context())
	a.whileRedeemed(func(secret.Tokens) { leave() })
	r := a.request(ua).WithContext(ctx)
	r.URL.Path, r.URL.RawQuery = "/auth/callback", callback[strings.Index(callback, "?")+1:]
	a.ServeHTTP(httptest.NewRecorder(), r)
	a.wantSession(ua, true)
	if n := a.pool.Count(cognitotest.Revoke); n != 1 || a.metric("tokenhandler_logins_total", "abandoned") != 1 {
		t.Errorf("%d refresh tokens were revoked", n)
	}
	a.provider.exchanged = nil
	if res := a.back(tab, callback); res.Status != http.StatusFound { // the code was used
		t.Errorf("the page, loaded again: %d to %s", res.Status, res.Location())
	}
}

// withSessions returns a browser that has begun a login lately, and has these sessions.
func (a *app) withSessions(ids ...session.ID) *useragent.UA {
	a.tb.Helper()
	var raw [][]byte
	for _, id := range ids {
		raw = append(raw, id[:])
	}
	return a.withSessionIDs(raw...)
}

// withSessionIDs is the same for ids that are none of this release.
func (a *app) withSessionIDs(ids ...[]byte) *useragent.UA {
	a.tb.Helper()
	var all []map[string]any
	for _, id := range ids {
		all = append(all, map[string]any{"i": id, "u": a.clock.Now().Add(12 * time.Hour).Unix()})
	}
	payload, err := json.Marshal(map[string]any{"b": a.clock.Now().UnixMilli(), "s": all})
	if err != nil {
		a.tb.Fatal(err)
	}
	began := make(http.Header)
	save(a.tb, a.store, began, beganCookie, map[any]any{session.Key: payload})
	ua := a.browser()
	ua.SetCookie(useragent.Cookie{Name: beganCookie, Value: setCookies(a.tb, began)[beganCookie].Value})
	return ua
}

// TestEarlierSessionsEndAtTheSameTime checks that the user of a slow provider does not wait
// for one earlier session after the other.
func TestEarlierSessionsEndAtTheSameTime(t *testing.T) {
	a := newApp(t, short())
	var ids []session.ID
	var browsers []*useragent.UA
	for range 4 {
		ua := a.login()
		ua.Fetch(http.MethodPost, "/auth/refresh", "") // so that the process has the refresh token
		s, err := a.sessions.Open(a.request(ua))
		if err != nil {
			t.Fatal(err)
		}
		ids, browsers = append(ids, s.Session.ID), append(browsers, ua)
	}
	ua := a.withSessions(ids...)
	tab, callback := a.begin(ua, "/auth/login")
	gate := a.pool.Hold(cognitotest.Revoke)
	done := make(chan *useragent.Response, 1)
	go func() { done <- a.back(tab, callback) }()
	gate.Await(t, 4)
	gate.Open()
	if res := <-done; res.Status != http.StatusSeeOther {
		t.Errorf("answered %d", res.Status)
	}
	for _, earlier := range browsers {
		a.wantSession(earlier, false)
	}
	a.wantSession(ua, true)
}

// TestBeganCookieKeepsItsSize checks that it fits into the 400 bytes that a session leaves of
// the budget, with the most that it may hold.
func TestBeganCookieKeepsItsSize(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.withSessions(session.ID{1}, session.ID{2}, session.ID{3}, session.ID{4})
	for range 12 {
		ua.SetCookie(useragent.Cookie{Name: loginPrefix + "x", Value: "x"})
		a.begin(ua, "/auth/login")
		a.clock.Advance(time.Second)
	}
	c, _ := ua.Cookie(beganCookie)
	if n := len(c.Name) + len(c.Value) + len("=; "); n > 400 || n < 300 {
		t.Errorf("%d bytes", n)
	}
}

// TestSessionIDsOfAnotherRelease: what the browser had is skipped if its id has another length.
func TestSessionIDsOfAnotherRelease(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.withSessionIDs([]byte("short"), make([]byte, 32), nil)
	if res := a.back(ua.Tab(), a.url+"/auth/callback?code=x&state=1x"); res.Status != http.StatusBadRequest {
		t.Errorf("a callback without its login: %d to %s", res.Status, res.Location())
	}
	a.loginIn(ua, "/")
	a.wantSession(ua, true)
}
