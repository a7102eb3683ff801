package cognito_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
)

// newKey returns a private key for signatures of alg.
func newKey(tb testing.TB, alg jose.SignatureAlgorithm) any {
	tb.Helper()
	curve := map[jose.SignatureAlgorithm]elliptic.Curve{jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521()}[alg]
	var key any
	var err error
	if curve != nil {
		key, err = ecdsa.GenerateKey(curve, rand.Reader)
	} else {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// signWith makes tokens that key signs.
func signWith(tb testing.TB, alg jose.SignatureAlgorithm, key any) func(*cognitotest.Token) {
	tb.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: "further"}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return func(token *cognitotest.Token) {
		delete(token.Claims, "at_hash") // its hash is that of the algorithm
		token.SignWith(func(_, claims map[string]any) string {
			payload, err := json.Marshal(claims)
			if err != nil {
				tb.Error(err)
			}
			signed, err := signer.Sign(payload)
			if err != nil {
				tb.Error(err)
				return ""
			}
			raw, err := signed.CompactSerialize()
			if err != nil {
				tb.Error(err)
			}
			return raw
		})
	}
}

// partyWithKey returns a party whose provider lists algorithms, and has the public part
// of key beside its RSA keys.
func partyWithKey(t *testing.T, algorithms []string, key any, edits ...func(*cognito.Config)) *party {
	t.Helper()
	p := newParty(t, cognitotest.Options{OpenID: true}, edits...)
	p.pool.Break(cognitotest.Discovery, described("id_token_signing_alg_values_supported", algorithms), 0)
	p.pool.Break(cognitotest.JWKS, keysWith(func(keys []any) []any { return append(keys, publicPart(t, key)) }), 0)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// publicPart returns the public part of a key as a JSON Web Key.
func publicPart(tb testing.TB, key any) map[string]any {
	tb.Helper()
	private := jose.JSONWebKey{Key: key, KeyID: "further"}
	raw, err := json.Marshal(private.Public())
	if err != nil {
		tb.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		tb.Fatal(err)
	}
	return members
}

// TestAlgorithmsOfTheProvider checks that ID tokens and logout tokens are accepted with
// the algorithms of the discovery document, and with no others.
func TestAlgorithmsOfTheProvider(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.EdDSA} {
		for name, c := range map[string]struct {
			listed []string
			edit   func(*cognito.Config)
			want   bool
		}{
			"listed":       {[]string{"RS256", string(alg)}, openID, true},
			"alone":        {[]string{string(alg)}, openID, true},
			"not listed":   {[]string{"RS256", "PS256"}, openID, false},
			"no list":      {nil, openID, false},
			"Cognito":      {[]string{"RS256", string(alg)}, func(*cognito.Config) {}, false},
			"spelt not so": {[]string{strings.ToLower(string(alg))}, openID, false},
		} {
			t.Run(string(alg)+" "+name, func(t *testing.T) {
				key := newKey(t, alg)
				p := partyWithKey(t, c.listed, key, c.edit)
				p.pool.EditIDToken(signWith(t, alg, key))
				tokens, err := p.login()
				if !c.want {
					failed := p.failure(err, provider.ErrInvalidResponse)
					if !strings.Contains(failed.Reason, "it is signed with "+string(alg)+", but the provider may sign with ") {
						t.Errorf("the reason is %q", failed.Reason)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				p.mustRefresh(tokens)
				p.wantLogout(p.pool.LogoutToken("some-sub", "", signWith(t, alg, key)), "some-sub", "")
			})
		}
	}
}

// TestSharedSecretsSignNothing checks that no HMAC and no unsigned token is accepted,
// whatever the discovery document lists.
func TestSharedSecretsSignNothing(t *testing.T) {
	all := []string{"none", "HS256", "HS384", "HS512", "ES256", "RS256"}
	for _, fault := range cognitotest.IDTokenFaults {
		if !strings.Contains(fault.Name, "hs256") && !strings.Contains(fault.Name, "none") {
			continue
		}
		t.Run(fault.Name, func(t *testing.T) {
			p := partyWithKey(t, all, newKey(t, jose.ES256), openID)
			fault.Apply(p.pool)
			_, err := p.login()
			p.wantKind(err, provider.ErrInvalidResponse)
			p = partyWithKey(t, all[:4], newKey(t, jose.ES256), openID)
			p.mustLogin() // RS256 is the default
			fault.Apply(p.pool)
			_, err = p.login()
			p.wantKind(err, provider.ErrInvalidResponse)
		})
	}
	for _, fault := range cognitotest.LogoutFaults[:2] { // alg-none, wrong-alg
		p := partyWithKey(t, all, newKey(t, jose.ES256), openID)
		_, err := p.VerifyLogout(t.Context(), p.pool.LogoutToken("some-sub", "", fault.Edit))
		p.wantKind(err, provider.ErrInvalidResponse)
	}
}

// TestKeysFitTheirAlgorithm checks that a key verifies only signatures of the algorithm,
// the curve and the use that it is for.
func TestKeysFitTheirAlgorithm(t *testing.T) {
	for name, field := range map[string][2]string{"of another algorithm": {"alg", "ES384"}, "for encryption": {"use", "enc"}} {
		t.Run(name, func(t *testing.T) {
			key := newKey(t, jose.ES256)
			p := partyWithKey(t, []string{"RS256", "ES256", "ES384"}, key, openID)
			p.pool.EditIDToken(signWith(t, jose.ES256, key))
			p.mustLogin()
			p.pool.Break(cognitotest.JWKS, keysWith(func(keys []any) []any {
				further := publicPart(t, key)
				further[field[0]] = field[1]
				return append(keys, further)
			}), 0)
			other := cognito.New(p.cfg)
			if err := other.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err := other.Exchange(t.Context(), p.grant())
			p.wantKind(err, provider.ErrInvalidResponse)
		})
	}
}

// TestTrustedAudiences checks for which further audiences an ID token and a logout token
// may be.
func TestTrustedAudiences(t *testing.T) {
	const client = cognitotest.DefaultClientID
	for name, c := range map[string]struct {
		aud  any
		azp  string
		want bool
	}{
		"the client":                 {client, "", true},
		"the client in a list":       {[]string{client}, "", true},
		"and a trusted one":          {[]string{client, "project"}, client, true},
		"and two trusted ones":       {[]string{"project", client, "another"}, client, true},
		"without azp":                {[]string{client, "project"}, "", false},
		"with the project as azp":    {[]string{client, "project"}, "project", false},
		"and one that is not":        {[]string{client, "project", "evil"}, client, false},
		"the trusted one alone":      {"project", client, false},
		"only trusted ones":          {[]string{"project", "another"}, client, false},
		"azp alone names the client": {"evil", client, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{OpenID: true}, openID, func(cfg *cognito.Config) {
				cfg.TrustedAudiences = []string{"project", "another"}
			})
			edit := func(token *cognitotest.Token) {
				token.Claims["aud"] = c.aud
				if c.azp != "" {
					token.Claims["azp"] = c.azp
				}
			}
			p.pool.EditIDToken(edit)
			if _, err := p.login(); (err == nil) != c.want {
				t.Errorf("%v, want accepted: %v", err, c.want)
			}
			if c.azp != client || c.want { // a logout token has no azp
				_, err := p.VerifyLogout(t.Context(), p.pool.LogoutToken("some-sub", "", func(token *cognitotest.Token) { token.Claims["aud"] = c.aud }))
				if want := c.want || name == "without azp" || name == "with the project as azp"; (err == nil) != want {
					t.Errorf("logout token: %v, want accepted: %v", err, want)
				}
			}
		})
	}
}

// TestRefreshOfAnotherAuthentication checks that a refreshed ID token whose auth_time
// is not that of the login ends the session (OpenID Connect Core 1.0 §12.2), but not
// with the profile of Cognito, because cognito-local writes the time of the refresh.
func TestRefreshOfAnotherAuthentication(t *testing.T) {
	later := func(token *cognitotest.Token) {
		at, _ := token.Claims["auth_time"].(int64)
		token.Claims["auth_time"] = at + 1
	}
	earlier := func(token *cognitotest.Token) {
		at, _ := token.Claims["auth_time"].(int64)
		token.Claims["auth_time"] = at - 1
	}
	without := func(token *cognitotest.Token) { delete(token.Claims, "auth_time") }
	for _, profile := range []cognito.Profile{cognito.Cognito, cognito.OIDC} {
		for name, c := range map[string]struct {
			login, refresh func(*cognitotest.Token)
			want           bool
		}{
			"the same":                {nil, nil, true},
			"later":                   {nil, later, false},
			"earlier":                 {nil, earlier, false},
			"left out at the refresh": {nil, without, true},
			"left out at the login":   {without, earlier, true},
		} {
			t.Run(string(profile)+" "+name, func(t *testing.T) {
				p := connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Profile = profile })
				p.pool.EditIDToken(c.login)
				tokens := p.mustLogin()
				p.pool.Heal()
				p.pool.EditIDToken(c.refresh)
				_, err := p.Refresh(t.Context(), tokens)
				if accepted := c.want || profile == cognito.Cognito; !accepted {
					p.wantKind(err, provider.ErrRejected)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
	}
}
