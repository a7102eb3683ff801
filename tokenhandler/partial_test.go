package tokenhandler_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// TestRotatedTokenComesWithTheRefusal checks a provider with rotation and no grace whose
// clock is ahead: the new refresh token is in the cookie of the very answer that says that
// there is no token now, whatever the request was. A process that has just started goes on
// with it.
func TestRotatedTokenComesWithTheRefusal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, path string
		status       int
	}{
		"API":     {http.MethodGet, "/api/me", http.StatusServiceUnavailable},
		"refresh": {http.MethodPost, "/auth/refresh", http.StatusServiceUnavailable},
		"session": {http.MethodGet, "/auth/session", http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			s := short()
			s.pool.Rotation, s.pool.RevokeFamilyOnReuse = true, true
			a := newApp(t, s)
			ua := a.login()
			a.clock.Advance(11 * time.Minute)
			a.pool.EditIDToken(func(token *cognitotest.Token) { token.Claims["iat"] = a.clock.Now().Add(90 * time.Second).Unix() })
			res := ua.Fetch(c.method, c.path, "")
			if c.status != http.StatusOK {
				testkit.WantProblem(t, res.Answer(), c.status, "provider_unavailable")
			}
			if cookies := setCookies(t, res.Header); cookies[sessionCookie] == nil || cookies[sessionCookie].MaxAge < 0 {
				t.Fatalf("%d without the new refresh token: %v", res.Status, res.Header)
			}
			a.wantQuiet(res)
			a.pool.Heal()
			restarted := a.config(func(cfg *tokenhandler.Config) {
				cfg.Sessions = refresh.NewManager(refresh.Config{
					Store: a.store, Refresher: a.provider, Denied: a.denied, RefreshBefore: time.Minute,
					RefreshGrace: 30 * time.Second, RefreshTimeout: 5 * time.Second, Now: a.clock.Now, Log: cfg.Log,
				})
			})
			grant, err := tokenhandler.New(restarted).Authorize(a.request(ua), 0)
			if err != nil || !grant.AccessToken().Equal(a.provider.newest().Access) {
				t.Errorf("after a restart: %v", err)
			}
		})
	}
}

// TestGatewayGetsTheRotatedToken is the same for a gateway that asks, in the header fields
// that it can read.
func TestGatewayGetsTheRotatedToken(t *testing.T) {
	for query, field := range map[string]string{"": "Set-Cookie", "?cookies=numbered": "X-Auth-Cookie-1"} {
		a := newApp(t, gated(cognitotest.Options{AccessTTL: 10 * time.Minute, Rotation: true}))
		ua := a.login()
		a.clock.Advance(11 * time.Minute)
		a.pool.EditIDToken(func(token *cognitotest.Token) { token.Claims["iat"] = a.clock.Now().Add(90 * time.Second).Unix() })
		res := a.verify(query, asked(ua))
		wantRefused(t, res, http.StatusServiceUnavailable, "provider_unavailable")
		if !strings.HasPrefix(res.Header.Get(field), sessionCookie+"=1") {
			t.Errorf("%s: %q", field, res.Header.Get(field))
		}
	}
}
