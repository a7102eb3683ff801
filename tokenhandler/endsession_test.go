package tokenhandler_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/session"
)

func keepIDToken(s *settings) { s.session = func(c *session.Config) { c.KeepIDToken = true } }

// wantEnded checks that the browser was sent to the provider's logout page and came
// back. It returns the query of that page.
func (a *app) wantEnded(res *useragent.Response) url.Values {
	a.tb.Helper()
	if res.Status != http.StatusOK || res.URL != a.url+"/bye" || len(res.Via) != 2 {
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

// TestLogoutWithoutHint checks that an answer that a script can read contains no
// token, and that there is no hint without an ID token.
func TestLogoutWithoutHint(t *testing.T) {
	a := newOpenIDApp(t, keepIDToken)
	want := a.pool.URL + "/session/end?client_id=" + a.pool.ClientID() + "&post_logout_redirect_uri=" + url.QueryEscape(a.url+"/bye")
	res := a.login().Fetch(http.MethodPost, "/auth/logout", "")
	var got struct {
		LogoutURL string `json:"logout_url"`
	}
	if err := res.JSON(&got); err != nil || got.LogoutURL != want {
		t.Errorf("%s, want %s", res.Body, want)
	}
	// A script in an old browser can ask for HTML, and may see where it is redirected
	// to.
	old := http.Header{"Origin": {a.url}, "Accept": {"text/html"}, "Cookie": {cookieHeader(a.login())}}
	if r := a.send(t.Context(), http.MethodPost, "/auth/logout", old); r.Header.Get("Location") != want {
		t.Errorf("an old browser is sent to %s", r.Header.Get("Location"))
	}
	a.clock.Advance(time.Second)
	if asked := a.wantEnded(a.browser().SubmitForm("/auth/logout", nil)); asked.Has("id_token_hint") {
		t.Error("a hint without a session")
	}
	dropped := newOpenIDApp(t)
	if asked := dropped.wantEnded(dropped.login().SubmitForm("/auth/logout", nil)); asked.Has("id_token_hint") {
		t.Error("a hint although the ID token is not kept")
	}
}

func cookieHeader(ua *useragent.UA) string {
	var pairs []string
	for _, c := range ours(ua) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
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
		if n := headSize(res.Via[0].Header); n > 4096 {
			t.Errorf("%d bytes: the head has %d", size, n)
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
