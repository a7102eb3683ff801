//go:build e2e

package cognitolocal_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"cognito-token-handler/test/cognitolocal"
)

func TestLogin(t *testing.T) {
	p := newParty(t, start(t, 7*time.Minute))
	token := p.login(t, cognitolocal.DemoUser)

	raw, _ := token.Extra("id_token").(string)
	idToken, err := p.provider.Verifier(&oidc.Config{ClientID: p.ClientID}).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Email    string
		Verified bool     `json:"email_verified"`
		Groups   []string `json:"cognito:groups"`
		Username string   `json:"cognito:username"`
	}
	if err := idToken.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if claims.Email != cognitolocal.DemoUser || !claims.Verified || len(claims.Groups) != 1 || claims.Username != idToken.Subject {
		t.Errorf("claims = %+v", claims)
	}
	if token.RefreshToken == "" || token.ExpiresIn != 420 || token.Type() != "Bearer" {
		t.Errorf("refresh token %q, expires_in %d, want 420", token.RefreshToken, token.ExpiresIn)
	}
	status, info := p.userInfo(t, token.AccessToken)
	if status != http.StatusOK || info["sub"] != idToken.Subject || info["email_verified"] != "true" {
		t.Errorf("userInfo = %d %v", status, info)
	}
	if sub, err := p.pool.Sub(t.Context(), cognitolocal.DemoUser); err != nil || sub != idToken.Subject {
		t.Errorf("Sub = %q, %v", sub, err)
	}
	if calls := p.pool.TokenCalls("authorization_code"); calls != 1 {
		t.Errorf("TokenCalls = %d", calls)
	}
}

func TestLoginRefused(t *testing.T) {
	p := newParty(t, start(t, 0))
	_, err := cognitolocal.SignIn(t.Context(), p.authorizeURL(), cognitolocal.DemoUser, "wrong")
	if !errors.Is(err, cognitolocal.ErrRefused) {
		t.Errorf("wrong password: %v", err)
	}
	elsewhere := *p.Config
	elsewhere.RedirectURL = callback + "/"
	authorize := elsewhere.AuthCodeURL("s", oauth2.S256ChallengeOption(p.verifier))
	_, err = cognitolocal.SignIn(t.Context(), authorize, cognitolocal.DemoUser, cognitolocal.DemoPassword)
	if err == nil || !strings.Contains(err.Error(), "status 400") {
		t.Errorf("unregistered redirect_uri: %v", err)
	}
	code := p.code(t, cognitolocal.DemoUser)
	_, err = p.Exchange(t.Context(), code, oauth2.VerifierOption(oauth2.GenerateVerifier()))
	wantInvalidGrant(t, err)
	_, err = p.Exchange(t.Context(), code, oauth2.VerifierOption(p.verifier))
	wantInvalidGrant(t, err) // a code is good for one try
}

func TestClientAuthentication(t *testing.T) {
	p := newParty(t, start(t, 0))
	refreshToken := p.login(t, cognitolocal.DemoUser).RefreshToken
	tests := []struct {
		name       string
		id, secret string // in the form
		edit       func(*http.Request)
		good       bool
	}{
		{name: "basic", edit: p.basic, good: true},
		{name: "basic and client_id", id: p.ClientID, edit: p.basic, good: true},
		{name: "post", id: p.ClientID, secret: p.ClientSecret, edit: func(*http.Request) {}, good: true},
		{name: "none", edit: func(*http.Request) {}},
		{name: "client_id only", id: p.ClientID, edit: func(*http.Request) {}},
		{name: "wrong secret in the form", id: p.ClientID, secret: "x", edit: func(*http.Request) {}},
		{name: "wrong secret", edit: func(r *http.Request) { r.SetBasicAuth(p.ClientID, "x") }},
		{name: "empty secret", edit: func(r *http.Request) { r.SetBasicAuth(p.ClientID, "") }},
		{name: "other client", edit: func(r *http.Request) { r.SetBasicAuth("x", p.ClientSecret) }},
		{name: "two clients", id: "x", edit: p.basic},
		{name: "two methods", id: p.ClientID, secret: p.ClientSecret, edit: p.basic},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}
			if test.id != "" {
				form.Set("client_id", test.id)
			}
			if test.secret != "" {
				form.Set("client_secret", test.secret)
			}
			status, body := p.post(t, "/oauth2/token", form, test.edit)
			if test.good && status != http.StatusOK {
				t.Errorf("token = %d %s", status, body)
			}
			if !test.good && (status != http.StatusBadRequest || !strings.Contains(body, "invalid_client")) {
				t.Errorf("token = %d %s, want 400 invalid_client", status, body)
			}
			status, body = p.post(t, "/oauth2/revoke", withToken(form, "unknown"), test.edit)
			if test.good && (status != http.StatusOK || body != "") {
				t.Errorf("revoke = %d %s", status, body)
			}
			if !test.good && (status != http.StatusUnauthorized || !strings.Contains(body, "invalid_client")) {
				t.Errorf("revoke = %d %s, want 401 invalid_client", status, body)
			}
		})
	}
}

