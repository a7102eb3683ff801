package tokenhandler_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// copyOf returns a browser with a copy of all cookies, as a thief has.
func (a *app) copyOf(ua *useragent.UA) *useragent.UA {
	a.tb.Helper()
	thief := a.browser()
	for _, c := range ua.Cookies() {
		thief.SetCookie(c)
	}
	return thief
}

// ours returns the browser's cookies without those of the provider, which has the
// same host in these tests.
func ours(ua *useragent.UA) []useragent.Cookie {
	return slices.DeleteFunc(ua.Cookies(), func(c useragent.Cookie) bool { return c.Name == "cognito" })
}

// wantDead checks that no path accepts the browser's cookies.
func (a *app) wantDead(ua *useragent.UA) {
	a.tb.Helper()
	res := a.copyOf(ua).Fetch(http.MethodGet, "/api/me", "")
	testkit.WantProblem(a.tb, res.Answer(), http.StatusUnauthorized, "session_expired")
	res = a.copyOf(ua).Fetch(http.MethodPost, "/auth/refresh", "")
	testkit.WantProblem(a.tb, res.Answer(), http.StatusUnauthorized, "session_expired")
	a.wantSession(a.copyOf(ua), false)
}

func (a *app) wantLogoutURL(res *useragent.Response) {
	a.tb.Helper()
	var got struct {
		LogoutURL string `json:"logout_url"`
	}
	want := a.pool.URL + "/logout?client_id=" + a.pool.ClientID() + "&logout_uri=" + url.QueryEscape(a.url+"/bye")
	if err := res.JSON(&got); err != nil || res.Status != http.StatusOK || got.LogoutURL != want || strings.Count(string(res.Body), ":\"") != 1 {
		a.tb.Errorf("%d %s, want %s", res.Status, res.Body, want)
	}
}

// TestLogoutKillsCopies checks that copies of the session's cookie are refused after
// a logout (ASVS V7.4.1), and that all cookies are removed.
func TestLogoutKillsCopies(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	a.begin(ua, "/auth/login")
	a.begin(ua, "/auth/signup")
	ua.SetCookie(useragent.Cookie{Name: sessionCookie + ".1", Value: "surplus"})
	ua.SetCookie(useragent.Cookie{Name: "theme", Value: "dark"})
	thief := a.copyOf(ua)
	a.wantSession(thief, true)
	res := ua.Fetch(http.MethodPost, "/auth/logout", "")
	a.wantLogoutURL(res)
	a.wantDead(thief)
	if left := ours(ua); len(left) != 1 || left[0].Name != "theme" {
		t.Errorf("cookies left: %v", left)
	}
	for name, c := range setCookies(t, res.Header) {
		want := map[bool]http.SameSite{true: http.SameSiteLaxMode, false: http.SameSiteStrictMode}[strings.HasPrefix(name, loginPrefix) || name == beganCookie]
		if c.MaxAge >= 0 || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != want {
			t.Errorf("%s is not removed with the attributes it was set with: %s", name, c.Raw)
		}
	}
	if !a.pool.Revoked(a.provider.newest().Refresh.Reveal()) {
		t.Error("the refresh token lives on")
	}
}

// TestLogoutWinsOverRefresh checks a refresh that is at the provider during the
// logout and comes back with valid tokens. In another product it creates the session
// again.
func TestLogoutWinsOverRefresh(t *testing.T) {
	for _, under := range []struct{ method, path string }{{http.MethodPost, "/auth/refresh"}, {http.MethodGet, "/auth/session"}, {http.MethodGet, "/api/me"}} {
		for _, fails := range []bool{false, true} {
			t.Run(under.path, func(t *testing.T) {
				s := short()
				s.pool.Rotation, s.pool.NoRevocation = true, true // otherwise the provider would refuse the refresh
				a := newApp(t, s)
				ua := a.login()
				a.clock.Advance(11 * time.Minute)
				thief := a.copyOf(ua)
				gate := a.pool.Hold(cognitotest.TokenRefresh)
				answer := make(chan *useragent.Response, 1)
				go func() { answer <- ua.Tab().Fetch(under.method, under.path, "") }()
				gate.Await(t, 1)
				a.wantLogoutURL(ua.Fetch(http.MethodPost, "/auth/logout", ""))
				if fails {
					a.pool.SignOut("demo")
				}
				gate.Open()
				res := <-answer
				if changed := res.Header["Set-Cookie"]; len(changed) > 0 { // the answer to the logout has removed them
					t.Errorf("written after the logout: %v", changed)
				}
				if under.path == "/auth/session" {
					if !strings.Contains(string(res.Body), `"authenticated":false`) {
						t.Errorf("%d %s", res.Status, res.Body)
					}
				} else {
					testkit.WantProblem(t, res.Answer(), http.StatusUnauthorized, "session_expired")
				}
				if len(ours(ua)) != 0 {
					t.Errorf("cookies: %v", ours(ua))
				}
				a.wantDead(thief)
			})
		}
	}
}

