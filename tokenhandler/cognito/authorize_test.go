package cognito_test

import (
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

const testVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B

func authorizeQuery() url.Values {
	return url.Values{
		"response_type": {"code"}, "client_id": {cognitotest.DefaultClientID}, "redirect_uri": {callbackURL},
		"scope": {"openid email profile"}, "state": {testState}, "nonce": {testNonce},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
}

func TestAuthorizeURL(t *testing.T) {
	oidc := func(cfg *cognito.Config) { cfg.Profile = cognito.OIDC }
	none := func(*cognito.Config) {}
	for _, c := range []struct {
		name  string
		edit  func(*cognito.Config)
		page  provider.Page
		extra map[string]string
		path  string
		more  url.Values
	}{
		{"login", none, provider.PageLogin, nil, "/oauth2/authorize", nil},
		{"no page", none, "", nil, "/oauth2/authorize", nil},
		{"sign-up", none, provider.PageSignup, nil, "/signup", nil},
		{"forgotten password", none, provider.PageForgotPassword, nil, "/forgotPassword", nil},
		{
			"extras", none, provider.PageLogin,
			map[string]string{"identity_provider": "Google", "login_hint": "a+b@example.com", "lang": "pt-BR", "prompt": "login", "max_age": "60"},
			"/oauth2/authorize",
			url.Values{"identity_provider": {"Google"}, "login_hint": {"a+b@example.com"}, "lang": {"pt-BR"}, "prompt": {"login"}, "max_age": {"60"}},
		},
		{"extras of a page", none, provider.PageSignup, map[string]string{"lang": "de"}, "/signup", url.Values{"lang": {"de"}}},
		{"extras that are ours", none, provider.PageLogin, map[string]string{
			"response_type": "token", "response_mode": "query", "client_id": "x", "redirect_uri": "https://evil.example.com/", "scope": "x",
			"state": "x", "nonce": "x", "code_challenge": "x", "code_challenge_method": "plain", "request": "x", "request_uri": "https://evil.example.com/",
		}, "/oauth2/authorize", nil},
		{"OIDC login", oidc, provider.PageLogin, nil, "/oauth2/authorize", nil},
		{"OIDC sign-up", oidc, provider.PageSignup, map[string]string{"prompt": "login"}, "/oauth2/authorize", url.Values{"prompt": {"login"}}},
		{"OIDC forgotten password", oidc, provider.PageForgotPassword, nil, "/oauth2/authorize", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{}, c.edit)
			target, err := p.AuthorizeURL(provider.AuthRequest{
				Page: c.page, State: testState, Nonce: testNonce, Verifier: testVerifier, Extra: c.extra,
			})
			if err != nil {
				t.Fatal(err)
			}
			u := mustParse(t, target)
			if got, want := u.Scheme+"://"+u.Host+u.Path, p.pool.URL+c.path; got != want {
				t.Errorf("to %s, want %s", got, want)
			}
			want := authorizeQuery()
			maps.Copy(want, c.more)
			if diff := cmp.Diff(want, u.Query()); diff != "" {
				t.Errorf("parameters (-want +got)\n%s", diff)
			}
		})
	}
}

// TestSignupOfAPlainProvider checks that prompt=create is sent only to a provider that
// lists it: another one may answer with an error.
func TestSignupOfAPlainProvider(t *testing.T) {
	for _, c := range []struct {
		prompts any
		page    provider.Page
		want    string
	}{
		{[]string{"none", "login", "create"}, provider.PageSignup, "create"},
		{[]string{"none", "login", "create"}, provider.PageLogin, ""},
		{[]string{"none", "login"}, provider.PageSignup, ""},
		{nil, provider.PageSignup, ""},
	} {
		p := newParty(t, cognitotest.Options{}, openID)
		p.pool.Break(cognitotest.Discovery, described("prompt_values_supported", c.prompts), 0)
		if err := p.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		target, err := p.AuthorizeURL(provider.AuthRequest{Page: c.page, State: testState, Nonce: testNonce, Verifier: testVerifier})
		if got := mustParse(t, target).Query().Get("prompt"); err != nil || got != c.want {
			t.Errorf("%v, %s: prompt %q, %v, want %q", c.prompts, c.page, got, err, c.want)
		}
	}
}

func TestEveryHostedPageEndsInTheSameCallback(t *testing.T) {
	for _, page := range []provider.Page{provider.PageLogin, provider.PageSignup, provider.PageForgotPassword} {
		t.Run(string(page), func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{})
			verifier := oauth2.GenerateVerifier()
			target, err := p.AuthorizeURL(provider.AuthRequest{Page: page, State: testState, Nonce: testNonce, Verifier: verifier})
			if err != nil {
				t.Fatal(err)
			}
			grant := provider.CodeGrant{Code: p.callback(target).Get("code"), Verifier: verifier, Nonce: testNonce, MaxAge: -1}
			if _, err := p.Exchange(t.Context(), grant); err != nil {
				t.Error(err)
			}
		})
	}
}

