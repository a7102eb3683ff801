package cognito_test

import (
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
)

// addFraction adds a fraction to every date of a token (RFC 7519 §2 allows it).
func addFraction(token *cognitotest.Token) {
	for _, claim := range []string{"iat", "exp", "auth_time", "nbf"} {
		if at, ok := token.Claims[claim].(int64); ok {
			token.Claims[claim] = float64(at) + 0.811
		}
	}
}

// TestDatesWithFractions checks that a login, a refresh and a logout token with such
// dates are accepted, and that the fraction is dropped.
func TestDatesWithFractions(t *testing.T) {
	for _, profile := range []cognito.Profile{cognito.Cognito, cognito.OIDC} {
		t.Run(string(profile), func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{OpenID: profile == cognito.OIDC}, func(cfg *cognito.Config) { cfg.Profile = profile })
			p.pool.EditAccessToken(addFraction)
			p.pool.EditIDToken(func(token *cognitotest.Token) {
				token.Claims["nbf"] = token.Claims["iat"]
				addFraction(token)
			})
			grant := p.grant()
			grant.MaxAge = time.Minute
			tokens, err := p.Exchange(t.Context(), grant)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := tokens.AuthTime.UnixNano(), p.clock.Now().Unix()*1e9; got != want {
				t.Errorf("authenticated at %d, want %d", got, want)
			}
			tokens = p.mustRefresh(tokens)
			if profile == cognito.Cognito && tokens.AccessExpires.UnixNano() != p.clock.Now().Add(time.Hour).Unix()*1e9 {
				t.Errorf("the access token expires at %s", tokens.AccessExpires)
			}
			if profile == cognito.OIDC {
				p.wantLogout(p.pool.LogoutToken("some-sub", "", func(token *cognitotest.Token) {
					token.Claims["nbf"] = token.Claims["iat"]
					addFraction(token)
				}), "some-sub", "")
			}
		})
	}
}

// TestFractionsDoNotPassLimits checks that a date that is in the future by more than
// the accepted skew stays refused.
func TestFractionsDoNotPassLimits(t *testing.T) {
	for _, claim := range []string{"iat", "auth_time"} {
		p := connectedParty(t, cognitotest.Options{})
		p.pool.EditIDToken(func(token *cognitotest.Token) { token.Claims[claim] = float64(p.clock.Now().Unix()+61) + 0.5 })
		_, err := p.login()
		p.wantKind(err, provider.ErrInvalidResponse)
	}
}

// TestLifetimesOfAccessTokens checks expires_in, which no standard but the usual
// practice makes a whole number.
func TestLifetimesOfAccessTokens(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  time.Duration
	}{
		"whole":                   {3600, time.Hour},
		"with a fraction":         {3599.9, 3599 * time.Second},
		"text":                    {"3600", time.Hour},
		"text with a fraction":    {"3599.9", 3599 * time.Second},
		"an exponent":             {3.6e3, time.Hour},
		"less than a second":      {0.4, time.Second},
		"absurd":                  {1e30, (1<<31 - 1) * time.Second},
		"negative, with fraction": {-0.5, 5 * time.Minute},
		"negative and absurd":     {-1e30, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{}, openID)
			p.pool.Break(cognitotest.TokenAny, cognitotest.EditJSON(name, func(body map[string]any) { body["expires_in"] = c.value }), 0)
			tokens := p.mustLogin()
			if got := tokens.AccessExpires.Sub(p.clock.Now()); got != c.want {
				t.Errorf("after the login %s, want %s", got, c.want)
			}
			if got := p.mustRefresh(tokens).AccessExpires.Sub(p.clock.Now()); got != c.want {
				t.Errorf("after the refresh %s, want %s", got, c.want)
			}
		})
	}
}