// TestLogoutWithoutSession checks that the answer is the same without a session: a
// user who clicks twice sees no error.
func TestLogoutWithoutSession(t *testing.T) {
	for name, spoil := range map[string]func(a *app, ua *useragent.UA){
		"none":    func(_ *app, ua *useragent.UA) { ua.ClearCookies() },
		"garbage": func(_ *app, ua *useragent.UA) { ua.SetCookie(useragent.Cookie{Name: sessionCookie, Value: "x"}) },
		"idle":    func(a *app, _ *useragent.UA) { a.clock.Advance(2 * time.Hour) },
		"too large": func(_ *app, ua *useragent.UA) {
			ua.SetCookie(useragent.Cookie{Name: sessionCookie, Value: strings.Repeat("A", 20000)})
		},
		"twice": func(_ *app, ua *useragent.UA) { ua.Fetch(http.MethodPost, "/auth/logout", "") },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{})
			ua := a.login()
			spoil(a, ua)
			a.wantLogoutURL(ua.Fetch(http.MethodPost, "/auth/logout", ""))
			if left := ours(ua); len(left) != 0 {
				t.Errorf("cookies left: %v", left)
			}
		})
	}
}

// TestLogoutByForm checks that the answer to a form is a page that navigates on, and no
// redirect: to redirects after a form browsers apply form-action, also to those of the
// provider to other origins.
func TestLogoutByForm(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	thief := a.copyOf(ua)
	res := ua.SubmitForm("/auth/logout", nil)
	if res.Status != http.StatusOK || res.URL != a.url+"/bye" || res.Via[0].Status != http.StatusOK || len(res.Via) != 2 {
		t.Errorf("ended at %s with %d after %d", res.URL, res.Status, res.Via[0].Status)
	}
	a.wantDead(thief)
	old := a.send(t.Context(), http.MethodPost, "/auth/logout", http.Header{"Origin": {a.url}, "Accept": {"text/html,*/*"}})
	if old.Status != http.StatusOK || old.Header.Get("Content-Type") != "text/html; charset=utf-8" || len(old.Header["Location"]) != 0 {
		t.Errorf("an old browser's form: %d %v", old.Status, old.Header)
	}
	script := a.send(t.Context(), http.MethodPost, "/auth/logout", http.Header{"X-Csrf": {"1"}, "Accept": {"*/*"}})
	if script.Status != http.StatusOK || script.Header.Get("Content-Type") != "application/json" {
		t.Errorf("an old browser's script: %d %v", script.Status, script.Header)
	}
}

// TestLogoutEverywhere checks that all sessions of the user that have begun end, and
// no others, and that a new login works.
func TestLogoutEverywhere(t *testing.T) {
	a := newApp(t, settings{})
	a.pool.AddUser(cognitotest.User{Username: "second"})
	here, there := a.login(), a.login()
	a.pool.LoginAs("second")
	other := a.login()
	a.pool.LoginAs("demo")
	a.clock.Advance(time.Second)
	for query, want := range map[string]bool{"": true, "?everywhere=false": true, "?everywhere=1": true} {
		a.wantLogoutURL(a.login().Fetch(http.MethodPost, "/auth/logout"+query, ""))
		a.wantSession(there, want)
	}
	a.clock.Advance(time.Second)
	res := here.Fetch(http.MethodPost, "/auth/logout?everywhere=true&everywhere=true", "")
	testkit.WantProblem(t, res.Answer(), http.StatusBadRequest, "invalid_request")
	a.wantSession(here, true)
	a.wantLogoutURL(here.Fetch(http.MethodPost, "/auth/logout?everywhere=true", ""))
	a.wantDead(there)
	a.wantSession(other, true)
	a.clock.Advance(time.Second)
	a.wantSession(a.login(), true)
	// Without a session there is no user to sign out.
	res = a.browser().Fetch(http.MethodPost, "/auth/logout?everywhere=true", "")
	a.wantLogoutURL(res)
	a.wantSession(other, true)
}

