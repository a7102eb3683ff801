//go:build e2e

package cognitolocal_test

import (
	"context"
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

	"cognito-token-handler/test/cognitolocal"
)

const (
	callback = "http://localhost:8080/auth/callback"
	home     = "http://localhost:8080/"
)

func start(t *testing.T, accessTTL time.Duration) *cognitolocal.Pool {
	t.Helper()
	return startWith(t, cognitolocal.Options{AccessTokenTTL: accessTTL})
}

func startWith(t *testing.T, options cognitolocal.Options) *cognitolocal.Pool {
	t.Helper()
	options.Addr, options.Log = "localhost:0", t.Output()
	options.CallbackURLs, options.LogoutURLs = []string{callback}, []string{home}
	begun := time.Now()
	pool, err := cognitolocal.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the pool was up after %s", time.Since(begun))
	t.Cleanup(pool.Close)
	return pool
}

// party is a plain OIDC client of the pool.
type party struct {
	*oauth2.Config

	pool     *cognitolocal.Pool
	provider *oidc.Provider
	verifier string
}

func newParty(t *testing.T, pool *cognitolocal.Pool) party {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), pool.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	config := &oauth2.Config{
		ClientID: pool.ClientID, ClientSecret: pool.ClientSecret, RedirectURL: callback,
		Endpoint: provider.Endpoint(), Scopes: []string{"openid", "email"},
	}
	config.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	return party{Config: config, pool: pool, provider: provider, verifier: oauth2.GenerateVerifier()}
}

func (p party) authorizeURL() string {
	return p.AuthCodeURL("state-1", oauth2.S256ChallengeOption(p.verifier))
}

func (p party) code(t *testing.T, email string) string {
	t.Helper()
	target, err := cognitolocal.SignIn(t.Context(), p.authorizeURL(), email, cognitolocal.DemoPassword)
	if err != nil {
		t.Fatal(err)
	}
	if target.Query().Get("state") != "state-1" || !strings.HasPrefix(target.String(), callback+"?") {
		t.Fatalf("the browser was sent to %s", target)
	}
	return target.Query().Get("code")
}

func (p party) login(t *testing.T, email string) *oauth2.Token {
	t.Helper()
	token, err := p.Exchange(t.Context(), p.code(t, email), oauth2.VerifierOption(p.verifier))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (p party) refresh(ctx context.Context, token *oauth2.Token) (*oauth2.Token, error) {
	return p.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
}

func wantInvalidGrant(t *testing.T, err error) {
	t.Helper()
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" || refused.Response.StatusCode != http.StatusBadRequest {
		t.Errorf("the token endpoint said %v, want 400 invalid_grant", err)
	}
}

func (p party) userInfo(t *testing.T, accessToken string) (status int, answer map[string]string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.pool.URL+"/oauth2/userInfo", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+accessToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusUnauthorized &&
		!strings.HasPrefix(response.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("WWW-Authenticate = %q", response.Header.Get("WWW-Authenticate"))
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

func (p party) wantUserInfo(t *testing.T, accessToken string, want int) {
	t.Helper()
	if status, _ := p.userInfo(t, accessToken); status != want {
		t.Errorf("userInfo = %d, want %d", status, want)
	}
}

func (p party) post(t *testing.T, path string, form url.Values, edit func(*http.Request)) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.pool.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	edit(request)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

func (p party) basic(r *http.Request) { r.SetBasicAuth(p.ClientID, p.ClientSecret) }
