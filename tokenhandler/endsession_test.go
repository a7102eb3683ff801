package tokenhandler_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/session"
)

func keepIDToken(s *settings) { s.session = func(c *session.Config) { c.KeepIDToken = true } }

// wantEnded checks that the browser was sent to the provider's logout page and came
// back. It returns the query of that page.
func (a *app) wantEnded(res *useragent.Response) url.Values {
	a.tb.Helper()
	if res.Status != http.StatusOK || res.URL != a.url+"/bye" {
		a.tb.Fatalf("ended at %s with %d %s after %d hops", res.URL, res.Status, res.Body, len(res.Via))
	}
	asked := a.pool.LastForm(cognitotest.EndSession)
	if asked.Get("post_logout_redirect_uri") != a.url+"/bye" || asked.Get("client_id") != a.pool.ClientID() || asked.Has("state") {
		a.tb.Errorf("the provider was asked %v", asked)
	}
	return asked
}

// TestLogoutByFormHints checks that the provider gets the newest ID token as a hint,
// and that nothing that a script can read contains it.
func TestLogoutByFormHints(t *testing.T) {
	for name, prepare := range map[string]func(a *app, ua *useragent.UA){
		"live": func(*app, *useragent.UA) {},
		"refreshed": func(a *app, ua *useragent.UA) {
			if r := ua.Fetch(http.MethodPost, "/auth/refresh", ""); r.Status != http.StatusOK {
				a.tb.Fatalf("%d %s", r.Status, r.Body)
			}
		},
		"idle": func(a *app, _ *useragent.UA) { a.clock.Advance(2 * time.Hour) },
		"over": func(a *app, _ *useragent.UA) { a.clock.Advance(24 * time.Hour) },
		"ended by an operator": func(a *app, _ *useragent.UA) {
			a.clock.Advance(time.Second)
			a.wantTold(a.pool.LogoutToken(a.pool.User("demo").Sub, ""))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newOpenIDApp(t, keepIDToken)
			ua := a.login()
			prepare(a, ua)
			res := ua.SubmitForm("/auth/logout", nil)
			hint := a.wantEnded(res).Get("id_token_hint")
			if hint == "" || hint != a.provider.newest().ID.Reveal() {
				t.Errorf("the hint %.20q is not the newest ID token", hint)
			}
			if strings.Contains(ua.ScriptVisibleText(), hint) {
				t.Error("a script can read it")
			}
			a.wantQuiet(res)
		})
	}
}

// logoutByScript logs out as an app's script does, and returns the URL to which it is
// to send the browser.
func (a *app) logoutByScript(ua *useragent.UA) string {
	a.tb.Helper()
	res := ua.Fetch(http.MethodPost, "/auth/logout", "")
	var got struct {
		LogoutURL string `json:"logout_url"`
	}
	if err := res.JSON(&got); err != nil || res.Status != http.StatusOK {
		a.tb.Fatalf("%d %s", res.Status, res.Body)
	}
	return got.LogoutURL
}

// TestLogoutByScriptHints checks that a script gets a URL of the service that leads to
// the provider with the ID token as a hint, and that the script can read neither.
func TestLogoutByScriptHints(t *testing.T) {
	a := newOpenIDApp(t, keepIDToken)
	ua := a.login()
	next := a.logoutByScript(ua)
	if !strings.HasPrefix(next, a.url+"/auth/logout/continue?to=") {
		t.Fatalf("the script gets %s", next)
	}
	cookies := ours(ua)
	if len(cookies) != 1 || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].Expires.Sub(a.clock.Now()) != time.Minute {
		t.Errorf("the browser has %+v", cookies)
	}
	a.clock.Advance(59 * time.Second)
	res := ua.Click(next)
	hint := a.wantEnded(res).Get("id_token_hint")
	if hint == "" || hint != a.provider.newest().ID.Reveal() {
		t.Errorf("the hint %.20q is not the newest ID token", hint)
	}
	if strings.Contains(ua.ScriptVisibleText(), hint) || len(ours(ua)) != 0 {
		t.Errorf("a script can read the hint, or cookies are left: %v", ours(ua))
	}
	a.wantQuiet(res)
	if asked := a.wantEnded(ua.Click(next)); asked.Has("id_token_hint") {
		t.Error("the URL works twice")
	}
}

