package cognito_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

const AdminScope = "aws.cognito.signin.user.admin"

// adminParty returns a party whose access tokens may act on their users.
func adminParty(t *testing.T, edits ...func(*cognito.Config)) *party {
	t.Helper()
	return connectedParty(t, cognitotest.Options{}, append(edits, withAdminScope)...)
}

func withAdminScope(cfg *cognito.Config) { cfg.Scopes = []string{"openid", AdminScope} }

func TestSignOutEverywhere(t *testing.T) {
	p := adminParty(t)
	phone, desk := p.mustLogin(), p.mustLogin()
	if err := p.SignOutEverywhere(t.Context(), phone.Access); err != nil {
		t.Fatal(err)
	}
	for _, tokens := range []secret.Tokens{phone, desk} {
		if !p.pool.Revoked(tokens.Refresh.Reveal()) {
			t.Error("a login lives on")
		}
		p.wantKind(p.Alive(t.Context(), tokens.Access, tokens.Subject), provider.ErrRejected)
	}
	if h := p.pool.LastHeader(cognitotest.API); h.Get("Authorization") != "" || h.Get("X-Amz-Security-Token") != "" {
		t.Error("the call is signed with credentials of ours")
	}

	err := p.SignOutEverywhere(t.Context(), desk.Access)
	if failed := p.failure(err, provider.ErrRejected); failed.Status != http.StatusBadRequest {
		t.Errorf("status %d", failed.Status)
	}
	p.wantNoLeak(err, desk.Access)
	if n := p.pool.Count(cognitotest.API); n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}

// TestSignOutEverywhereWithoutTheScope checks that no call is made, which could only
// fail.
func TestSignOutEverywhereWithoutTheScope(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	plain := p.mustLogin().Access
	p.pool.EditAccessToken(func(token *cognitotest.Token) {
		token.Claims["scope"] = "openid x" + AdminScope + " " + AdminScope + "x"
	})
	similar := p.mustLogin().Access
	p.pool.EditAccessToken(func(token *cognitotest.Token) { token.Claims["scope"] = []string{AdminScope} })
	list := p.mustLogin().Access
	for _, access := range []secret.String{plain, similar, list, {}, secret.New("an opaque token"), secret.New("a.b.c")} {
		if err := p.SignOutEverywhere(t.Context(), access); !errors.Is(err, cognito.ErrNoAdminScope) {
			t.Errorf("got %v", err)
		}
	}
	other := adminParty(t, func(cfg *cognito.Config) { cfg.Profile = cognito.OIDC })
	if err := other.SignOutEverywhere(t.Context(), other.mustLogin().Access); !errors.Is(err, cognito.ErrNoAdminScope) {
		t.Errorf("a provider that is not Cognito: %v", err)
	}
	if n := p.pool.Count(cognitotest.API) + other.pool.Count(cognitotest.API); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestSignOutEverywhereFails(t *testing.T) {
	apiErrors := map[string]error{
		"NotAuthorizedException": provider.ErrRejected, "UserNotFoundException": provider.ErrRejected,
		"TooManyRequestsException": provider.ErrUnavailable, "InternalErrorException": provider.ErrUnavailable,
		"ForbiddenException": provider.ErrMisconfigured, "ResourceNotFoundException": provider.ErrMisconfigured,
		"InvalidParameterException": provider.ErrMisconfigured, "UserNotConfirmedException": provider.ErrInvalidResponse,
		cognitotest.Canary: provider.ErrInvalidResponse,
	}
	for code, want := range apiErrors {
		t.Run(code, func(t *testing.T) {
			p := adminParty(t)
			tokens := p.mustLogin()
			p.pool.Break(cognitotest.API, cognitotest.APIError(code, "no"), 0)
			err := p.SignOutEverywhere(t.Context(), tokens.Access)
			if failed := p.failure(err, want); errors.Is(failed, provider.ErrRateLimited) != (code == "TooManyRequestsException") || failed.Status != http.StatusBadRequest {
				t.Errorf("limited %v, status %d", errors.Is(failed, provider.ErrRateLimited), failed.Status)
			}
			p.wantNoLeak(err, tokens.Access)
			if n := p.pool.Count(cognitotest.API); n != 1 {
				t.Errorf("%d calls, want 1", n)
			}
		})
	}
	for _, o := range cognitotest.Outages {
		t.Run(o.Name, func(t *testing.T) {
			duringConnected(t, o, func(t *testing.T, p *party) {
				tokens := p.mustLogin()
				p.pool.Break(cognitotest.API, o, 0)
				err := p.SignOutEverywhere(t.Context(), tokens.Access)
				if err == nil {
					if p.pool.Living("demo") == 0 || o.Name == "empty-200" || o.Name == "json-null" {
						return // successful, whatever the body
					}
					t.Fatal("no error, and the logins live on")
				}
				want := kinds[o.Name]
				if o.Name == "waf-403" {
					want = provider.ErrMisconfigured
				}
				p.wantKind(err, want)
				p.wantNoLeak(err, tokens.Access)
			}, withAdminScope)
		})
	}
}

// TestRevocationIsBounded checks that a logout does not wait for a provider that
// hangs. The wait for the turn of the call is included.
func TestRevocationIsBounded(t *testing.T) {
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		tokens := c.mustLogin() // uses the only call of this second
		c.SetTransport(roundTrip(func(r *http.Request) *http.Response {
			<-r.Context().Done()
			return &http.Response{StatusCode: http.StatusBadGateway, Body: http.NoBody}
		}))
		for name, call := range map[string]func() error{
			"sign-out":   func() error { return c.SignOutEverywhere(t.Context(), tokens.Access) },
			"revocation": func() error { return c.Revoke(t.Context(), tokens.Refresh) },
		} {
			start := time.Now()
			c.wantKind(call(), provider.ErrUnavailable)
			if took := time.Since(start); took != 3*time.Second {
				t.Errorf("the %s took %s, want 3s", name, took)
			}
		}
	}, func(cfg *cognito.Config) { cfg.MaxRPS, cfg.Scopes = 1, []string{"openid", AdminScope} })
}

// TestRevocationOutlivesItsCaller checks that a browser that leaves does not stop
// its own logout.
func TestRevocationOutlivesItsCaller(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Scopes = []string{"openid", AdminScope} })
	tokens := p.mustLogin()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.SignOutEverywhere(ctx, tokens.Access); err != nil {
		t.Error(err)
	}
	if err := p.Revoke(ctx, tokens.Refresh); err != nil {
		t.Error(err)
	}
	if n := p.pool.Living("demo"); n != 0 {
		t.Errorf("%d logins live on", n)
	}
}

func TestAPIEndpoint(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_X":        "https://cognito-idp.eu-west-1.amazonaws.com eu-west-1",
		"https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_X": "https://cognito-idp.eu-west-1.amazonaws.com eu-west-1",
		"https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_X":   "https://cognito-idp.cn-north-1.amazonaws.com.cn cn-north-1",
		"http://localhost:9229/local_X":                                  "http://localhost:9229 us-east-1",
		"https://issuer-cognito-idp.evil.example/x":                      "https://issuer-cognito-idp.evil.example us-east-1",
		"https://cognito-idp.a.b.amazonaws.com/x":                        "https://cognito-idp.a.b.amazonaws.com us-east-1",
		"not a URL": " ", "": " ",
	} {
		endpoint, region := cognito.APIEndpoint(issuer)
		if got := endpoint + " " + region; got != want {
			t.Errorf("%s: %q, want %q", issuer, got, want)
		}
	}
}
