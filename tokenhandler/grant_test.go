package tokenhandler_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// request returns a request as the browser would send it now.
func (a *app) request(ua *useragent.UA) *http.Request {
	a.tb.Helper()
	r := httptest.NewRequestWithContext(a.tb.Context(), http.MethodGet, "/api/me", http.NoBody)
	for _, c := range ua.Cookies() {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	return r
}

// TestAuthorizeErrors checks the error for each reason why there is no grant, and
// whether the cookies are removed.
func TestAuthorizeErrors(t *testing.T) {
	t.Parallel()
	down := func(o cognitotest.Outage) func(*app, *useragent.UA) {
		return func(a *app, _ *useragent.UA) {
			a.pool.Break(cognitotest.TokenRefresh, o, 0)
			a.clock.Advance(11 * time.Minute)
		}
	}
	for name, c := range map[string]struct {
		spoil   func(a *app, ua *useragent.UA)
		code    web.Code
		cleared bool
	}{
		"none":          {func(_ *app, ua *useragent.UA) { ua.ClearCookies() }, web.CodeNotAuthenticated, false},
		"unreadable":    {func(_ *app, ua *useragent.UA) { ua.SetCookie(useragent.Cookie{Name: sessionCookie, Value: "1AAAA"}) }, web.CodeSessionExpired, true},
		"broken inside": {func(a *app, ua *useragent.UA) { breakInside(a, ua); a.clock.Advance(11 * time.Minute) }, web.CodeSessionExpired, true},
		"idle":          {func(a *app, _ *useragent.UA) { a.clock.Advance(time.Hour) }, web.CodeSessionExpired, true},
		"expired":       {func(a *app, _ *useragent.UA) { a.clock.Advance(12 * time.Hour) }, web.CodeSessionExpired, true},
		"revoked": {func(a *app, _ *useragent.UA) {
			a.clock.Advance(time.Second)
			other := a.login()
			other.Fetch(http.MethodPost, "/auth/logout?everywhere=true", "")
		}, web.CodeSessionExpired, true},
		"logged out": {func(a *app, ua *useragent.UA) {
			a.copyOf(ua).Fetch(http.MethodPost, "/auth/logout", "")
		}, web.CodeSessionExpired, true},
		"rejected": {func(a *app, _ *useragent.UA) { a.pool.SignOut("demo"); a.clock.Advance(11 * time.Minute) }, web.CodeSessionExpired, true},
		"too many": {func(_ *app, ua *useragent.UA) {
			for i := range 30 {
				ua.SetCookie(useragent.Cookie{Name: loginPrefix + string(rune('A'+i)), Value: "x"})
			}
		}, web.CodeCookiesTooLarge, true},
		"reset":          {down(cognitotest.Reset()), web.CodeProviderUnavailable, false},
		"500":            {down(cognitotest.Text("500", 500, "text/html", "x")), web.CodeProviderUnavailable, false},
		"429":            {down(cognitotest.Text("429", 429, "text/plain", "x")), web.CodeRateLimited, false},
		"html":           {down(cognitotest.Text("html", 200, "text/html", "x")), web.CodeProviderUnavailable, false},
		"invalid_client": {down(cognitotest.OAuthError("invalid_client")), web.CodeProviderUnavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, short())
			ua := a.login()
			c.spoil(a, ua)
			_, err := a.Authorize(a.request(ua), 0)
			p := web.AsProblem(err)
			if err == nil || p.Code != c.code {
				t.Fatalf("%v, want %s", err, c.code)
			}
			cookies := setCookies(t, withNoStore(p.Header))
			if cleared := cookies[sessionCookie] != nil && cookies[activeCookie] != nil; cleared != c.cleared {
				t.Errorf("cookies cleared: %v", cleared)
			}
			for name, cookie := range cookies {
				if cookie.MaxAge >= 0 {
					t.Errorf("%s is set", name)
				}
			}
			waits := p.Status() == http.StatusServiceUnavailable || p.Status() == http.StatusTooManyRequests
			if (p.Header.Get("Retry-After") != "") != waits {
				t.Errorf("Retry-After %q with %d", p.Header.Get("Retry-After"), p.Status())
			}
		})
	}
}

func withNoStore(h http.Header) http.Header {
	h = h.Clone()
	if h == nil {
		h = make(http.Header)
	}
	h.Set("Cache-Control", "no-store") // [web.Site.WriteProblem] sets it
	return h
}

// TestAuthorizeWhenTheClientLeaves checks that the refresh goes on when the client
// leaves.
func TestAuthorizeWhenTheClientLeaves(t *testing.T) {
	a := newApp(t, short())
	ua := a.login()
	a.clock.Advance(11 * time.Minute)
	gate := a.pool.Hold(cognitotest.TokenRefresh)
	abort, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ua.Tab().Fetch(http.MethodGet, "/api/me", "", useragent.FetchOptions{Abort: abort})
	}()
	gate.Await(t, 1)
	close(abort)
	<-done
	gate.Open()
	if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
		t.Errorf("%d %s", res.Status, res.Body)
	}
	if n := a.pool.Count(cognitotest.TokenRefresh); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