// TestLogoutURLIsBound checks that the URL leads to the provider without a hint if it has
// expired or is used in another browser or by another tab's logout, and nowhere if the
// service did not make it.
func TestLogoutURLIsBound(t *testing.T) {
	t.Run("expired", func(t *testing.T) {
		a := newOpenIDApp(t, keepIDToken)
		ua := a.login()
		next, cookies := a.logoutByScript(ua), ours(ua)
		a.clock.Advance(time.Minute)
		ua.SetCookie(cookies[0]) // also if the browser kept it for longer
		if asked := a.wantEnded(ua.Click(next)); asked.Has("id_token_hint") {
			t.Error("it has a hint")
		}
	})
	t.Run("another browser", func(t *testing.T) {
		a := newOpenIDApp(t, keepIDToken)
		ua := a.login()
		next := a.logoutByScript(ua)
		for name, other := range map[string]*useragent.UA{"none": a.browser(), "logged in": a.login(), "logged out": a.login()} {
			if name == "logged out" {
				a.logoutByScript(other)
			}
			if asked := a.wantEnded(other.Click(next)); asked.Has("id_token_hint") {
				t.Errorf("%s: it has a hint", name)
			}
			a.wantSession(other, name == "logged in")
		}
		if asked := a.wantEnded(ua.Click(next)); !asked.Has("id_token_hint") {
			t.Error("others have used it up")
		}
	})
	t.Run("not ours", func(t *testing.T) {
		a := newOpenIDApp(t, keepIDToken)
		ua := a.login()
		good := a.logoutByScript(ua)
		login, _ := a.begin(a.browser(), "/auth/login")
		sealed := login.Cookies()[0].Value
		for _, next := range []string{"/auth/logout/continue", "/auth/logout/continue?to=", "/auth/logout/continue?to=x", "/auth/logout/continue?to=" + sealed, good[:len(good)-4] + "AAAA"} {
			before := a.pool.Count(cognitotest.EndSession)
			if res := ua.NavigateFrom(foreignSite, next); res.URL != a.url+"/bye" || a.pool.Count(cognitotest.EndSession) != before {
				t.Errorf("%s ended at %s with %d", next, res.URL, res.Status)
			}
		}
		if asked := a.wantEnded(ua.Click(good)); !asked.Has("id_token_hint") {
			t.Error("the good one is used up")
		}
	})
}

// TestLogoutURLIsForNavigations checks that a script cannot follow the URL and see where
// it leads, and that a prefetch does not use it up.
func TestLogoutURLIsForNavigations(t *testing.T) {
	a := newOpenIDApp(t, keepIDToken)
	ua := a.login()
	next := a.logoutByScript(ua)
	testkit.WantProblem(t, ua.Fetch(http.MethodGet, next, "").Answer(), http.StatusBadRequest, "invalid_request")
	if res := ua.Open(useragent.Navigation{URL: next, From: a.url, Header: map[string]string{"Sec-Purpose": "prefetch"}}); res.Status != http.StatusNoContent {
		t.Errorf("a prefetch: %d", res.Status)
	}
	for _, c := range ours(ua) {
		// In an old browser, a script may see where it is redirected to.
		old := a.send(t.Context(), http.MethodGet, next, http.Header{"Cookie": {c.Name + "=" + c.Value}})
		if old.Status != http.StatusSeeOther || strings.Contains(old.Header.Get("Location"), "hint") {
			t.Errorf("an old browser: %d to %s", old.Status, old.Header.Get("Location"))
		}
	}
	if asked := a.wantEnded(ua.Click(next)); !asked.Has("id_token_hint") {
		t.Error("it was used up")
	}
}

// TestLogoutWithoutHint checks that there is no hint without an ID token.
func TestLogoutWithoutHint(t *testing.T) {
	a := newOpenIDApp(t, keepIDToken)
	want := a.pool.URL + "/session/end?client_id=" + a.pool.ClientID() + "&post_logout_redirect_uri=" + url.QueryEscape(a.url+"/bye")
	if got := a.logoutByScript(a.browser()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if asked := a.wantEnded(a.browser().SubmitForm("/auth/logout", nil)); asked.Has("id_token_hint") {
		t.Error("a hint without a session")
	}
	dropped := newOpenIDApp(t)
	if asked := dropped.wantEnded(dropped.login().SubmitForm("/auth/logout", nil)); asked.Has("id_token_hint") {
		t.Error("a hint although the ID token is not kept")
	}
}

// TestLogoutHeadFitsProxies checks that a large ID token is left out, because a proxy
// would answer 502 to the logout.
func TestLogoutHeadFitsProxies(t *testing.T) {
	for size, want := range map[int]bool{2000: true, 4000: false} {
		a := newOpenIDApp(t, keepIDToken, func(s *settings) { s.pool.IDTokenSize = size })
		res := a.login().SubmitForm("/auth/logout", nil)
		if got := a.wantEnded(res).Has("id_token_hint"); got != want {
			t.Errorf("%d bytes: hint %v, want %v", size, got, want)
		}
		for _, hop := range append(slices.Clip(res.Via), res) {
			if n := headSize(hop.Header); n > 4096 && strings.HasPrefix(hop.URL, a.url) {
				t.Errorf("%d bytes: the head has %d", size, n)
			}
		}
	}
}

// TestCognitoGetsNoHint checks that Cognito gets its two parameters and nothing else,
// even if the session keeps an ID token.
func TestCognitoGetsNoHint(t *testing.T) {
	s := settings{}
	keepIDToken(&s)
	a := newApp(t, s)
	a.login().SubmitForm("/auth/logout", nil)
	if asked := a.pool.LastForm(cognitotest.Logout); len(asked) != 2 || !asked.Has("client_id") || !asked.Has("logout_uri") {
		t.Errorf("Cognito was asked %v", asked)
	}
}

// headSize returns the size of an answer's head without status line and Date.
func headSize(header http.Header) int {
	var head strings.Builder
	_ = header.Write(&head) // never fails
	return head.Len()
}
