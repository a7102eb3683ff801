package tokenhandler_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/session"
)

// short returns the settings of a pool whose access tokens expire before the session
// is idle.
func short() settings {
	return settings{pool: cognitotest.Options{AccessTTL: 10 * time.Minute}}
}

// breakInside seals a session whose tokens cannot be parsed, as another version of
// the service could have written it.
func breakInside(a *app, ua *useragent.UA) {
	reseal(a, ua, func(payload []byte) {
		for i := range 40 {
			payload[len(payload)-1-i] ^= 0xff
		}
	})
}

// reseal changes the payload of a session and seals it with the key of the service.
func reseal(a *app, ua *useragent.UA, change func(payload []byte)) {
	a.tb.Helper()
	c, _ := ua.Cookie(sessionCookie)
	codec := seal.Codec{Keys: a.keys, MaxLength: 1 << 16, Binding: seal.Bind("", "")}
	var payload []byte
	if err := codec.Decode(sessionCookie, c.Value[1:], &payload); err != nil {
		a.tb.Fatal(err)
	}
	change(payload)
	sealed, err := codec.Encode(sessionCookie, payload)
	if err != nil {
		a.tb.Fatal(err)
	}
	ua.SetCookie(useragent.Cookie{Name: c.Name, Value: "1" + sealed})
}

// withClaims seals a session with these claims.
func withClaims(claims string) func(*app, *useragent.UA) {
	return func(a *app, ua *useragent.UA) {
		a.tb.Helper()
		tokens := a.provider.newest()
		tokens.Claims = claims
		header := make(http.Header)
		save(a.tb, a.store, header, sessionCookie, map[any]any{session.Key: a.store.Begin(tokens, a.clock.Now())})
		c := setCookies(a.tb, header)[sessionCookie]
		ua.SetCookie(useragent.Cookie{Name: c.Name, Value: c.Value})
	}
}

// TestResealedSessionsNeverFail: whoever has a session key can change every byte of a
// session. It is another session then or none, but no error of the service.
func TestResealedSessionsNeverFail(t *testing.T) {
	a := newApp(t, short())
	ua := a.login()
	size := 0
	reseal(a, ua, func(payload []byte) { size = len(payload) })
	original, _ := ua.Cookie(sessionCookie)
	broken := a.browser()
	for at := 0; at < size; at += 1 + at/64 { // every byte of the head, some of the tokens
		broken.SetCookie(original)
		reseal(a, broken, func(payload []byte) { payload[at] ^= byte(1 + at%255) })
		for _, request := range [][2]string{{http.MethodGet, "/auth/session"}, {http.MethodGet, "/api/me"}, {http.MethodPost, "/auth/logout"}} {
			spoilt := a.copyOf(broken)
			if res := spoilt.Fetch(request[0], request[1], ""); res.Status == http.StatusInternalServerError {
				t.Fatalf("byte %d of the session changed: %s %s: %d %s", at, request[0], request[1], res.Status, res.Body)
			}
		}
	}
}

