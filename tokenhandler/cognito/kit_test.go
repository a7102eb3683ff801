package cognito_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/secret"
)

const (
	callbackURL = "https://app.example.com/auth/callback"
	testState   = "state-of-this-test"
	testNonce   = "nonce-of-this-test"
)

// party is a provider of ours in front of a scripted Cognito.
type party struct {
	*cognito.Provider

	t     *testing.T
	pool  *cognitotest.Server
	cfg   cognito.Config
	clock *clock
	log   *buffer
	// codes are those that the callbacks had; they must not be logged.
	codes []string
}

// clock is a clock in the test's hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newParty builds a provider that is not connected.
func newParty(t *testing.T, opts cognitotest.Options, edits ...func(*cognito.Config)) *party {
	t.Helper()
	p := &party{t: t, clock: &clock{now: time.Now()}, log: &buffer{}}
	opts.Clock = p.clock.Now
	opts.CallbackURLs = append(opts.CallbackURLs, callbackURL)
	p.pool = cognitotest.New(t, opts)
	p.cfg = cognito.Config{
		Profile: cognito.Cognito, Issuer: p.pool.Issuer(), ClientID: p.pool.ClientID(),
		Scopes: []string{"openid", "email", "profile"}, RedirectURL: callbackURL,
		Claims:  []string{"sub", "username", "email", "email_verified", "name", "groups", "custom:none"},
		Timeout: 5 * time.Second, Now: p.clock.Now,
		Log: slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if s := p.pool.Secret(); s != "" {
		p.cfg.ClientSecrets = []secret.String{secret.New(s)}
	}
	for _, edit := range edits {
		edit(&p.cfg)
	}
	p.Provider = cognito.New(p.cfg)
	return p
}

// connectedParty is [newParty], connected.
func connectedParty(t *testing.T, opts cognitotest.Options, edits ...func(*cognito.Config)) *party {
	t.Helper()
	p := newParty(t, opts, edits...)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// callback lets the browser go to target and returns what comes back.
func (p *party) callback(target string) url.Values {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, target, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := browser.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = answer.Body.Close()
	back, err := url.Parse(answer.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(back.String(), callbackURL+"?") {
		p.t.Fatalf("%d to %q, want the callback", answer.StatusCode, answer.Header.Get("Location"))
	}
	p.codes = append(p.codes, back.Query().Get("code"))
	return back.Query()
}

// grant takes the browser to the hosted page and back.
func (p *party) grant(extra map[string]string) cognito.CodeGrant {
	p.t.Helper()
	verifier := oauth2.GenerateVerifier()
	target, err := p.AuthorizeURL(cognito.AuthRequest{
		Page: cognito.PageLogin, State: testState, Nonce: testNonce, Verifier: verifier, Extra: extra,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	back := p.callback(target)
	if back.Get("state") != testState {
		p.t.Fatalf("state %q came back", back.Get("state"))
	}
	return cognito.CodeGrant{Code: back.Get("code"), Verifier: verifier, Nonce: testNonce, MaxAge: -1}
}

// login is a whole login.
func (p *party) login() (secret.Tokens, error) {
	p.t.Helper()
	return p.Exchange(p.t.Context(), p.grant(nil))
}

func (p *party) mustLogin() secret.Tokens {
	p.t.Helper()
	tokens, err := p.login()
	if err != nil {
		p.t.Fatal(err)
	}
	return tokens
}

func (p *party) mustRefresh(previous secret.Tokens) secret.Tokens {
	p.t.Helper()
	tokens, err := p.Refresh(p.t.Context(), previous)
	if err != nil {
		p.t.Fatal(err)
	}
	return tokens
}
