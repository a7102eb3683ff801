package refresh_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	contract "cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// provider is a token endpoint with rotation and reuse detection. Its latency passes
// in synthetic time.
type provider struct {
	mu      sync.Mutex
	good    string // the newest refresh token; empty if all were revoked
	used    map[string]bool
	rotate  bool
	grace   time.Duration        // how long a replaced refresh token still works
	until   map[string]time.Time // replaced refresh token → end of its grace
	calls   int
	latency time.Duration
	fail    error
	// unverified: the answers cannot be verified yet.
	unverified bool
	// claims are the user's claims in an answer; empty leaves those of the login.
	claims string
}

func (p *provider) Refresh(ctx context.Context, previous secret.Tokens) (secret.Tokens, error) {
	latency, known := p.begin(previous.Refresh.Reveal())
	if !known {
		return secret.Tokens{}, rejectedError{}
	}
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return secret.Tokens{}, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return secret.Tokens{}, p.fail
	}
	token := previous.Refresh.Reveal()
	if token != p.good && !time.Now().Before(p.until[token]) {
		p.good = "" // reuse: all tokens of the session are revoked
		return secret.Tokens{}, rejectedError{}
	}
	renewed := secret.Tokens{Access: secret.New(fmt.Sprint("access ", p.calls)), AccessExpires: time.Now().Add(time.Hour), Claims: p.claims}
	if p.rotate {
		if token == p.good {
			p.until[token] = time.Now().Add(p.grace)
		}
		p.good = fmt.Sprint("refresh ", p.calls)
		renewed.Refresh = secret.New(p.good)
	}
	if p.unverified {
		return secret.Tokens{Refresh: renewed.Refresh}, unverifiedError{}
	}
	return renewed, nil
}

// begin counts a call with a refresh token of the tested session.
func (p *provider) begin(token string) (latency time.Duration, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if token != p.good && !p.used[token] {
		return 0, false
	}
	p.calls++
	p.used[token] = true
	return p.latency, true
}

func (p *provider) setUnverified(unverified bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unverified = unverified
}

func (p *provider) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

type rejectedError struct{}

func (rejectedError) Error() string { return "invalid_grant" }
func (rejectedError) Unwrap() error { return contract.ErrRejected }

type busyError struct{}

func (busyError) Error() string { return "429" }
func (busyError) Unwrap() error {
	return &contract.Error{Kind: contract.ErrRateLimited, RetryAfter: 7 * time.Second}
}

// inBubble runs a test in synthetic time, with p as its provider.
func inBubble(t *testing.T, p *provider, test func(t *testing.T, f *fixture, j jar)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *settings) { c.refresh.Refresher, c.Now, c.IdleTimeout = p, time.Now, 3*time.Hour })
		first := tokens(1, time.Now())
		p.mu.Lock()
		p.good, p.used, p.until = first.Refresh.Reveal(), map[string]bool{}, map[string]time.Time{}
		p.mu.Unlock()
		test(t, f, f.login(t, first))
	})
}

// request makes one API call: it opens, refreshes and commits. It returns the access
// token.
func (f *fixture) request(tb testing.TB, j jar) (string, http.Header, error) {
	tb.Helper()
	v, err := f.Open(j.header())
	if err != nil {
		return "", nil, err
	}
	if err := v.Refresh(tb.Context(), refresh.IfDue); err != nil {
		return "", nil, err
	}
	h := make(http.Header)
	v.Commit(headerWriter(h))
	return v.Session.Access.Reveal(), h, nil
}
