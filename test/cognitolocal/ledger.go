package cognitolocal

import (
	"slices"
	"sync"
)

// ledger records which tokens belong to one sign-in and which of them are revoked. cognito-local keeps refresh tokens only, and its
// access tokens do not name the refresh token with which they were issued.
type ledger struct {
	mu       sync.Mutex
	families map[string]*family // refresh token → its family
	access   map[string]*family // jti of an access token → its family
	tokens   []string           // every token ever issued, oldest first
}

// family is one sign-in: a refresh token and all access tokens that were issued with it.
type family struct {
	sub     string
	revoked bool
}

func newLedger() *ledger {
	return &ledger{families: map[string]*family{}, access: map[string]*family{}}
}

// issued records an access token of the refresh token's family, and reports whether that family is not revoked.
func (l *ledger) issued(refreshToken, sub, jti string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.families[refreshToken]
	if f == nil {
		f = &family{sub: sub}
		l.families[refreshToken] = f
	}
	l.access[jti] = f
	return !f.revoked
}

// keep records the tokens of an answer, so that a test can look for them where they must not be.
func (l *ledger) keep(answer tokenAnswer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, token := range []string{answer.IDToken, answer.AccessToken, answer.RefreshToken} {
		if token != "" {
			l.tokens = append(l.tokens, token)
		}
	}
}

func (l *ledger) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.tokens)
}

// revoke revokes the family of a refresh token and reports whether it was valid until then.
func (l *ledger) revoke(refreshToken string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.families[refreshToken]
	if f == nil || f.revoked {
		return false
	}
	f.revoked = true
	return true
}

func (l *ledger) revokeUser(sub string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.families {
		if f.sub == sub {
			f.revoked = true
		}
	}
}

// alive reports whether the access token was issued here and its family is not revoked.
func (l *ledger) alive(jti string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.access[jti]
	return f != nil && !f.revoked
}

// counter counts by name.
type counter struct {
	mu     sync.Mutex
	counts map[string]int // grant_type → requests
}

func newCounter() *counter { return &counter{counts: map[string]int{}} }

func (c *counter) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[name]++
}

func (c *counter) count(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[name]
}
