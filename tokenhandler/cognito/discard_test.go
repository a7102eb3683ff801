package cognito_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
)

// countedParty returns a connected party and its metrics.
func countedParty(t *testing.T, opts cognitotest.Options) (*party, *cognito.Metrics) {
	t.Helper()
	metrics := cognito.NewMetrics(prometheus.NewRegistry())
	return connectedParty(t, opts, func(cfg *cognito.Config) { cfg.Metrics = metrics }), metrics
}

func wantDiscarded(t *testing.T, m *cognito.Metrics, revoked, failed float64) {
	t.Helper()
	if r, f := testutil.ToFloat64(m.Discarded.WithLabelValues("revoked")), testutil.ToFloat64(m.Discarded.WithLabelValues("failed")); r != revoked || f != failed {
		t.Errorf("%v revoked and %v failed, want %v and %v", r, f, revoked, failed)
	}
}

// TestFaultyAnswersLeaveNoLogin checks that the refresh token of an invalid answer is
// revoked: it would stay valid for 30 days.
func TestFaultyAnswersLeaveNoLogin(t *testing.T) {
	for name, spoil := range map[string]func(*party){
		"nonce": func(p *party) {
			p.pool.EditIDToken(func(token *cognitotest.Token) { token.Claims["nonce"] = "another-nonce" })
		},
		"access token": func(p *party) {
			p.pool.EditAccessToken(func(token *cognitotest.Token) { token.Claims["client_id"] = "another-client" })
		},
		"token type": func(p *party) {
			p.pool.Break(cognitotest.TokenCode, cognitotest.EditJSON("mac", func(body map[string]any) { body["token_type"] = "mac" }), 0)
		},
		"no keys": func(p *party) {
			p.pool.RotateKeys()
			p.pool.Break(cognitotest.JWKS, cognitotest.Reset(), 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, metrics := countedParty(t, cognitotest.Options{})
			spoil(p)
			if _, err := p.login(); err == nil {
				t.Fatal("accepted")
			}
			if p.pool.Count(cognitotest.TokenCode+".ok") != 1 || p.pool.Living("demo") != 0 {
				t.Errorf("%d logins live on", p.pool.Living("demo"))
			}
			wantDiscarded(t, metrics, 1, 0)
		})
	}
}

func TestDiscardThatFails(t *testing.T) {
	p, metrics := countedParty(t, cognitotest.Options{})
	p.pool.EditIDToken(func(token *cognitotest.Token) { token.Claims["nonce"] = "another-nonce" })
	p.pool.Break(cognitotest.Revoke, cognitotest.Reset(), 0)
	_, err := p.login()
	p.wantKind(err, provider.ErrInvalidResponse) // the error is the first failure
	wantDiscarded(t, metrics, 0, 1)
	if !p.log.Contains("not revoked") {
		t.Error("nothing is logged")
	}
}

// TestCallerLeavesItsLogin checks a browser that leaves before the tokens arrive.
func TestCallerLeavesItsLogin(t *testing.T) {
	p, metrics := countedParty(t, cognitotest.Options{})
	grant := p.grant()
	gate := p.pool.Hold(cognitotest.TokenCode)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := p.Exchange(ctx, grant)
		failed <- err
	}()
	gate.Await(t, 1)
	cancel()
	gate.Open()
	p.wantKind(<-failed, provider.ErrUnavailable)
	if p.pool.Count(cognitotest.TokenCode+".ok") != 1 || p.pool.Living("demo") != 0 {
		t.Errorf("%d logins live on of %d", p.pool.Living("demo"), p.pool.Count(cognitotest.TokenCode+".ok"))
	}
	wantDiscarded(t, metrics, 1, 0)
}

// TestExchangeEndsByItself checks that an exchange without its caller is bounded.
func TestExchangeEndsByItself(t *testing.T) {
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		grant := c.grant()
		c.pool.Break(cognitotest.TokenCode, cognitotest.Hang(), 0)
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := c.Exchange(ctx, grant)
			failed <- err
		}()
		time.Sleep(time.Second) // until the request hangs
		if n := c.pool.Count(cognitotest.TokenCode); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		cancel()
		c.wantKind(<-failed, provider.ErrUnavailable)
		if took := time.Since(start); took != c.cfg.Timeout {
			t.Errorf("it took %s, want %s", took, c.cfg.Timeout)
		}
	})
}

// TestRefreshedForAnotherUser checks that tokens of another user or issuer end the
// session and are revoked (OpenID Connect Core 1.0 §12.2).
func TestRefreshedForAnotherUser(t *testing.T) {
	for _, fault := range []string{"sub", "iss"} {
		for _, rotation := range []bool{false, true} {
			p, metrics := countedParty(t, cognitotest.Options{Rotation: rotation})
			previous := p.mustLogin()
			p.pool.EditIDToken(func(token *cognitotest.Token) { token.Claims[fault] = "https://another.example" })
			_, err := p.Refresh(t.Context(), previous)
			p.wantKind(err, provider.ErrRejected)
			if p.pool.Living("demo") != 0 {
				t.Errorf("%s, rotation %v: the login lives on", fault, rotation)
			}
			wantDiscarded(t, metrics, 1, 0)
		}
	}
}