// TestSessionEndpointAnswersAlways checks that the status is 200 whatever cookies the
// browser has, and that cookies that never open are removed.
func TestSessionEndpointAnswersAlways(t *testing.T) {
	for name, spoil := range map[string]func(a *app, ua *useragent.UA){
		"garbage": func(_ *app, ua *useragent.UA) { ua.SetCookie(useragent.Cookie{Name: sessionCookie, Value: "garbage"}) },
		"empty":   func(_ *app, ua *useragent.UA) { ua.SetCookie(useragent.Cookie{Name: sessionCookie}) },
		"truncated": func(_ *app, ua *useragent.UA) {
			c, _ := ua.Cookie(sessionCookie)
			ua.SetCookie(useragent.Cookie{Name: c.Name, Value: c.Value[:500]})
		},
		"missing part": func(_ *app, ua *useragent.UA) {
			c, _ := ua.Cookie(sessionCookie)
			ua.SetCookie(useragent.Cookie{Name: c.Name, Value: "2" + c.Value[1:]})
		},
		"too large": func(_ *app, ua *useragent.UA) {
			ua.SetCookie(useragent.Cookie{Name: sessionCookie, Value: strings.Repeat("A", 20000)})
		},
		"broken inside":                  breakInside,
		"claims that are no JSON":        withClaims(`{"sub":"x"`),
		"claims that are no object":      withClaims(`"sub"`),
		"broken inside, to be refreshed": func(a *app, ua *useragent.UA) { breakInside(a, ua); a.clock.Advance(11 * time.Minute) },
		"idle":                           func(a *app, _ *useragent.UA) { a.clock.Advance(time.Hour) },
		"expired":                        func(a *app, _ *useragent.UA) { a.clock.Advance(12 * time.Hour) },
		"revoked": func(a *app, _ *useragent.UA) {
			entry := replicas.Revocation{Kind: replicas.KindSubject, Name: a.pool.User("demo").Sub, Before: a.clock.Now().Add(time.Second), Until: a.clock.Now().Add(time.Hour)}
			if err := a.revoke(t.Context(), entry); err != nil {
				t.Error(err)
			}
		},
		"invalid_grant": func(a *app, _ *useragent.UA) { a.pool.SignOut("demo"); a.clock.Advance(11 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, short())
			ua := a.login()
			spoil(a, ua)
			a.wantSession(ua, false)
			for _, c := range []string{sessionCookie, activeCookie} {
				if _, there := ua.Cookie(c); there {
					t.Errorf("%s stays", c)
				}
			}
			if res := ua.Fetch(http.MethodGet, "/auth/session", ""); len(res.Header["Set-Cookie"]) != 0 {
				t.Errorf("without a cookie some are removed: %v", res.Header["Set-Cookie"])
			}
		})
	}
}

// TestSessionEndpointMethods checks that HEAD is answered as GET without a body, and
// that calls from other sites are refused although they would carry no cookie.
func TestSessionEndpointMethods(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	get, head := ua.Fetch(http.MethodGet, "/auth/session", ""), ua.Fetch(http.MethodHead, "/auth/session", "")
	if head.Status != http.StatusOK || len(head.Body) != 0 || head.Header.Get("Content-Length") != get.Header.Get("Content-Length") {
		t.Errorf("HEAD: %d, %d bytes, Content-Length %q", head.Status, len(head.Body), head.Header.Get("Content-Length"))
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		res := ua.Fetch(method, "/auth/session", "")
		testkit.WantProblem(t, res.Answer(), http.StatusMethodNotAllowed, "method_not_allowed")
		if res.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: Allow %q", method, res.Header.Get("Allow"))
		}
	}
	res := ua.FetchFrom(foreignSite, http.MethodGet, a.url+"/auth/session", "")
	testkit.WantProblem(t, res.Answer(), http.StatusForbidden, "cross_site_request")
	if res.SentCookie(sessionCookie) || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("another site gets more than a refusal")
	}
}

// TestSessionEndpointRefreshes checks that a refresh that is due is made, and that
// the answer has the new time and cookie.
func TestSessionEndpointRefreshes(t *testing.T) {
	a := newApp(t, short())
	ua := a.login()
	before := a.session(ua)
	a.clock.Advance(11 * time.Minute)
	after := a.session(ua)
	if !after.Authenticated || !after.AccessExpires.Equal(a.clock.Now().Add(10*time.Minute)) {
		t.Errorf("access token until %s, now is %s", after.AccessExpires, a.clock.Now())
	}
	if !after.ExpiresAt.Equal(before.ExpiresAt) || !after.IdleExpiresAt.Equal(before.IdleExpiresAt) {
		t.Errorf("a refresh prolonged the session: %+v", after)
	}
	a.session(ua)
	if n := a.pool.Count(cognitotest.TokenRefresh); n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
}