// TestLogoutEverywhereOfADeadSession: a copy of a cookie whose refresh token is dead does not
// end the user's other sessions.
func TestLogoutEverywhereOfADeadSession(t *testing.T) {
	a := newApp(t, settings{})
	here, there := a.login(), a.login()
	thief := a.copyOf(here)
	a.pool.Break(cognitotest.TokenRefresh, cognitotest.OAuthError("invalid_grant"), 1)
	testkit.WantProblem(t, here.Fetch(http.MethodPost, "/auth/refresh", "").Answer(), http.StatusUnauthorized, "session_expired")
	a.clock.Advance(time.Second)
	a.wantLogoutURL(thief.Fetch(http.MethodPost, "/auth/logout?everywhere=true", ""))
	a.wantSession(there, true)
}

// TestLogoutWhenRevocationFails checks that the session ends although the revocation
// fails, and that the failure is counted.
func TestLogoutWhenRevocationFails(t *testing.T) {
	for _, outage := range []cognitotest.Outage{cognitotest.Reset(), cognitotest.OAuthError("unsupported_token_type"), cognitotest.Text("html", 500, "text/html", cognitotest.Canary)} {
		a := newApp(t, settings{})
		ua := a.login()
		thief := a.copyOf(ua)
		a.pool.Break(cognitotest.Revoke, outage, 0)
		res := ua.Fetch(http.MethodPost, "/auth/logout", "")
		a.wantLogoutURL(res)
		a.wantQuiet(res)
		a.wantDead(thief)
		if got := a.metric("tokenhandler_revocations_total", "failed"); got != 1 {
			t.Errorf("%v failures counted", got)
		}
	}
}

// TestLogoutOfABrokenSession checks a session whose tokens cannot be read, so that there is
// nothing to revoke: the session ends, and the log and the metric tell.
func TestLogoutOfABrokenSession(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	breakInside(a, ua)
	thief := a.copyOf(ua)
	a.wantLogoutURL(ua.Fetch(http.MethodPost, "/auth/logout", ""))
	a.wantDead(thief)
	if n := a.metric("tokenhandler_revocations_total", "failed"); n != 1 || !a.log.Contains("refresh token not revoked") {
		t.Errorf("%v failures counted", n)
	}
}

// TestLogoutWithoutRevocationEndpoint checks that a provider that cannot revoke tokens is
// not counted as if it had done so.
func TestLogoutWithoutRevocationEndpoint(t *testing.T) {
	a := newApp(t, settings{disconnected: true})
	a.pool.Break(cognitotest.Discovery, cognitotest.EditJSON("no revocation", func(body map[string]any) { delete(body, "revocation_endpoint") }), 0)
	a.connect()
	a.wantLogoutURL(a.login().Fetch(http.MethodPost, "/auth/logout", ""))
	for outcome, want := range map[string]float64{"ok": 0, "failed": 0, "unsupported": 1} {
		if got := a.metric("tokenhandler_revocations_total", outcome); got != want {
			t.Errorf("%s: %v, want %v", outcome, got, want)
		}
	}
}

// TestLogoutOfAnEndedSessionRevokes checks that the logout of an expired session
// revokes its refresh token, which is still valid at the provider.
func TestLogoutOfAnEndedSessionRevokes(t *testing.T) {
	for name, pass := range map[string]time.Duration{"idle": time.Hour, "lifetime over": 12 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{})
			ua := a.login()
			refresh := a.provider.newest().Refresh.Reveal()
			a.clock.Advance(pass)
			a.wantLogoutURL(ua.Fetch(http.MethodPost, "/auth/logout", ""))
			if !a.pool.Revoked(refresh) {
				t.Error("the refresh token lives on")
			}
		})
	}
}

