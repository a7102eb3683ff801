package cognitotest_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
)

const (
	callbackURL = "http://localhost:8080/auth/callback"
	logoutURL   = "http://localhost:8080/"
	testNonce   = "nonce-of-this-test"
	testState   = "state-of-this-test"
)

// party is a minimal relying party, made with go-oidc and x/oauth2.
type party struct {
	t        *testing.T
	srv      *cognitotest.Server
	clock    *testkit.Clock
	oauth    *oauth2.Config
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
}

func newParty(t *testing.T, opts cognitotest.Options) *party {
	t.Helper()
	c := testkit.NewClock(time.Now())
	opts.Clock = c.Now
	opts.CallbackURLs = append(opts.CallbackURLs, callbackURL)
	opts.LogoutURLs = append(opts.LogoutURLs, logoutURL)
	srv := cognitotest.New(t, opts)
	provider, err := oidc.NewProvider(t.Context(), srv.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if opts.PublicClient {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &party{
		t: t, srv: srv, clock: c, provider: provider,
		verifier: provider.Verifier(&oidc.Config{ClientID: srv.ClientID(), Now: c.Now}),
		oauth: &oauth2.Config{
			ClientID: srv.ClientID(), ClientSecret: srv.Secret(), Endpoint: endpoint,
			RedirectURL: callbackURL, Scopes: []string{"openid", "email"},
		},
	}
}

func (p *party) authURL(verifier string, opts ...oauth2.AuthCodeOption) string {
	opts = append([]oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier), oidc.Nonce(testNonce)}, opts...)
	return p.oauth.AuthCodeURL(testState, opts...)
}

// answer is a complete response.
type answer struct {
	status  int
	header  http.Header
	cookies []*http.Cookie
	body    string
}

// get sends one GET request and does not follow redirects.
func get(t *testing.T, target string, cookies ...*http.Cookie) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cookies {
		req.AddCookie(c)
	}
	return send(t, req)
}

func send(t *testing.T, req *http.Request) answer {
	t.Helper()
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, res.Cookies(), string(body)}
}

// callback logs in and returns the parameters of the redirect to the callback.
func (p *party) callback(authURL string) url.Values {
	p.t.Helper()
	res := get(p.t, authURL)
	location, err := url.Parse(res.header.Get("Location"))
	if err != nil || !strings.HasPrefix(location.String(), callbackURL+"?") {
		p.t.Fatalf("%d to %q, want the callback: %s", res.status, res.header.Get("Location"), res.body)
	}
	return location.Query()
}

func (p *party) login() (*oauth2.Token, error) {
	p.t.Helper()
	verifier := oauth2.GenerateVerifier()
	q := p.callback(p.authURL(verifier))
	if q.Get("state") != testState {
		p.t.Fatalf("state %q came back", q.Get("state"))
	}
	return p.oauth.Exchange(p.t.Context(), q.Get("code"), oauth2.VerifierOption(verifier))
}