// TestSessionEndpointWithoutProvider checks that an outage logs nobody out: the
// answer shows an expired access token and a user.
func TestSessionEndpointWithoutProvider(t *testing.T) {
	t.Parallel()
	for _, outage := range []cognitotest.Outage{
		cognitotest.Reset(), cognitotest.OAuthError("invalid_client"), cognitotest.Truncated(),
		cognitotest.Text("429", http.StatusTooManyRequests, "text/plain", "slow down"),
		cognitotest.Text("html", http.StatusOK, "text/html", "<p>"),
	} {
		t.Run(outage.Name, func(t *testing.T) {
			a := newApp(t, short())
			ua := a.login()
			a.clock.Advance(11 * time.Minute)
			a.pool.Break(cognitotest.TokenRefresh, outage, 0)
			got := a.session(ua)
			if !got.Authenticated || !got.AccessExpires.Before(a.clock.Now()) {
				t.Errorf("%+v", got)
			}
			if _, there := ua.Cookie(sessionCookie); !there {
				t.Error("the cookie is gone")
			}
			a.pool.Mend(cognitotest.TokenRefresh)
			a.clock.Advance(time.Minute) // after the pause that follows a failure
			if got := a.session(ua); !got.AccessExpires.After(a.clock.Now()) {
				t.Errorf("it does not heal: %+v", got)
			}
		})
	}
}

// TestPollingDoesNotKeepAlive checks that an app that polls does not keep an absent
// user logged in, even if it causes refreshes. Requests to the API and POST
// /auth/refresh do.
func TestPollingDoesNotKeepAlive(t *testing.T) {
	a := newApp(t, short())
	ua := a.login()
	end := a.session(ua).IdleExpiresAt
	for range 11 {
		a.clock.Advance(5 * time.Minute)
		if got := a.session(ua); !got.Authenticated || !got.IdleExpiresAt.Equal(end) {
			t.Fatalf("polled: %+v, want the end at %s", got, end)
		}
	}
	a.clock.Advance(5 * time.Minute)
	a.wantSession(ua, false)

	for _, use := range []struct{ method, path string }{{http.MethodGet, "/api/me"}, {http.MethodPost, "/auth/refresh"}} {
		ua = a.login()
		a.clock.Advance(50 * time.Minute)
		if res := ua.Fetch(use.method, use.path, ""); res.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", use.path, res.Status, res.Body)
		}
		if got := a.session(ua); !got.IdleExpiresAt.Equal(a.clock.Now().Add(time.Hour)) {
			t.Errorf("%s: idle until %s", use.path, got.IdleExpiresAt)
		}
	}
}

// TestStayingLoggedIn checks that POST /auth/refresh prolongs the session from the moment
// on, also if the last activity was noted a second ago.
func TestStayingLoggedIn(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	a.clock.Advance(time.Second)
	if res := ua.Fetch(http.MethodPost, "/auth/refresh", ""); res.Status != http.StatusOK {
		t.Fatalf("%d %s", res.Status, res.Body)
	}
	if got := a.session(ua); !got.IdleExpiresAt.Equal(a.clock.Now().Add(time.Hour)) {
		t.Errorf("idle until %s, the time is %s", got.IdleExpiresAt, a.clock.Now())
	}
}