// TestPassingFailuresOfARefreshDiscardNothing checks that the session goes on.
func TestPassingFailuresOfARefreshDiscardNothing(t *testing.T) {
	for _, o := range []cognitotest.Outage{
		cognitotest.Text("500", http.StatusInternalServerError, "text/plain", "x"), cognitotest.OAuthError("invalid_grant"),
		cognitotest.EditJSON("mac", func(body map[string]any) { body["token_type"] = "mac" }),
		cognitotest.Text("a refusal that names a token", http.StatusBadRequest, "application/json", `{"error":"invalid_request","refresh_token":"of-somebody"}`),
	} {
		p, metrics := countedParty(t, cognitotest.Options{})
		previous := p.mustLogin()
		p.pool.Break(cognitotest.TokenRefresh, o, 1)
		if _, err := p.Refresh(t.Context(), previous); err == nil {
			t.Error("accepted")
		}
		wantDiscarded(t, metrics, 0, 0)
		p.mustRefresh(previous)
	}
}

func TestEndOfTheRefreshToken(t *testing.T) {
	for name, c := range map[string]struct {
		field string
		value any
		want  time.Duration // 0 for unknown
	}{
		"not named":      {"unrelated", 1800, 0},
		"as Keycloak":    {"refresh_expires_in", 1800, 30 * time.Minute},
		"as others":      {"refresh_token_expires_in", 7200, 2 * time.Hour},
		"zero is never":  {"refresh_expires_in", 0, 0},
		"negative":       {"refresh_expires_in", -5, 0},
		"text":           {"refresh_expires_in", "1800.9", 30 * time.Minute},
		"no number":      {"refresh_expires_in", "soon", 0},
		"NaN":            {"refresh_expires_in", "NaN", 0},
		"absurd":         {"refresh_expires_in", 1e300, 0},
		"a list":         {"refresh_token_expires_in", []int{1}, 0},
		"ten years":      {"refresh_token_expires_in", 3650 * 86400, 3650 * 24 * time.Hour},
		"parts of one":   {"refresh_expires_in", 1.5, time.Second},
		"over ten years": {"refresh_expires_in", 3651 * 86400, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{})
			p.pool.Break(cognitotest.TokenAny, cognitotest.EditJSON("expiry", func(body map[string]any) { body[c.field] = c.value }), 0)
			check := func(got time.Time) {
				t.Helper()
				if c.want == 0 && !got.IsZero() || c.want != 0 && !got.Equal(p.clock.Now().Add(c.want)) {
					t.Errorf("got %s, want %s", got.Sub(p.clock.Now()), c.want)
				}
			}
			tokens := p.mustLogin()
			check(tokens.RefreshExpires)
			p.clock.Advance(time.Minute)
			check(p.mustRefresh(tokens).RefreshExpires)
		})
	}
}

// TestEndOfAKeptRefreshToken checks that the expiry of a refresh token stays while
// the token does, and that a new token has its own.
func TestEndOfAKeptRefreshToken(t *testing.T) {
	for _, rotation := range []bool{false, true} {
		p := connectedParty(t, cognitotest.Options{Rotation: rotation})
		tokens := p.mustLogin()
		tokens.RefreshExpires = p.clock.Now().Add(time.Hour)
		if got := p.mustRefresh(tokens).RefreshExpires; got.IsZero() != rotation || !rotation && !got.Equal(tokens.RefreshExpires) {
			t.Errorf("rotation %v: %s", rotation, got)
		}
	}
}

func TestProvidersSessionID(t *testing.T) {
	for name, c := range map[string]struct {
		claim any
		want  string
	}{
		"none": {nil, ""}, "usual": {"08a5019c-17e1-4977-8f42-65a12843ea02", "08a5019c-17e1-4977-8f42-65a12843ea02"},
		"a number": {7, ""}, "longest": {strings.Repeat("s", 255), strings.Repeat("s", 255)}, "too long": {strings.Repeat("s", 256), ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{})
			p.pool.EditIDToken(func(token *cognitotest.Token) {
				if c.claim != nil {
					token.Claims["sid"] = c.claim
				}
			})
			tokens := p.mustLogin()
			if tokens.SID != c.want {
				t.Errorf("sid %q, want %q", tokens.SID, c.want)
			}
			p.pool.EditIDToken(nil)
			if got := p.mustRefresh(tokens).SID; got != c.want {
				t.Errorf("after a refresh %q, want %q", got, c.want)
			}
		})
	}
}
