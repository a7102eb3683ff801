package cognito_test

import (
	"net/http"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
)

// withoutProfile removes the claims that userInfo has from ID tokens.
func withoutProfile(token *cognitotest.Token) {
	for _, name := range []string{"name", "email", "email_verified"} {
		delete(token.Claims, name)
	}
}

// TestClaimsOfUserinfo checks that a login asks userInfo for the configured claims that
// the ID token lacks, and that a refresh keeps them.
func TestClaimsOfUserinfo(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{}, openID, func(cfg *cognito.Config) {
		cfg.Claims = []string{"email", "locale", "name", "email_verified", "sub"}
	})
	p.pool.EditIDToken(withoutProfile)
	tokens := p.mustLogin()
	sub := p.pool.User("demo").Sub
	want := `{"email":"demo@example.com","name":"Demo User","email_verified":true,"sub":"` + sub + `"}`
	if tokens.Claims != want {
		t.Errorf("after the login %s, want %s", tokens.Claims, want)
	}
	for range 2 {
		if tokens = p.mustRefresh(tokens); tokens.Claims != want {
			t.Errorf("after a refresh %s, want %s", tokens.Claims, want)
		}
	}
	if n := p.pool.Count(cognitotest.UserInfo); n != 1 {
		t.Errorf("userInfo was asked %d times, want once", n)
	}
	// The ID token is the newer source, and what it once had and lost has ended.
	p.pool.EditIDToken(func(token *cognitotest.Token) { token.Claims["name"] = "Another Name" })
	tokens = p.mustRefresh(tokens)
	p.pool.EditIDToken(withoutProfile)
	if got, want := p.mustRefresh(tokens).Claims, `{"sub":"`+sub+`"}`; got != want {
		t.Errorf("after the ID token lost its claims %s, want %s", got, want)
	}
}

// TestUserinfoIsAskedOnlyForMissingClaims checks that other logins make no further call.
func TestUserinfoIsAskedOnlyForMissingClaims(t *testing.T) {
	for name, edit := range map[string]func(*cognito.Config){
		"the ID token has all": func(cfg *cognito.Config) {
			cfg.Profile, cfg.Claims = cognito.OIDC, []string{"sub", "email", "name"}
		},
		"no claims": func(cfg *cognito.Config) { cfg.Profile, cfg.Claims = cognito.OIDC, nil },
		"Cognito":   func(cfg *cognito.Config) { cfg.Claims = []string{"locale"} },
	} {
		p := connectedParty(t, cognitotest.Options{}, edit)
		p.mustRefresh(p.mustLogin())
		if n := p.pool.Count(cognitotest.UserInfo); n != 0 {
			t.Errorf("%s: userInfo was asked %d times", name, n)
		}
	}
	p := newParty(t, cognitotest.Options{}, openID)
	p.pool.Break(cognitotest.Discovery, described("userinfo_endpoint", nil), 0)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.mustLogin()
}

// TestLoginWithoutUserinfo checks that a login succeeds if userInfo cannot be asked or
// names another user, and that the log names the claims.
func TestLoginWithoutUserinfo(t *testing.T) {
	outages := append([]cognitotest.Outage{
		cognitotest.EditJSON("another user", func(body map[string]any) { body["sub"] = "somebody-else" }),
		cognitotest.EditJSON("no user", func(body map[string]any) { delete(body, "sub") }),
		cognitotest.Text("forbidden", http.StatusForbidden, "application/json", `{"error":"insufficient_scope"}`),
		cognitotest.Text("signed", http.StatusOK, "application/jwt", "eyJ.eyJ."+cognitotest.Canary),
	}, cognitotest.Outages...)
	for _, o := range outages {
		if o.Hangs || o.Limits {
			continue
		}
		t.Run(o.Name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{}, openID, func(cfg *cognito.Config) { cfg.Claims = []string{"name", "sub"} })
			p.pool.EditIDToken(withoutProfile)
			p.pool.Break(cognitotest.UserInfo, o, 0)
			tokens := p.mustLogin()
			if want := `{"sub":"` + p.pool.User("demo").Sub + `"}`; tokens.Claims != want {
				t.Errorf("%s, want %s", tokens.Claims, want)
			}
			warned := p.log.RecordsOf(t, "claims of the user are missing")
			if len(warned) != 1 || warned[0]["level"] != "WARN" || warned[0]["claims"] != "name" {
				t.Errorf("the log says %v", warned)
			}
			p.wantNoLeak(nil, tokens.Access)
		})
	}
}