func (p *party) mustLogin() *oauth2.Token {
	p.t.Helper()
	token, err := p.login()
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

func (p *party) refresh(refreshToken string) (*oauth2.Token, error) {
	return p.oauth.TokenSource(p.t.Context(), &oauth2.Token{RefreshToken: refreshToken}).Token()
}

func (p *party) wantRefused(err error, code string) {
	p.t.Helper()
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.ErrorCode != code {
		p.t.Fatalf("got %v, want %s", err, code)
	}
}

func claims(t *testing.T, raw string) map[string]any {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(payload, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func idToken(t *testing.T, token *oauth2.Token) string {
	t.Helper()
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		t.Fatal("no id_token")
	}
	return raw
}

func TestLogin(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	token := p.mustLogin()
	id, err := p.verifier.Verify(t.Context(), idToken(t, token))
	if err != nil {
		t.Fatal(err)
	}
	if id.Nonce != testNonce {
		t.Errorf("nonce %q", id.Nonce)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Error(err)
	}
	idClaims, accessClaims := claims(t, idToken(t, token)), claims(t, token.AccessToken)
	if verified, isBool := idClaims["email_verified"].(bool); !verified || !isBool || idClaims["token_use"] != "id" || idClaims["cognito:username"] != "demo" {
		t.Errorf("ID token has %v", idClaims)
	}
	if _, has := accessClaims["aud"]; has {
		t.Error("the access token has an aud")
	}
	for _, claim := range []string{"sub", "iss", "client_id", "origin_jti", "event_id", "scope", "auth_time", "exp", "iat", "jti", "username", "version", "cognito:groups"} {
		if _, has := accessClaims[claim]; !has {
			t.Errorf("the access token lacks %s", claim)
		}
	}
	if got := strings.Count(token.RefreshToken, ".") + 1; got != 5 {
		t.Errorf("the refresh token has %d parts", got)
	}
	if token.TokenType != "Bearer" || token.ExpiresIn != 3600 {
		t.Errorf("%s for %d s", token.TokenType, token.ExpiresIn)
	}
	for endpoint, want := range map[string]int{
		cognitotest.Discovery: 1, cognitotest.JWKS: 1, cognitotest.Authorize: 1,
		cognitotest.TokenAny: 1, cognitotest.TokenCode: 1, cognitotest.TokenCode + ".ok": 1, cognitotest.TokenRefresh: 0,
	} {
		if got := p.srv.Count(endpoint); got != want {
			t.Errorf("%s was asked %d times, want %d", endpoint, got, want)
		}
	}
	if got := p.srv.LastForm(cognitotest.TokenAny).Get("redirect_uri"); got != callbackURL {
		t.Errorf("recorded redirect_uri %q", got)
	}
}

func TestTheTwoTokensAreSignedByDifferentKeys(t *testing.T) {
	token := newParty(t, cognitotest.Options{}).mustLogin()
	kid := func(raw string) string { return strings.Split(raw, ".")[0] }
	if kid(token.AccessToken) == kid(idToken(t, token)) {
		t.Error("one kid for both tokens")
	}
}

func TestTokensHaveCognitosSizes(t *testing.T) {
	token := newParty(t, cognitotest.Options{}).mustLogin()
	for name, size := range map[string][2]int{
		"access":  {len(token.AccessToken), 1100},
		"id":      {len(idToken(t, token)), 1250},
		"refresh": {len(token.RefreshToken), 1580},
	} {
		if size[0] < size[1]-120 || size[0] > size[1]+120 {
			t.Errorf("%s token of %d bytes, want about %d", name, size[0], size[1])
		}
	}
}

func TestDiscoveryLacksWhatCognitoLacks(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	var document map[string]any
	if err := p.provider.Claims(&document); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"code_challenge_methods_supported", "grant_types_supported", "authorization_response_iss_parameter_supported"} {
		if _, has := document[key]; has {
			t.Errorf("discovery has %s", key)
		}
	}
	if document["end_session_endpoint"] != p.srv.URL+"/logout" {
		t.Errorf("end_session_endpoint %v", document["end_session_endpoint"])
	}
}

func TestClientAuthentication(t *testing.T) {
	const odd = "odd:secret/with space+&%"
	for _, c := range []struct {
		name   string
		opts   cognitotest.Options
		style  oauth2.AuthStyle
		secret string
		ok     bool
	}{
		{"basic", cognitotest.Options{}, oauth2.AuthStyleInHeader, cognitotest.DefaultSecret, true},
		{"post", cognitotest.Options{}, oauth2.AuthStyleInParams, cognitotest.DefaultSecret, true},
		{"second secret", cognitotest.Options{Secrets: []string{"a-first", "a-second"}}, oauth2.AuthStyleInHeader, "a-second", true},
		{"secret that needs encoding", cognitotest.Options{Secrets: []string{odd}}, oauth2.AuthStyleInHeader, odd, true},
		{"wrong secret", cognitotest.Options{}, oauth2.AuthStyleInHeader, "wrong", false},
		{"no secret", cognitotest.Options{}, oauth2.AuthStyleInParams, "", false},
		{"public client", cognitotest.Options{PublicClient: true}, oauth2.AuthStyleInParams, "", true},
		{"public client with a secret", cognitotest.Options{PublicClient: true}, oauth2.AuthStyleInParams, "x", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParty(t, c.opts)
			p.oauth.Endpoint.AuthStyle, p.oauth.ClientSecret = c.style, c.secret
			_, err := p.login()
			if c.ok && err != nil {
				t.Fatal(err)
			}
			if !c.ok {
				p.wantRefused(err, "invalid_client")
			}
		})
	}
}

func TestTwoMethodsOfClientAuthenticationAreRefused(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	form := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {p.mustLogin().RefreshToken},
		"client_id": {p.srv.ClientID()}, "client_secret": {p.srv.Secret()},
	}
	res := postForm(t, p.srv.URL+"/oauth2/token", form, p.srv.ClientID(), p.srv.Secret())
	if res.status != http.StatusBadRequest || !strings.Contains(res.body, "invalid_client") {
		t.Errorf("%d: %s", res.status, res.body)
	}
}

func TestCodeIsChecked(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(*party)
		change []oauth2.AuthCodeOption
		want   string
	}{
		{"expired", func(p *party) { p.clock.Advance(5 * time.Minute) }, nil, "invalid_grant"},
		{"other redirect_uri", func(p *party) { p.oauth.RedirectURL += "/" }, nil, "unauthorized_client"},
		{"other verifier", nil, []oauth2.AuthCodeOption{oauth2.VerifierOption(strings.Repeat("v", 43))}, "invalid_grant"},
		{"user gone", func(p *party) { p.srv.DeleteUser("demo") }, nil, "invalid_grant"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParty(t, cognitotest.Options{})
			verifier := oauth2.GenerateVerifier()
			q := p.callback(p.authURL(verifier))
			if c.spoil != nil {
				c.spoil(p)
			}
			_, err := p.oauth.Exchange(t.Context(), q.Get("code"), append([]oauth2.AuthCodeOption{oauth2.VerifierOption(verifier)}, c.change...)...)
			p.wantRefused(err, c.want)
		})
	}
	t.Run("second use", func(t *testing.T) {
		p := newParty(t, cognitotest.Options{})
		verifier := oauth2.GenerateVerifier()
		q := p.callback(p.authURL(verifier))
		for i, want := range []string{"", "invalid_grant"} {
			_, err := p.oauth.Exchange(t.Context(), q.Get("code"), oauth2.VerifierOption(verifier))
			if i == 0 && err != nil {
				t.Fatal(err)
			}
			if want != "" {
				p.wantRefused(err, want)
			}
		}
	})
}
