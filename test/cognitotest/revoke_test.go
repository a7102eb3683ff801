package cognitotest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"cognito-token-handler/test/cognitotest"
)

func TestRevoke(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	token := p.mustLogin()
	another := p.mustLogin()
	basic := []string{p.srv.ClientID(), p.srv.Secret()}
	for _, c := range []struct {
		name   string
		form   url.Values
		basic  []string
		status int
		want   string
	}{
		{"no client", url.Values{"token": {token.RefreshToken}}, nil, http.StatusUnauthorized, "invalid_client"},
		{"no token", nil, basic, http.StatusBadRequest, "invalid_request"},
		{"an access token", url.Values{"token": {token.AccessToken}}, basic, http.StatusBadRequest, "unsupported_token_type"},
		{"unknown", url.Values{"token": {"x"}}, basic, http.StatusOK, ""},
		{"known", url.Values{"token": {token.RefreshToken}}, basic, http.StatusOK, ""},
		{"again", url.Values{"token": {token.RefreshToken}}, basic, http.StatusOK, ""},
	} {
		res := postForm(t, p.srv.URL+"/oauth2/revoke", c.form, c.basic...)
		if res.status != c.status || !strings.Contains(res.body, c.want) || c.want == "" && res.body != "" {
			t.Errorf("%s: %d %s", c.name, res.status, res.body)
		}
	}
	if !p.srv.Revoked(token.RefreshToken) || p.srv.Revoked(another.RefreshToken) {
		t.Error("the wrong token was revoked")
	}
	_, err := p.refresh(token.RefreshToken)
	p.wantRefused(err, "invalid_grant")
	if _, err := p.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)); err == nil {
		t.Error("userInfo takes an access token of a revoked login")
	}
	p.mustRefresh(another.RefreshToken)
}

func TestRevocationSwitchedOff(t *testing.T) {
	p := newParty(t, cognitotest.Options{NoRevocation: true})
	token := p.mustLogin()
	res := postForm(t, p.srv.URL+"/oauth2/revoke", url.Values{"token": {token.RefreshToken}}, p.srv.ClientID(), p.srv.Secret())
	if res.status != http.StatusBadRequest || p.srv.Revoked(token.RefreshToken) {
		t.Errorf("%d: %s", res.status, res.body)
	}
}

func TestUserInfo(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	token := p.mustLogin()
	info, err := p.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]any
	if err := info.Claims(&raw); err != nil {
		t.Fatal(err)
	}
	if raw["email_verified"] != "true" || info.Subject != claims(t, token.AccessToken)["sub"] || raw["username"] != "demo" {
		t.Errorf("userInfo %v", raw)
	}
	p.clock.Advance(time.Hour)
	if _, err := p.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)); err == nil {
		t.Error("userInfo takes an expired token")
	}
	if res := get(t, p.srv.URL+"/oauth2/userInfo"); res.status != http.StatusBadRequest {
		t.Errorf("without a token: %d", res.status)
	}
	if got := p.srv.Count(cognitotest.UserInfo); got != 3 {
		t.Errorf("%d requests counted", got)
	}
}

func TestRotateKeys(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	old := idToken(t, p.mustLogin())
	if _, err := p.verifier.Verify(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	p.srv.RotateKeys()
	if _, err := p.verifier.Verify(t.Context(), idToken(t, p.mustLogin())); err != nil {
		t.Errorf("the new key was not found: %v", err)
	}
	if got := p.srv.Count(cognitotest.JWKS); got != 2 {
		t.Errorf("%d requests for keys", got)
	}
	fresh, err := oidc.NewProvider(t.Context(), p.srv.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Verifier(&oidc.Config{ClientID: p.srv.ClientID()}).Verify(t.Context(), old); err == nil {
		t.Error("the old key is still in the JWKS")
	}
}

func TestSingleKeyWithoutKid(t *testing.T) {
	p := newParty(t, cognitotest.Options{SingleKey: true})
	p.srv.EditIDToken(func(token *cognitotest.Token) { delete(token.Header, "kid") })
	if _, err := p.verifier.Verify(t.Context(), idToken(t, p.mustLogin())); err != nil {
		t.Errorf("kid-absent-single-jwks must be accepted: %v", err)
	}
}
