package tokenhandler_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/session"
)

// openID returns the settings of an app in front of a plain OpenID provider.
func openID(a **app) settings {
	return settings{
		pool:     cognitotest.Options{OpenID: true},
		provider: func(c *cognito.Config) { c.Profile = cognito.OIDC },
		handler: func(c *tokenhandler.Config) {
			c.VerifyLogout = func(ctx context.Context, raw string) (provider.LogoutToken, error) {
				return (*a).provider.VerifyLogout(ctx, raw)
			}
		},
	}
}

func newOpenIDApp(t *testing.T, edits ...func(*settings)) *app {
	t.Helper()
	var a *app
	s := openID(&a)
	for _, edit := range edits {
		edit(&s)
	}
	a = newApp(t, s)
	return a
}

// sendLogout sends a back-channel logout as the provider's server does: without
// cookies and without headers of a browser.
func (a *app) sendLogout(method, body string, header http.Header) *testkit.Answer {
	a.tb.Helper()
	r, err := http.NewRequestWithContext(a.tb.Context(), method, a.url+"/auth/backchannel-logout", strings.NewReader(body))
	if err != nil {
		a.tb.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	maps.Copy(r.Header, header)
	answer := a.do(r)
	if got := answer.Header.Get("Cache-Control"); got != "no-store" {
		a.tb.Errorf("Cache-Control %q", got)
	}
	if len(answer.Header["Set-Cookie"]) != 0 {
		a.tb.Errorf("it sets cookies: %v", answer.Header["Set-Cookie"])
	}
	return answer
}

func form(token string) string { return url.Values{"logout_token": {token}}.Encode() }

func (a *app) wantTold(token string) {
	a.tb.Helper()
	if got := a.sendLogout(http.MethodPost, form(token), nil); got.Status != http.StatusOK || len(got.Body) != 0 {
		a.tb.Errorf("%d %s", got.Status, got.Body)
	}
}

// TestBackchannelLogoutBySession checks that the sessions of one session at the
// provider end, and no others of the same user.
func TestBackchannelLogoutBySession(t *testing.T) {
	a := newOpenIDApp(t)
	ua := a.login()
	sid := a.provider.newest().SID
	other := a.login()
	a.clock.Advance(time.Second)
	a.wantTold(a.pool.LogoutToken(a.pool.User("demo").Sub, sid))
	a.wantDead(ua)
	a.wantSession(other, true)
	if got := a.metric("tokenhandler_backchannel_logouts_total", "ok"); got != 1 {
		t.Errorf("%v logouts counted", got)
	}
}

// TestBackchannelLogoutBySubject checks that every session of the user that has begun
// ends, but not those of other users and not the next one.
func TestBackchannelLogoutBySubject(t *testing.T) {
	a := newOpenIDApp(t)
	a.pool.AddUser(cognitotest.User{Username: "second"})
	one, two := a.login(), a.login()
	a.pool.LoginAs("second")
	other := a.login()
	a.pool.LoginAs("demo")
	a.clock.Advance(time.Second)
	a.wantTold(a.pool.LogoutToken(a.pool.User("demo").Sub, ""))
	a.wantDead(one)
	a.wantDead(two)
	a.wantSession(other, true)
	a.wantSession(a.login(), true)
}

// TestBackchannelLogoutSurvivesRefreshes checks that a session keeps the name of the
// provider's session through its refreshes.
func TestBackchannelLogoutSurvivesRefreshes(t *testing.T) {
	a := newOpenIDApp(t)
	ua := a.login()
	sid := a.provider.newest().SID
	if r := ua.Fetch(http.MethodPost, "/auth/refresh", ""); r.Status != http.StatusOK {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	a.clock.Advance(time.Second)
	a.wantTold(a.pool.LogoutToken("", sid))
	a.wantDead(ua)
}

// TestBackchannelLogoutRefusals checks that each fault is answered 400 and ends no
// session.
func TestBackchannelLogoutRefusals(t *testing.T) {
	for _, fault := range cognitotest.LogoutFaults {
		t.Run(fault.Name, func(t *testing.T) {
			a := newOpenIDApp(t)
			ua := a.login()
			a.clock.Advance(time.Second)
			a.wantRefused(form(a.pool.LogoutToken(a.pool.User("demo").Sub, a.provider.newest().SID, fault.Edit)), nil)
			a.wantSession(ua, true)
			refusals := a.log.RecordsOf(t, "logout by the provider not done")
			if len(refusals) != 1 || refusals[0]["level"] != "WARN" || refusals[0]["outcome"] != "refused" {
				t.Errorf("the log says %v", refusals)
			}
		})
	}
}

func (a *app) wantRefused(body string, header http.Header) {
	a.tb.Helper()
	got := a.sendLogout(http.MethodPost, body, header)
	testkit.WantProblem(a.tb, *got, http.StatusBadRequest, "invalid_request")
	for _, text := range []string{string(got.Body), a.log.String()} {
		if strings.Contains(text, "eyJ") || strings.Contains(text, cognitotest.Canary) {
			a.tb.Errorf("the token is in %s", text)
		}
	}
}

func TestBackchannelLogoutForms(t *testing.T) {
	a := newOpenIDApp(t)
	ua := a.login()
	a.clock.Advance(time.Second)
	good := form(a.pool.LogoutToken(a.pool.User("demo").Sub, ""))
	for name, body := range map[string]string{
		"empty": "", "without a value": "logout_token=", "another name": strings.Replace(good, "logout", "id", 1),
		"twice": good + "&" + good, "another twice": good + "&a=1&a=1", "broken": good + "&%zz", "semicolon": good + ";a",
	} {
		t.Run(name, func(*testing.T) { a.wantRefused(body, nil) })
	}
	a.wantRefused(good, http.Header{"Content-Type": {"application/json"}})
	a.wantRefused(good, http.Header{"Content-Type": {"multipart/form-data; boundary=x"}})
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		got := a.sendLogout(method, good, nil)
		testkit.WantProblem(t, *got, http.StatusMethodNotAllowed, "method_not_allowed")
	}
	got := a.sendLogout(http.MethodPost, form(strings.Repeat("x", 20<<10)), nil)
	testkit.WantProblem(t, *got, http.StatusRequestEntityTooLarge, "too_large")
	a.wantSession(ua, true)
	if n := a.metric("tokenhandler_backchannel_logouts_total", "refused"); n != 10 {
		t.Errorf("%v refusals counted", n)
	}
	// None of the refused requests used up the token, and a further parameter does no
	// harm.
	if got := a.sendLogout(http.MethodPost, good+"&further=1", nil); got.Status != http.StatusOK {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	a.wantDead(ua)
	a.wantRefused(good, nil) // used before
}

// TestBackchannelLogoutFromAnotherSite checks that neither origin nor cookies matter:
// a server sends the request.
func TestBackchannelLogoutFromAnotherSite(t *testing.T) {
	a := newOpenIDApp(t)
	ua := a.login()
	a.clock.Advance(time.Second)
	got := a.sendLogout(http.MethodPost, form(a.pool.LogoutToken(a.pool.User("demo").Sub, "")), http.Header{
		"Origin": {foreignSite}, "Sec-Fetch-Site": {"cross-site"}, "Cookie": {sessionCookie + "=x"},
	})
	if got.Status != http.StatusOK {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	a.wantDead(ua)
}

// TestBackchannelLogoutWithoutKeys checks that the answer is 503, so that the
// provider sends the token again.
func TestBackchannelLogoutWithoutKeys(t *testing.T) {
	a := newOpenIDApp(t)
	ua := a.login()
	a.clock.Advance(time.Second)
	a.pool.RotateKeys()
	a.pool.Break(cognitotest.JWKS, cognitotest.Text("busy", http.StatusTooManyRequests, "text/plain", cognitotest.Canary), 0)
	token := a.pool.LogoutToken(a.pool.User("demo").Sub, "")
	got := a.sendLogout(http.MethodPost, form(token), nil)
	testkit.WantProblem(t, *got, http.StatusServiceUnavailable, "provider_unavailable")
	a.wantSession(ua, true)
	a.pool.Mend(cognitotest.JWKS)
	a.clock.Advance(2 * time.Second)
	a.wantTold(token)
	a.wantDead(ua)
	unknown := newOpenIDApp(t, func(s *settings) { s.disconnected = true })
	got = unknown.sendLogout(http.MethodPost, form(token), nil)
	testkit.WantProblem(t, *got, http.StatusServiceUnavailable, "provider_unavailable")
	if n := unknown.metric("tokenhandler_backchannel_logouts_total", "unavailable"); n != 1 {
		t.Errorf("%v counted", n)
	}
}

// TestBackchannelLogoutThatCannotBeKept checks that the provider gets no 200 if the
// sessions have not ended.
func TestBackchannelLogoutThatCannotBeKept(t *testing.T) {
	a := newOpenIDApp(t, func(s *settings) {
		verify := s.handler
		s.handler = func(c *tokenhandler.Config) {
			verify(c)
			c.Revoke = func(context.Context, replicas.Revocation) error { return errors.New("the list is full") }
		}
	})
	got := a.sendLogout(http.MethodPost, form(a.pool.LogoutToken("some-sub", "")), nil)
	testkit.WantProblem(t, *got, http.StatusInternalServerError, "internal_error")
}

// TestCognitoSendsNoLogoutTokens checks that the path does not exist for Cognito.
func TestCognitoSendsNoLogoutTokens(t *testing.T) {
	a := newApp(t, settings{})
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		got := a.sendLogout(method, form("x"), nil)
		testkit.WantProblem(t, *got, http.StatusNotFound, "not_found")
	}
}

// TestLogoutTokensNameOnlySessionsThatBegan checks that a user who logs in while a
// logout token is under way keeps the new session.
func TestLogoutTokensNameOnlySessionsThatBegan(t *testing.T) {
	a := newOpenIDApp(t)
	var ua *useragent.UA
	token := a.pool.LogoutToken(a.pool.User("demo").Sub, "the-old-session")
	ua = a.login()
	a.clock.Advance(time.Second)
	a.wantTold(token)
	a.wantSession(ua, true)
}

// TestBackchannelLogoutLasts checks that the entry on the deny list outlives every session
// that it means.
func TestBackchannelLogoutLasts(t *testing.T) {
	for name, sid := range map[string]string{"by session": "a-session-at-the-provider", "by subject": ""} {
		a := newOpenIDApp(t, func(s *settings) { s.session = func(c *session.Config) { c.IdleTimeout = c.AbsoluteLifetime } })
		ua := a.login()
		sub := a.pool.User("demo").Sub
		if sid != "" {
			sid = a.provider.newest().SID
		}
		a.clock.Advance(time.Second)
		told := a.clock.Now()
		a.wantTold(a.pool.LogoutToken(sub, sid))
		entries := a.denied.Entries()
		if len(entries) != 1 || !entries[0].Before.Equal(told) || !entries[0].Until.Equal(told.Add(12*time.Hour)) {
			t.Errorf("%s: told at %s, entries %+v", name, told, entries)
		}
		a.clock.Advance(12*time.Hour - 3*time.Second) // the session would have two more seconds
		a.wantDead(ua)
	}
}
