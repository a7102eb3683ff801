package cognito_test

import (
	"net/http"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

func TestAlive(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*party, secret.Tokens)
		dead bool
	}{
		"nothing happened":     {func(*party, secret.Tokens) {}, false},
		"another user is gone": {func(p *party, _ secret.Tokens) { p.pool.DeleteUser("somebody-else") }, false},
		"expired":              {func(p *party, _ secret.Tokens) { p.clock.Advance(2 * time.Hour) }, true},
		"disabled":             {func(p *party, _ secret.Tokens) { p.pool.DisableUser("demo") }, true},
		"enabled again":        {func(p *party, _ secret.Tokens) { p.pool.DisableUser("demo"); p.pool.EnableUser("demo") }, true},
		"deleted":              {func(p *party, _ secret.Tokens) { p.pool.DeleteUser("demo") }, true},
		"signed out":           {func(p *party, _ secret.Tokens) { p.pool.SignOut("demo") }, true},
		"revoked": {func(p *party, tokens secret.Tokens) {
			if err := p.Revoke(p.t.Context(), tokens.Refresh); err != nil {
				p.t.Error(err)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{})
			tokens := p.mustLogin()
			c.end(p, tokens)
			err := p.Alive(t.Context(), tokens.Access, tokens.Subject)
			if !c.dead {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if failed := p.failure(err, provider.ErrRejected); failed.Status != http.StatusUnauthorized || failed.Code != "invalid_token" {
				t.Errorf("status %d, code %q", failed.Status, failed.Code)
			}
			p.wantNoLeak(err, tokens.Access)
		})
	}
}

// TestRefusalsOfUserinfo checks which answers are a suspicion that the user is gone, which
// the refresh token then confirms or not. An outage is none.
func TestRefusalsOfUserinfo(t *testing.T) {
	const body = "application/json"
	for _, c := range []struct {
		name, challenge, body string
		status                int
		want                  error
	}{
		{"as Cognito", `error="invalid_token", error_description="x"`, "", 401, provider.ErrRejected},
		{"as RFC 6750", `Bearer realm="x", error="invalid_token"`, "", 401, provider.ErrRejected},
		{"first", `Bearer error="invalid_token",error_description="x"`, "<html>", 401, provider.ErrRejected},
		{"a token and no string", `Bearer error=invalid_token`, "", 401, provider.ErrRejected},
		{"by its body", "", `{"error":"invalid_token"}`, 401, provider.ErrRejected},
		{"no reason", "", "", 401, provider.ErrRejected},
		{"another reason", `Bearer error="invalid_request"`, `{"error":"invalid_request"}`, 401, provider.ErrRejected},
		{"in a description", `Bearer error="x", error_description="not invalid_token"`, `{"error":"x"}`, 401, provider.ErrRejected},
		{"in another parameter", `Bearer my_error="invalid_token"`, "", 400, provider.ErrInvalidResponse},
		{"longer", `Bearer error=invalid_token_type`, "", 400, provider.ErrInvalidResponse},
		{"forbidden", `Bearer error="insufficient_scope"`, "", 403, provider.ErrRejected},
		{"forbidden without a reason", "", "<html>", 403, provider.ErrRejected},
		{"bad request", `Bearer error="invalid_token"`, "", 400, provider.ErrRejected},
		{"bad request by its body", "", `{"error":"invalid_token"}`, 400, provider.ErrRejected},
		{"another bad request", `Bearer error="invalid_request"`, `{"error":"invalid_request"}`, 400, provider.ErrInvalidResponse},
		{"not found", "", "", 404, provider.ErrInvalidResponse},
		{"success", `Bearer error="invalid_token"`, `{"error":"invalid_token"}`, 200, provider.ErrInvalidResponse},
		{"limited", `Bearer error="invalid_token"`, `{"error":"invalid_token"}`, 429, provider.ErrUnavailable},
		{"failing", `Bearer error="invalid_token"`, `{"error":"invalid_token"}`, 503, provider.ErrUnavailable},
		{"another user", "", `{"sub":"another"}`, 200, provider.ErrInvalidResponse},
		{"nobody", "", `{"sub":""}`, 200, provider.ErrInvalidResponse},
		{"no JSON", "", `<html>`, 200, provider.ErrInvalidResponse},
		{"a redirect", "", "", 302, provider.ErrInvalidResponse},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := func(w http.ResponseWriter, _ *http.Request) {
				if c.challenge != "" {
					w.Header().Set("WWW-Authenticate", c.challenge)
				}
				w.Header().Set("Content-Type", body)
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}
			inBubble(t, cognitotest.Options{}, func(t *testing.T, p *crowd) { // a refusal with 429 is repeated until the time-out
				p.SetTransport(scripted{p.pool.Transport(), "/userInfo", answer})
				for _, subject := range []string{"the-user", ""} {
					p.wantKind(p.Alive(t.Context(), secret.New("a-token"), subject), c.want)
				}
			})
		})
	}
}

func TestAliveDuringOutages(t *testing.T) {
	for _, o := range cognitotest.Outages {
		t.Run(o.Name, func(t *testing.T) {
			duringConnected(t, o, func(t *testing.T, p *party) {
				tokens := p.mustLogin()
				p.pool.Break(cognitotest.UserInfo, o, 0)
				want := kinds[o.Name]
				if o.Name == "waf-403" {
					want = provider.ErrRejected // the refresh token will tell
				}
				p.wantKind(p.Alive(t.Context(), tokens.Access, tokens.Subject), want)
				if p.pool.Count(cognitotest.Elsewhere) != 0 {
					t.Error("the token followed a redirect")
				}
			})
		})
	}
}

func TestAliveWithoutUserinfo(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	p.wantKind(p.Alive(t.Context(), secret.New("a-token"), "the-user"), provider.ErrUnavailable) // not connected
	p = connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) {
		cfg.Endpoints = cognito.Endpoints{
			Authorization: cfg.Issuer + "/authorize", Token: cfg.Issuer + "/token", JWKS: cfg.Issuer + "/.well-known/jwks.json",
		}
	})
	if err := p.Alive(t.Context(), secret.New("a-token"), "the-user"); err != nil {
		t.Error(err)
	}
}