// An empty one would make a later comparison accept anything.
func TestAuthorizeURLNeedsItsSecrets(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	for _, request := range []provider.AuthRequest{
		{},
		{Nonce: "n", Verifier: "v"},
		{State: "s", Verifier: "v"},
		{State: "s", Nonce: "n"},
	} {
		_, err := p.AuthorizeURL(request)
		p.wantKind(err, provider.ErrMisconfigured)
	}
}

func TestExchangeNeedsTheVerifierOfTheLogin(t *testing.T) {
	for _, verifier := range []string{"", testVerifier} {
		p := connectedParty(t, cognitotest.Options{})
		grant := p.grant()
		grant.Verifier = verifier
		_, err := p.Exchange(t.Context(), grant)
		p.wantKind(err, provider.ErrRejected)
	}
}

func TestLogoutURL(t *testing.T) {
	const home = "https://app.example.com/?a=b&c"
	p := connectedParty(t, cognitotest.Options{})
	// These two and nothing else (README "Logout").
	want := p.pool.URL + "/logout?client_id=" + cognitotest.DefaultClientID + "&logout_uri=https%3A%2F%2Fapp.example.com%2F%3Fa%3Db%26c"
	for _, hint := range []secret.String{{}, secret.New("a.b.c")} {
		if got := p.LogoutURL(home, hint); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	p = connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Profile = cognito.OIDC })
	want = strings.ReplaceAll(want[strings.Index(want, "/logout"):], "logout_uri", "post_logout_redirect_uri")
	if got := p.LogoutURL(home, secret.String{}); got != p.pool.URL+want {
		t.Errorf("%s, want %s", got, want)
	}
	want = strings.Replace(want, "&post", "&id_token_hint=a.b.c&post", 1)
	if got := p.LogoutURL(home, secret.New("a.b.c")); got != p.pool.URL+want {
		t.Errorf("%s, want %s", got, want)
	}
	p = newParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Profile = cognito.OIDC })
	p.pool.Break(cognitotest.Discovery, described("end_session_endpoint", nil), 0)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := p.LogoutURL(home, secret.String{}); got != "" {
		t.Errorf("%s, want none", got)
	}
}

// TestPasskeyURL: Cognito's page is on the host of its hosted pages, and gets what asks a user
// to sign in whose session there is over.
func TestPasskeyURL(t *testing.T) {
	const done = "https://app.example.com/auth/passkeys/done"
	p := newParty(t, cognitotest.Options{})
	_, err := p.PasskeyURL(done)
	p.wantKind(err, provider.ErrUnavailable)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	target, err := p.PasskeyURL(done)
	if err != nil {
		t.Fatal(err)
	}
	u := mustParse(t, target)
	if got, want := u.Scheme+"://"+u.Host+u.Path, p.pool.URL+"/passkeys/add"; got != want {
		t.Errorf("to %s, want %s", got, want)
	}
	want := url.Values{"client_id": {cognitotest.DefaultClientID}, "redirect_uri": {done}, "response_type": {"code"}, "scope": {"openid email profile"}}
	if diff := cmp.Diff(want, u.Query()); diff != "" {
		t.Errorf("parameters (-want +got)\n%s", diff)
	}
}

// TestEndpointsThatAreNoURL are found when they are needed.
func TestEndpointsThatAreNoURL(t *testing.T) {
	const bad = "://auth.example.com"
	p := newParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Endpoints.JWKS = bad })
	p.wantKind(p.Connect(t.Context()), provider.ErrMisconfigured)
	p = connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) {
		cfg.Endpoints.Authorization, cfg.Endpoints.Revocation, cfg.Endpoints.Userinfo, cfg.Endpoints.Logout = bad, bad, bad, bad
	})
	_, err := p.PasskeyURL(callbackURL)
	p.wantKind(err, provider.ErrMisconfigured)
	_, err = p.AuthorizeURL(provider.AuthRequest{Page: provider.PageSignup, State: testState, Nonce: testNonce, Verifier: testVerifier})
	p.wantKind(err, provider.ErrMisconfigured)
	p.wantKind(p.Revoke(t.Context(), secret.New("a-token")), provider.ErrMisconfigured)
	p.wantKind(p.Alive(t.Context(), secret.New("a-token"), "the-user"), provider.ErrMisconfigured)
	if got := p.LogoutURL(callbackURL, secret.String{}); got != "" {
		t.Errorf("logout at %q", got)
	}
}