// withToken changes the form of a token request into that of a revocation.
func withToken(form url.Values, token string) url.Values {
	form.Del("refresh_token")
	form.Set("token", token)
	return form
}

func TestRefresh(t *testing.T) {
	p := newParty(t, start(t, time.Minute))
	first := p.login(t, cognitolocal.DemoUser)
	second, err := p.refresh(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if second.AccessToken == first.AccessToken || second.ExpiresIn != 60 {
		t.Errorf("expires_in = %d, same token: %t", second.ExpiresIn, second.AccessToken == first.AccessToken)
	}
	if returned := second.Extra("refresh_token"); returned != nil {
		t.Errorf("a refresh returned a refresh token: %v", returned)
	}
	p.wantUserInfo(t, second.AccessToken, http.StatusOK)
	if calls := p.pool.TokenCalls("refresh_token"); calls != 1 {
		t.Errorf("TokenCalls = %d", calls)
	}
	issued := p.pool.Issued()
	for _, token := range []string{first.AccessToken, first.RefreshToken, second.AccessToken} {
		if !slices.Contains(issued, token) {
			t.Errorf("Issued lacks one of the tokens")
		}
	}
	if len(issued) != 5 {
		t.Errorf("Issued = %d tokens, want three and two", len(issued))
	}
}

func TestExpiredRefreshToken(t *testing.T) {
	p := newParty(t, startWith(t, cognitolocal.Options{RefreshTokenTTL: 2 * time.Second}))
	token := p.login(t, cognitolocal.DemoUser)
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for range 100 {
		if _, err := p.refresh(t.Context(), token); err != nil {
			wantInvalidGrant(t, err)
			return
		}
		<-ticker.C
	}
	t.Error("the refresh token outlives its time")
}

func TestRevoke(t *testing.T) {
	p := newParty(t, start(t, 0))
	token, other := p.login(t, cognitolocal.DemoUser), p.login(t, cognitolocal.DemoUser)
	later, err := p.refresh(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := p.post(t, "/oauth2/revoke", url.Values{"token": {token.AccessToken}}, p.basic); status != http.StatusBadRequest ||
		!strings.Contains(body, "unsupported_token_type") {
		t.Errorf("revoking an access token = %d %s", status, body)
	}
	if status, body := p.post(t, "/oauth2/revoke", url.Values{}, p.basic); status != http.StatusBadRequest ||
		!strings.Contains(body, "invalid_request") {
		t.Errorf("revoking nothing = %d %s", status, body)
	}
	for range 2 { // a dead token is revoked with the same answer
		if status, body := p.post(t, "/oauth2/revoke", url.Values{"token": {token.RefreshToken}}, p.basic); status != http.StatusOK ||
			body != "" {
			t.Errorf("revoke = %d %s", status, body)
		}
	}
	_, err = p.refresh(t.Context(), token)
	wantInvalidGrant(t, err)
	p.wantUserInfo(t, token.AccessToken, http.StatusUnauthorized)
	p.wantUserInfo(t, later.AccessToken, http.StatusUnauthorized)

	p.wantUserInfo(t, other.AccessToken, http.StatusOK)
	if _, err := p.refresh(t.Context(), other); err != nil {
		t.Errorf("another session's refresh: %v", err)
	}
}

func TestForgedAccessToken(t *testing.T) {
	p := newParty(t, start(t, 0))
	token := p.login(t, cognitolocal.DemoUser)
	head, _, _ := strings.Cut(token.AccessToken, ".")
	idToken, _ := token.Extra("id_token").(string)
	for name, bad := range map[string]string{
		"no signature": token.AccessToken[:strings.LastIndex(token.AccessToken, ".")+1],
		"cut":          token.AccessToken[:len(token.AccessToken)-4],
		"head only":    head,
		"ID token":     idToken,
	} {
		t.Run(name, func(t *testing.T) { p.wantUserInfo(t, bad, http.StatusUnauthorized) })
	}
	t.Run("none", func(t *testing.T) { p.wantUserInfo(t, "", http.StatusBadRequest) })
}

func TestDeadUsers(t *testing.T) {
	p := newParty(t, start(t, 0))
	end := map[string]func(context.Context, string) error{
		"deleted":    p.pool.DeleteUser,
		"disabled":   p.pool.DisableUser,
		"signed out": p.pool.SignOutUser,
	}
	for name, kill := range end {
		t.Run(name, func(t *testing.T) {
			email := strings.ReplaceAll(name, " ", "-") + "@example.com"
			user := cognitolocal.User{Email: email, Password: cognitolocal.DemoPassword, Groups: []string{cognitolocal.DemoGroup}}
			if err := p.pool.CreateUser(t.Context(), user); err != nil {
				t.Fatal(err)
			}
			token, code := p.login(t, email), p.code(t, email)
			if err := kill(t.Context(), email); err != nil {
				t.Fatal(err)
			}
			_, err := p.refresh(t.Context(), token)
			wantInvalidGrant(t, err)
			p.wantUserInfo(t, token.AccessToken, http.StatusUnauthorized)
			_, errLogin := cognitolocal.SignIn(t.Context(), p.authorizeURL(), email, cognitolocal.DemoPassword)
			_, errCode := p.Exchange(t.Context(), code, oauth2.VerifierOption(p.verifier))
			if name == "signed out" {
				if errLogin != nil || errCode != nil {
					t.Errorf("a new login: %v, %v", errLogin, errCode)
				}
				return
			}
			if !errors.Is(errLogin, cognitolocal.ErrRefused) {
				t.Errorf("a new login: %v", errLogin)
			}
			wantInvalidGrant(t, errCode)
		})
	}
	t.Run("enabled again", func(t *testing.T) {
		const email = "disabled@example.com"
		if err := p.pool.EnableUser(t.Context(), email); err != nil {
			t.Fatal(err)
		}
		p.login(t, email)
	})
}

func TestLogout(t *testing.T) {
	pool := start(t, 0)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	tests := []struct {
		name, clientID, target string
		status                 int
	}{
		{"registered", pool.ClientID, home, http.StatusFound},
		{"not exact", pool.ClientID, strings.TrimSuffix(home, "/"), http.StatusBadRequest},
		{"elsewhere", pool.ClientID, "https://evil.example/", http.StatusBadRequest},
		{"no target", pool.ClientID, "", http.StatusBadRequest},
		{"other client", "x", home, http.StatusBadRequest},
		{"no client", "", home, http.StatusBadRequest},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			query := url.Values{"client_id": {test.clientID}, "logout_uri": {test.target}, "state": {"s"}}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, pool.URL+"/logout?"+query.Encode(), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			if response.StatusCode != test.status {
				t.Errorf("status = %d", response.StatusCode)
			}
			if test.status == http.StatusFound && response.Header.Get("Location") != home {
				t.Errorf("Location = %q", response.Header.Get("Location"))
			}
		})
	}
}

func TestDiscovery(t *testing.T) {
	pool := start(t, 0)
	provider, err := oidc.NewProvider(t.Context(), pool.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := provider.Claims(&document); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{
		"issuer", "jwks_uri", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "revocation_endpoint",
		"end_session_endpoint", "response_types_supported", "scopes_supported", "subject_types_supported",
		"id_token_signing_alg_values_supported", "token_endpoint_auth_methods_supported",
	} {
		if document[field] == nil {
			t.Errorf("%s is missing", field)
		}
	}
	if len(document) != 12 {
		t.Errorf("%d fields, want Cognito's 12", len(document))
	}
}

func TestAdministrationIsNotServedInFront(t *testing.T) {
	p := newParty(t, start(t, 0))
	status, _ := p.post(t, "/", nil, func(r *http.Request) {
		r.Header.Set("X-Amz-Target", "AWSCognitoIdentityProviderService.ListUserPools")
	})
	if status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
		t.Errorf("POST / = %d", status)
	}
}

func TestTakenPort(t *testing.T) {
	pool := start(t, 0)
	address, err := url.Parse(pool.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = cognitolocal.Start(t.Context(), cognitolocal.Options{Addr: address.Host})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("err = %v", err)
	}
}