// TestRefreshErrors checks the answers of POST /auth/refresh, and which of them
// remove the cookies.
func TestRefreshErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil   func(a *app, ua *useragent.UA)
		status  int
		code    string
		cleared bool
	}{
		"no session":    {func(_ *app, ua *useragent.UA) { ua.ClearCookies() }, http.StatusUnauthorized, "not_authenticated", false},
		"garbage":       {func(_ *app, ua *useragent.UA) { ua.SetCookie(useragent.Cookie{Name: sessionCookie, Value: "x"}) }, http.StatusUnauthorized, "session_expired", true},
		"idle":          {func(a *app, _ *useragent.UA) { a.clock.Advance(time.Hour) }, http.StatusUnauthorized, "session_expired", true},
		"expired":       {func(a *app, _ *useragent.UA) { a.clock.Advance(12 * time.Hour) }, http.StatusUnauthorized, "session_expired", true},
		"invalid_grant": {func(a *app, _ *useragent.UA) { a.pool.SignOut("demo") }, http.StatusUnauthorized, "session_expired", true},
		"user deleted":  {func(a *app, _ *useragent.UA) { a.pool.DeleteUser("demo") }, http.StatusUnauthorized, "session_expired", true},
		"broken inside": {breakInside, http.StatusUnauthorized, "session_expired", true},
		"provider down": {func(a *app, _ *useragent.UA) { a.pool.Break(cognitotest.TokenRefresh, cognitotest.Reset(), 0) }, http.StatusServiceUnavailable, "provider_unavailable", false},
		"provider busy": {func(a *app, _ *useragent.UA) {
			a.pool.Break(cognitotest.TokenRefresh, cognitotest.Text("429", http.StatusTooManyRequests, "text/plain", "x"), 0)
		}, http.StatusTooManyRequests, "rate_limited", false},
		"nonsense": {func(a *app, _ *useragent.UA) {
			a.pool.Break(cognitotest.TokenRefresh, cognitotest.Text("html", 200, "text/html", "x"), 0)
		}, http.StatusServiceUnavailable, "provider_unavailable", false},
		"too large": {func(_ *app, ua *useragent.UA) {
			ua.SetCookie(useragent.Cookie{Name: sessionCookie, Value: strings.Repeat("A", 20000)})
		}, http.StatusRequestHeaderFieldsTooLarge, "cookies_too_large", true},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{})
			ua := a.login()
			_, had := ua.Cookie(activeCookie)
			c.spoil(a, ua)
			had = had && name != "no session"
			res := ua.Fetch(http.MethodPost, "/auth/refresh", "")
			testkit.WantProblem(t, res.Answer(), c.status, c.code)
			_, there := ua.Cookie(activeCookie)
			if there != (had && !c.cleared) {
				t.Errorf("cookies there: %v", there)
			}
			a.wantQuiet(res)
		})
	}
}

// TestCallsFromElsewhere checks that no request of another site reaches a call, and
// requests of other origins of the same site only if they are allowed.
func TestCallsFromElsewhere(t *testing.T) {
	a := newApp(t, settings{allowed: []string{"http://127.0.0.1:1"}})
	ua := a.login()
	for _, path := range []string{"/auth/refresh", "/auth/logout"} {
		for _, from := range []string{foreignSite, "http://127.0.0.1:2", "null"} {
			res := a.send(t.Context(), http.MethodPost, path, http.Header{"Origin": {from}})
			testkit.WantProblem(t, *res, http.StatusForbidden, "cross_site_request")
		}
		res := ua.SubmitFormFrom(foreignSite, a.url+path, nil)
		testkit.WantProblem(t, res.Answer(), http.StatusForbidden, "cross_site_request")
		res = ua.FetchFrom("http://127.0.0.1:2", http.MethodPost, a.url+path, "")
		testkit.WantProblem(t, res.Answer(), http.StatusForbidden, "cross_site_request")
		plain := a.send(t.Context(), http.MethodPost, path, nil)
		testkit.WantProblem(t, *plain, http.StatusForbidden, "cross_site_request")
		get := ua.Fetch(http.MethodGet, path, "")
		testkit.WantProblem(t, get.Answer(), http.StatusMethodNotAllowed, "method_not_allowed")
		if get.Header.Get("Allow") != http.MethodPost {
			t.Errorf("Allow %q", get.Header.Get("Allow"))
		}
	}
	a.wantSession(ua, true)
	res := ua.FetchFrom("http://127.0.0.1:1", http.MethodPost, a.url+"/auth/refresh", "")
	if res.Status != http.StatusOK || res.Blocked || res.Header.Get("Access-Control-Allow-Origin") != "http://127.0.0.1:1" {
		t.Errorf("a listed origin: %d %v", res.Status, res.Err)
	}
}
