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

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func basicAuth(header http.Header) (user, password string, ok bool) {
	return (&http.Request{Header: header}).BasicAuth()
}

func withSecrets(secrets ...string) func(*cognito.Config) {
	return func(cfg *cognito.Config) {
		cfg.ClientSecrets = nil
		for _, s := range secrets {
			cfg.ClientSecrets = append(cfg.ClientSecrets, secret.New(s))
		}
	}
}

func TestClientAuthentication(t *testing.T) {
	post := func(cfg *cognito.Config) { cfg.PostAuth = true }
	for _, c := range []struct {
		name                string
		opts                cognitotest.Options
		edit                func(*cognito.Config)
		basic, id, inSecret bool
	}{
		{"basic", cognitotest.Options{}, func(*cognito.Config) {}, true, false, false},
		{"post", cognitotest.Options{}, post, false, true, true},
		{"public", cognitotest.Options{PublicClient: true}, func(*cognito.Config) {}, false, true, false},
		{"public, post", cognitotest.Options{PublicClient: true}, post, false, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := connectedParty(t, c.opts, c.edit)
			if err := p.Revoke(t.Context(), p.mustRefresh(p.mustLogin()).Refresh); err != nil {
				t.Fatal(err)
			}
			for _, endpoint := range []string{cognitotest.TokenCode, cognitotest.TokenRefresh, cognitotest.Revoke} {
				form := p.pool.LastForm(endpoint)
				if _, _, basic := basicAuth(p.pool.LastHeader(endpoint)); basic != c.basic {
					t.Errorf("%s: basic %v, want %v", endpoint, basic, c.basic)
				}
				if form.Has("client_id") != c.id || form.Has("client_secret") != c.inSecret {
					t.Errorf("%s: client_id %v, client_secret %v in the form", endpoint, form.Has("client_id"), form.Has("client_secret"))
				}
				if n := p.pool.Count(endpoint); n != 1 {
					t.Errorf("%d requests to %s, want 1 (golang/oauth2#718)", n, endpoint)
				}
			}
		})
	}
}

// Client id and secret are form-encoded before they are joined (RFC 6749 §2.3.1).
func TestBasicAuthenticationIsEncoded(t *testing.T) {
	const id, password = "client:1 +%/ü", "a:b c%41+&=/ü"
	p := connectedParty(t, cognitotest.Options{ClientID: id, Secrets: []string{password}})
	if err := p.Revoke(t.Context(), p.mustRefresh(p.mustLogin()).Refresh); err != nil {
		t.Fatal(err)
	}
	for _, endpoint := range []string{cognitotest.TokenCode, cognitotest.TokenRefresh, cognitotest.Revoke} {
		gotID, gotPassword, _ := basicAuth(p.pool.LastHeader(endpoint))
		if wantID, want := "client%3A1+%2B%25%2F%C3%BC", "a%3Ab+c%2541%2B%26%3D%2F%C3%BC"; gotID != wantID || gotPassword != want {
			t.Errorf("%s: %s and %s, want %s and %s", endpoint, gotID, gotPassword, wantID, want)
		}
	}
}

func TestSecretsAreReplacedWithoutAnOutage(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{Secrets: []string{"the-new-secret"}}, withSecrets("the-old-secret", "the-new-secret"))
	tokens := p.mustLogin() // the first try did not use up the code
	if n := p.pool.Count(cognitotest.TokenCode); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	p.mustLogin()
	if n := p.pool.Count(cognitotest.TokenCode); n != 3 {
		t.Errorf("%d requests, want 3: the good secret is not remembered", n)
	}
	if err := p.Revoke(t.Context(), p.mustRefresh(tokens).Refresh); err != nil {
		t.Fatal(err)
	}
	if n := p.pool.Count(cognitotest.TokenRefresh) + p.pool.Count(cognitotest.Revoke); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
	p.wantNoLeak(nil)
}

func TestRevokeFindsTheGoodSecretToo(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{Secrets: []string{"the-new-secret"}}, withSecrets("the-old-secret", "the-new-secret"))
	if err := p.Revoke(t.Context(), secret.New("unknown-refresh-token")); err != nil {
		t.Fatal(err)
	}
	if n := p.pool.Count(cognitotest.Revoke); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

func TestAllSecretsWrong(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{Secrets: []string{"right"}}, withSecrets("wrong-secret-1", "wrong-secret-2"))
	_, err := p.login()
	if failed := p.failure(err, provider.ErrMisconfigured); failed.Code != "invalid_client" {
		t.Errorf("code %q", failed.Code)
	}
	if n := p.pool.Count(cognitotest.TokenCode); n != 2 {
		t.Errorf("%d requests, want one for each secret", n)
	}
	p.wantKind(p.Revoke(t.Context(), secret.New("a-refresh-token")), provider.ErrMisconfigured)
}

// TestUnauthorizedClientTriesTheOtherSecret checks a provider that answers so to a wrong
// secret. If it refuses all secrets, the first error counts: the others are no client's.
func TestUnauthorizedClientTriesTheOtherSecret(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{Secrets: []string{"new-secret"}}, withSecrets("old-secret", "new-secret"))
	for _, endpoint := range []string{cognitotest.TokenAny, cognitotest.Revoke} {
		p.pool.Break(endpoint, cognitotest.EditJSON("unauthorized", func(body map[string]any) {
			if body["error"] == "invalid_client" {
				body["error"] = "unauthorized_client"
			}
		}), 0)
	}
	tokens := p.mustLogin()
	if err := p.Revoke(t.Context(), tokens.Refresh); err != nil {
		t.Error(err)
	}
	p = connectedParty(t, cognitotest.Options{Secrets: []string{"right"}}, withSecrets("wrong-secret-1", "wrong-secret-2"))
	p.pool.Break(cognitotest.TokenAny, cognitotest.OAuthError("unauthorized_client"), 1)
	_, err := p.login()
	if failed := p.failure(err, provider.ErrMisconfigured); failed.Code != "unauthorized_client" {
		t.Errorf("code %q", failed.Code)
	}
}

// After any other refusal there is no second try: the grant may be used up.
func TestOnlyRefusedClientsTryTheOtherSecret(t *testing.T) {
	for _, o := range append(cognitotest.TokenOutages, cognitotest.Outages...) {
		if o.Name == "invalid_client" || o.Name == "unauthorized_client" || o.MayAccept || o.Hangs || o.Limits {
			continue
		}
		t.Run(o.Name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{Secrets: []string{"s1", "s2"}}, withSecrets("s1", "s2"))
			p.pool.Break(cognitotest.TokenAny, o, 0)
			if _, err := p.login(); err == nil {
				t.Error("accepted")
			}
			if n := p.pool.Count(cognitotest.TokenCode); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}
