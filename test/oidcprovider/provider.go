package oidcprovider

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/testkit"
)

// Options are the options of the provider's only client.
type Options struct {
	CallbackURL    string        // required; compared exactly
	LogoutURL      string        // required; where RP-initiated logout may return to
	BackchannelURL string        // required; receives the logout tokens
	AccessTokenTTL time.Duration // in whole seconds; default an hour
	Log            io.Writer     // optional; what the provider writes
}

// Provider is a running provider.
type Provider struct {
	Issuer       string
	ClientID     string
	ClientSecret string // new at each start

	child  *process.Process
	client *http.Client
}

const (
	clientID = "token-handler"
	// stopTime is how long the provider may take to end.
	stopTime = 2 * time.Second
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 1 << 20
)

// Start starts the provider on a free port and returns when it answers. The context bounds the start only; the caller must Close
// the provider.
func Start(ctx context.Context, options Options) (*Provider, error) {
	p, err := start(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("starting the OpenID provider: %w", err)
	}
	return p, nil
}

func start(ctx context.Context, options Options) (*Provider, error) {
	script, err := script()
	if err != nil {
		return nil, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("node is not installed: %w", err)
	}
	if options.AccessTokenTTL == 0 {
		options.AccessTokenTTL = time.Hour
	}
	p := &Provider{ClientID: clientID, ClientSecret: rand.Text(), client: &http.Client{Timeout: testkit.Deadline}}
	issuer := make(chan string, 1)
	p.child, err = process.Start(process.Spec{
		Name: "oidc-provider", Path: node, Args: []string{script}, Dir: filepath.Dir(script), Log: options.Log,
		Env: process.Environment(
			"CLIENT_ID="+p.ClientID, "CLIENT_SECRET="+p.ClientSecret, "CALLBACK_URL="+options.CallbackURL, "LOGOUT_URL="+options.LogoutURL,
			"BACKCHANNEL_URL="+options.BackchannelURL, "ACCESS_TOKEN_TTL="+strconv.Itoa(int(options.AccessTokenTTL/time.Second)),
		),
		OnLine: func(line string) {
			if found, ok := strings.CutPrefix(line, "listening on "); ok {
				issuer <- found // printed once
			}
		},
	})
	if err != nil {
		return nil, err
	}
	select {
	case p.Issuer = <-issuer:
		return p, nil
	case <-p.child.Done():
		return nil, p.child.Err()
	case <-ctx.Done():
		p.Close()
		return nil, context.Cause(ctx)
	}
}

// script returns the path of the provider's script, and checks that `npm ci` installed oidc-provider.
func script() (string, error) {
	repo, err := process.RepoDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(repo, "test", "oidcprovider")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "oidc-provider")); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("oidc-provider is not installed (run `make tools`): %w", err)
	}
	return filepath.Join(dir, "provider.mjs"), nil
}

// Observed is what happened at the provider so far.
type Observed struct {
	// Calls maps events to their number: "refresh_token ok", "refresh_token invalid_grant", "authorization_code ok",
	// "backchannel ok", "backchannel failed".
	Calls map[string]int `json:"calls"`
	// RefreshTokens are all refresh tokens that were issued, the newest last.
	RefreshTokens []string `json:"refreshTokens"`
}

// Observe asks the provider what happened.
func (p *Provider) Observe(ctx context.Context) (Observed, error) {
	var seen Observed
	return seen, p.ask(ctx, http.MethodGet, "/observed", nil, &seen)
}

// Active asks the provider whether a token of the client is active (RFC 7662).
func (p *Provider) Active(ctx context.Context, token string) (bool, error) {
	var answer struct {
		Active bool `json:"active"`
	}
	err := p.ask(ctx, http.MethodPost, "/token/introspection", url.Values{"token": {token}}, &answer)
	return answer.Active, err
}

// Redeem uses a refresh token as an attacker who stole the client's credentials would. It returns the OAuth error code, or "" if the
// provider accepted the token.
func (p *Provider) Redeem(ctx context.Context, refreshToken string) (code string, err error) {
	var answer struct {
		Error string `json:"error"`
	}
	err = p.ask(ctx, http.MethodPost, "/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}, &answer)
	return answer.Error, err
}

// ask sends a request as the client and reads the JSON answer.
func (p *Provider) ask(ctx context.Context, method, path string, form url.Values, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, p.Issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("asking the OpenID provider: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(p.ClientID, p.ClientSecret)
	answer, err := p.client.Do(r)
	if err != nil {
		return fmt.Errorf("asking the OpenID provider: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("reading the OpenID provider's answer to %s %s (status %d): %w", method, path, answer.StatusCode, err)
	}
	return nil
}

// Close stops the provider. It may be called twice.
func (p *Provider) Close() {
	p.client.CloseIdleConnections()
	p.child.Stop(stopTime)
}