// TestLogoutBeforeTheProviderIsKnown checks a logout before discovery has succeeded:
// the provider's logout page is not known.
func TestLogoutBeforeTheProviderIsKnown(t *testing.T) {
	a := newApp(t, settings{disconnected: true})
	res := a.browser().Fetch(http.MethodPost, "/auth/logout", "")
	if string(res.Body) != `{"logout_url":"`+a.url+`/bye"}` {
		t.Errorf("%d %s", res.Status, res.Body)
	}
}

// TestLogoutEndsTheSessionBeforeItAsksTheProvider checks that a copy of the cookie
// is worth nothing while the provider takes its time for the revocation, and that
// the logout succeeds if the browser leaves and the revocation fails.
func TestLogoutEndsTheSessionBeforeItAsksTheProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		public := &url.URL{Scheme: "https", Host: "app.example.com"}
		log := slog.New(slog.DiscardHandler)
		denied := memory.New(time.Now)
		store := session.NewStore(session.Config{
			Keys: keyring(t, 7), Names: session.NewNames("session", false),
			IdleTimeout: time.Hour, AbsoluteLifetime: time.Hour, Now: time.Now,
		})
		slow := &slowProvider{}
		h := tokenhandler.New(tokenhandler.Config{
			Site:     web.NewSite(web.Config{PublicURL: public, LoginURL: "/auth/login", Log: log, Now: time.Now}),
			Store:    store,
			Sessions: refresh.NewManager(refresh.Config{Store: store, Denied: denied, Now: time.Now, Log: log}),
			Provider: slow, Path: "/auth", PublicURL: public, AfterLogout: "/",
			Now: time.Now, Log: log,
		})
		began := make(http.Header)
		s := store.Begin(secret.Tokens{
			Access: secret.New("a.b.c"), Refresh: secret.New("refresh"), Subject: "sub", Claims: "{}", AccessExpires: time.Now().Add(time.Hour),
		}, time.Now())
		save(t, store, began, store.Session, map[any]any{session.Key: s})
		slow.isDead = func() bool { return denied.Denied(s.ID.Name(), "sub", "", s.Begun) }
		gone, leave := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(gone, http.MethodPost, "/auth/logout", http.NoBody)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		for _, c := range setCookies(t, began) {
			if c.MaxAge >= 0 {
				r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
			}
		}
		leave() // the tab is closed
		rec, start := httptest.NewRecorder(), time.Now()
		h.ServeHTTP(rec, r)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("the provider was asked for %s, want 3s", took)
		}
		if rec.Code != http.StatusOK || !slow.dead {
			t.Errorf("%d, dead before the provider was asked: %v", rec.Code, slow.dead)
		}
	})
}

// slowProvider takes as long for a revocation as a provider may, which then fails.
type slowProvider struct {
	tokenhandler.Provider

	isDead func() bool // asks whether the session has ended
	dead   bool        // whether it had at the revocation
}

func (p *slowProvider) Revoke(context.Context, secret.String) error {
	p.dead = p.isDead()
	time.Sleep(3 * time.Second)
	return errors.New("the provider did not answer in time")
}

func (*slowProvider) LogoutURL(string, secret.String) string {
	return "https://idp.example.com/logout"
}

// TestEverywhereWhenTheClockIsSetBack: a session that began while the clock was ahead ends
// with the others, and a login right after the clock was set back is not dead at once. The
// same holds for a logout token of the provider.
func TestEverywhereWhenTheClockIsSetBack(t *testing.T) {
	for name, end := range map[string]func(a *app, ua *useragent.UA){
		"everywhere": func(_ *app, ua *useragent.UA) { ua.Fetch(http.MethodPost, "/auth/logout?everywhere=true", "") },
		"provider":   func(a *app, _ *useragent.UA) { a.wantTold(a.pool.LogoutToken(a.pool.User("demo").Sub, "")) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newOpenIDApp(t)
			right := a.clock.Now()
			a.clock.Set(right.Add(2 * time.Second))
			ahead := a.login()
			a.clock.Set(right)
			end(a, a.login())
			a.wantSession(ahead, false)
			a.clock.Set(right.Add(time.Second))
			end(a, a.login())
			a.clock.Set(right)
			late := a.login()
			for range 5 {
				a.wantSession(late, true)
				a.clock.Advance(time.Second)
			}
		})
	}
}
