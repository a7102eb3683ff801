package cognito_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

const (
	callbackURL = "https://app.example.com/auth/callback"
	testState   = "state-of-this-test"
	testNonce   = "nonce-of-this-test"
)

// party is a Provider in front of a scripted Cognito.
type party struct {
	*cognito.Provider

	t     testing.TB
	pool  *cognitotest.Server
	cfg   cognito.Config
	clock *testkit.Clock
	log   *testkit.Log
	// pass lets time pass. Default the clock's Advance.
	pass func(time.Duration)
	// browser is the network of browsers. Default the real one.
	browser http.RoundTripper
	// codes are those of the callbacks, which must not be logged.
	codes []string
}

// newParty returns a party that is not connected.
func newParty(tb testing.TB, opts cognitotest.Options, edits ...func(*cognito.Config)) *party {
	tb.Helper()
	clock := testkit.NewClock(time.Now())
	opts.Clock = clock.Now
	opts.CallbackURLs = append(opts.CallbackURLs, callbackURL)
	return partyOf(tb, cognitotest.New(tb, opts), clock, edits...)
}

// partyOf is [newParty] with an existing pool.
func partyOf(tb testing.TB, pool *cognitotest.Server, clock *testkit.Clock, edits ...func(*cognito.Config)) *party {
	tb.Helper()
	p := &party{t: tb, pool: pool, clock: clock, pass: clock.Advance, log: &testkit.Log{}}
	p.cfg = cognito.Config{
		Profile: cognito.Cognito, Issuer: p.pool.Issuer(), ClientID: p.pool.ClientID(),
		Scopes: []string{"openid", "email", "profile"}, RedirectURL: callbackURL,
		Claims:  []string{"sub", "username", "email", "email_verified", "name", "groups", "custom:none"},
		Timeout: testkit.Deadline, Now: p.clock.Now,
		Log: p.log.Logger(),
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
func connectedParty(tb testing.TB, opts cognitotest.Options, edits ...func(*cognito.Config)) *party {
	tb.Helper()
	p := newParty(tb, opts, edits...)
	if err := p.Connect(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return p
}

// callback opens target as a browser does and returns the parameters of the callback.
func (p *party) callback(target string) url.Values {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, target, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	browser := &http.Client{Transport: p.browser, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
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

// grant logs in at the provider and returns what redeems the code.
func (p *party) grant() provider.CodeGrant {
	p.t.Helper()
	verifier := oauth2.GenerateVerifier()
	target, err := p.AuthorizeURL(provider.AuthRequest{
		Page: provider.PageLogin, State: testState, Nonce: testNonce, Verifier: verifier,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	back := p.callback(target)
	if back.Get("state") != testState {
		p.t.Fatalf("state %q came back", back.Get("state"))
	}
	return provider.CodeGrant{Code: back.Get("code"), Verifier: verifier, Nonce: testNonce, MaxAge: -1}
}

// login logs in and returns the tokens.
func (p *party) login() (secret.Tokens, error) {
	p.t.Helper()
	return p.Exchange(p.t.Context(), p.grant())
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

// wantKind checks that err is of this kind and contains no secret.
func (p *party) wantKind(err, want error) {
	p.t.Helper()
	_ = p.failure(err, want)
}

// failure is [party.wantKind], and returns the error.
func (p *party) failure(err, want error) *provider.Error {
	p.t.Helper()
	failed, ok := errors.AsType[*provider.Error](err)
	if !ok {
		p.t.Fatalf("got %v (%T), want a %s error", err, err, want)
	}
	if !errors.Is(failed, want) {
		p.t.Errorf("got a %q error, want a %q one: %v", failed.Kind, want, err)
	}
	p.wantNoLeak(err)
	return failed
}

// wantNoLeak checks that neither the error nor the log contains a secret or the
// provider's text.
func (p *party) wantNoLeak(err error, more ...secret.String) {
	p.t.Helper()
	// Every JWT and every refresh token of Cognito's begins with eyJ.
	planted := append([]string{cognitotest.Canary, "canary", "eyJ", testNonce, testState}, p.codes...)
	for _, s := range append(more, p.cfg.ClientSecrets...) {
		planted = append(planted, s.Reveal())
	}
	text := fmt.Sprintf("%v\n%+v\n%#v\n%s", err, err, err, p.log)
	for _, s := range planted {
		if s != "" && strings.Contains(text, s) {
			p.t.Errorf("%q is in\n%s", s, text)
		}
	}
}
