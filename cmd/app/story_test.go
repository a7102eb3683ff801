package app_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/useragent"
)

// drive goes through every flow, and returns the browser and the tokens, codes,
// states and secrets that came up.
func (s *service) drive() (ua *useragent.UA, planted []string) {
	s.tb.Helper()
	ua = s.login()
	for _, name := range []string{"code", "code_verifier", "client_secret"} {
		planted = append(planted, s.pool.LastForm(cognitotest.TokenCode).Get(name))
	}
	for _, r := range ua.History() {
		planted = append(planted, r.Query().Get("state"), r.Query().Get("nonce"))
		for _, line := range r.Header.Values("Set-Cookie") {
			if c, err := http.ParseSetCookie(line); err == nil {
				planted = append(planted, c.Value)
			}
		}
	}
	ua.Fetch(http.MethodGet, "/auth/session", "")
	ua.Fetch(http.MethodPost, "/auth/refresh", "")
	planted = append(planted, s.pool.LastForm(cognitotest.TokenRefresh).Get("refresh_token"))
	ua.Fetch(http.MethodGet, "/api/me?q=planted-query-1", "")
	ua.Fetch(http.MethodGet, "/down/?q=planted-query-1", "")
	ua.Fetch(http.MethodGet, "/api/refused", "")
	ua.Fetch(http.MethodPost, "/storage/uploads", `{"key":"a","content_type":"text/plain","size":1}`, jsonBody)
	s.pool.Break(cognitotest.TokenRefresh, cognitotest.OAuthError("invalid_request"), 1)
	ua.Fetch(http.MethodPost, "/auth/refresh", "")
	ua.Navigate("/auth/callback?code=planted-code-1&state=0planted-state-1")
	ua.Navigate("/auth/callback?error=access_denied&error_description=" + cognitotest.Canary)
	ua.Fetch(http.MethodPost, "/auth/logout", "")
	planted = append(planted, s.api.seen()...)
	planted = append(planted, "planted-query-1", "planted-code-1", "planted-state-1", cognitotest.Canary, cognitotest.DefaultSecret, "planted-aws-secret-key", "MDEyMzQ1Njc4OWFi")
	return ua, secretParts(s.tb, planted)
}

// secretParts are what to look for: secrets, and the parts of tokens.
func secretParts(tb testing.TB, planted []string) []string {
	tb.Helper()
	found, parts := 0, []string(nil)
	for _, value := range planted {
		if len(value) < 8 {
			continue
		}
		found++
		parts = append(parts, value)
		for part := range strings.SplitSeq(value, ".") {
			if len(part) >= 20 {
				parts = append(parts, part)
			}
		}
	}
	if found < 15 {
		tb.Errorf("only %d secrets were planted", found)
	}
	return parts
}

// TestNoSecretLeavesTheService drives every flow and then looks for tokens,
// codes, states and secrets in all that a script could have read and in all
// that the service logged, at level debug.
func TestNoSecretLeavesTheService(t *testing.T) {
	s := start(t, cognitotest.Options{Rotation: true})
	ua, planted := s.drive()
	for _, part := range planted {
		if s.log.Contains(part) {
			t.Errorf("the log holds %.12s…", part)
		}
		if part == cognitotest.Canary || strings.HasPrefix(part, "planted") {
			continue // in addresses that this test typed itself
		}
		for _, seen := range ua.ScriptVisible() {
			if strings.Contains(seen.Text, part) && !strings.HasPrefix(seen.Where, "address") {
				t.Errorf("a script reads %.12s… in %s", part, seen.Where)
			}
		}
	}
}

// TestParallelRequestsWithAnExpiredToken is the promise of the README: 50
// requests, one refresh, all answered, the browser at the newest generation.
func TestParallelRequestsWithAnExpiredToken(t *testing.T) {
	// The login's tokens come from a provider whose clock is behind by their
	// lifetime, so they have ended when they arrive; those of the refresh do not.
	var behind atomic.Int64
	behind.Store(int64(time.Hour))
	clock := func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) }
	s := start(t, cognitotest.Options{Rotation: true, RevokeFamilyOnReuse: true, AccessTTL: time.Hour, Clock: clock})
	ua := s.login()
	before := len(s.api.seen())
	behind.Store(0)

	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if r := ua.Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusOK {
				t.Errorf("%d %s", r.Status, r.Body)
			}
		})
	}
	wg.Wait()
	if n := s.pool.Count(cognitotest.TokenRefresh); n != 1 {
		t.Errorf("%d refreshes", n)
	}
	tokens := s.api.seen()[before:]
	for _, token := range tokens {
		if token == "" || token != tokens[0] {
			t.Fatal("the requests went out with different tokens")
		}
	}
	if len(tokens) != 50 {
		t.Errorf("the API saw %d requests", len(tokens))
	}
	if r := ua.Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusOK || len(r.Header["Set-Cookie"]) != 0 {
		t.Errorf("the browser is not at the newest generation: %d, %v", r.Status, r.Header["Set-Cookie"])
	}
}