// TestGrant checks the values of a grant, and that Commit sets cookies only when
// something has changed, so that answers of APIs stay cacheable.
func TestGrant(t *testing.T) {
	for _, keep := range []bool{false, true} {
		s := short()
		s.session = func(c *session.Config) { c.KeepIDToken = keep }
		a := newApp(t, s)
		ua := a.login()
		issued := a.provider.newest()
		grant, err := a.Authorize(a.request(ua), 0)
		if err != nil {
			t.Fatal(err)
		}
		if grant.Subject() != a.pool.User("demo").Sub || !grant.AccessToken().Equal(issued.Access) {
			t.Error("the grant is of another user or token")
		}
		if keep != grant.IDToken().Equal(issued.ID) || keep == grant.IDToken().IsZero() {
			t.Errorf("ID token kept: %v", keep)
		}
		h := make(http.Header)
		grant.Commit(h)
		if len(h) != 0 {
			t.Errorf("nothing changed, but %v", h)
		}
		a.clock.Advance(2 * time.Minute)
		wantCommit(t, a, ua, activeCookie)
		a.clock.Advance(10 * time.Minute)
		wantCommit(t, a, ua, sessionCookie, activeCookie)
	}
}

// wantCommit authorizes, commits and checks which cookies are set.
func wantCommit(t *testing.T, a *app, ua *useragent.UA, names ...string) {
	t.Helper()
	grant, err := a.Authorize(a.request(ua), 0)
	if err != nil {
		t.Fatal(err)
	}
	h := make(http.Header)
	grant.Commit(h)
	cookies := setCookies(t, h)
	for _, name := range names {
		if c := cookies[name]; c == nil || c.MaxAge != 0 || c.SameSite != http.SameSiteStrictMode || !c.HttpOnly || !c.Secure || c.Path != "/" || c.Domain != "" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if len(cookies) != len(names) {
		t.Errorf("%d cookies set, want %v", len(cookies), names)
	}
	if !grant.AccessToken().Equal(a.provider.newest().Access) {
		t.Error("not the newest access token")
	}
}

// TestRenew: after an upstream's 401 the grant has a new token, unless the provider refuses it
// or the session has ended meanwhile.
func TestRenew(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(a *app, ua *useragent.UA)
		want  error
	}{
		"good":       {func(*app, *useragent.UA) {}, nil},
		"refused":    {func(a *app, _ *useragent.UA) { a.pool.SignOut("demo") }, refresh.ErrRejected},
		"logged out": {func(a *app, ua *useragent.UA) { a.copyOf(ua).Fetch(http.MethodPost, "/auth/logout", "") }, refresh.ErrRevoked},
	} {
		a := newApp(t, short())
		ua := a.login()
		grant, err := a.Authorize(a.request(ua), 0)
		if err != nil {
			t.Fatal(err)
		}
		before := grant.AccessToken()
		a.clock.Advance(time.Minute)
		c.spoil(a, ua)
		if err := grant.Renew(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if renewed := !grant.AccessToken().Equal(before); renewed != (c.want == nil) {
			t.Errorf("%s: a new token: %v", name, renewed)
		}
	}
}

// TestCommitAfterLogout checks an API call during which the user logs out.
func TestCommitAfterLogout(t *testing.T) {
	a := newApp(t, short())
	ua := a.login()
	a.clock.Advance(11 * time.Minute)
	grant, err := a.Authorize(a.request(ua), 0)
	if err != nil {
		t.Fatal(err)
	}
	ua.Fetch(http.MethodPost, "/auth/logout", "")
	h := make(http.Header)
	grant.Commit(h)
	if len(h) != 0 { // the answer to the logout has removed the cookies
		t.Errorf("written after the logout: %v", h)
	}
}

// TestUnknownKeyKeepsTheCookies: while keys are rotated, a replica may see a session
// that is sealed with a key which it does not have yet. It answers as without a session,
// but the session stays in the browser, for the other replicas and for later.
func TestUnknownKeyKeepsTheCookies(t *testing.T) {
	a := newApp(t, short())
	ua := a.login()
	tab, callback := a.begin(ua, "/auth/login")
	raw := func(fill byte) []byte { return bytes.Repeat([]byte{fill}, seal.KeySize) }
	load := func(keys ...[]byte) {
		if err := a.keys.Replace(keys); err != nil {
			t.Fatal(err)
		}
	}
	load(raw(9))
	before := len(ua.Cookies())
	res := ua.Fetch(http.MethodGet, "/api/me", "")
	testkit.WantProblem(t, res.Answer(), http.StatusUnauthorized, "session_expired")
	testkit.WantProblem(t, ua.Fetch(http.MethodPost, "/auth/refresh", "").Answer(), http.StatusUnauthorized, "session_expired")
	a.wantSession(ua, false)
	// A login that begins meanwhile leaves the one that is under way alone.
	_, _ = a.begin(ua, "/auth/login")
	if after := len(ua.Cookies()); after != before+1 {
		t.Errorf("%d cookies, want those %d and one of the new login", after, before)
	}
	load(raw(9), raw(7))
	a.wantSession(ua, true)
	if res := a.back(tab, callback); res.Location() != a.url+"/" {
		t.Errorf("the login that was under way ended with %d at %q", res.Status, res.Location())
	}
}
