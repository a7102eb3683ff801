package cognito_test

import (
	"context"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// body is an outage that changes the answers to code and refresh grants.
func body(edit func(map[string]any)) func(*party) {
	return func(p *party) { p.pool.Break(cognitotest.TokenAny, cognitotest.EditJSON("edited", edit), 0) }
}

func claim(name string, value func(now time.Time) any) func(*party) {
	return func(p *party) {
		p.pool.EditIDToken(func(token *cognitotest.Token) { token.Claims[name] = value(p.clock.Now()) })
	}
}

func ahead(d time.Duration) func(time.Time) any {
	return func(now time.Time) any { return now.Add(d).Unix() }
}

func text(value string) func(time.Time) any { return func(time.Time) any { return value } }

func fault(faults []cognitotest.Fault, name string) func(*party) {
	return func(p *party) {
		for _, f := range faults {
			if f.Name == name {
				f.Apply(p.pool)
				return
			}
		}
		p.t.Fatalf("there is no fault %q", name)
	}
}

// neverValid are answers that no later look can make valid.
var neverValid = map[string]func(*party){
	"forged":               fault(cognitotest.IDTokenFaults, "foreign-key"),
	"unsigned":             fault(cognitotest.IDTokenFaults, "idtoken-sig-none"),
	"access token, forged": fault(cognitotest.AccessTokenFaults, "access-foreign-key"),
	"another user":         claim("sub", text("11111111-2222-4333-8444-555555555555")),
	"another issuer":       claim("iss", text("https://evil.example.com/pool")),
	"another client":       claim("aud", text("another-client")),
	"another nonce":        claim("nonce", text("another-nonce")),
	"mac":                  body(func(b map[string]any) { b["token_type"] = "mac" }),
	"type is a number":     body(func(b map[string]any) { b["token_type"] = 5 }),
	"empty access token":   body(func(b map[string]any) { b["access_token"] = "" }),
	"no access token":      body(func(b map[string]any) { delete(b, "access_token") }),
	"access token is null": body(func(b map[string]any) { b["access_token"] = nil }),
	"contradicts itself":   body(func(b map[string]any) { b["error"] = "invalid_grant" }),
}

// TestAnswersRefusedForGoodLeaveNoRefreshToken checks that the refresh token of an answer
// that is never used is revoked, at a login and at a refresh: it would stay valid for 30
// days, and nobody would know it.
func TestAnswersRefusedForGoodLeaveNoRefreshToken(t *testing.T) {
	for name, spoil := range neverValid {
		t.Run(name, func(t *testing.T) {
			if name != "another user" { // whom a login cannot know
				p, metrics := countedParty(t, cognitotest.Options{Rotation: true})
				spoil(p)
				if _, err := p.login(); err == nil || p.pool.Living("demo") != 0 {
					t.Errorf("login: %v, %d logins live on", err, p.pool.Living("demo"))
				}
				wantDiscarded(t, metrics, 1, 0)
			}
			p, metrics := countedParty(t, cognitotest.Options{Rotation: true})
			previous := p.mustLogin()
			spoil(p)
			tokens, err := p.Refresh(t.Context(), previous)
			if err == nil || tokens != (secret.Tokens{}) || p.pool.Living("demo") != 0 {
				t.Errorf("refresh: %v, with tokens %v, %d logins live on", err, tokens != (secret.Tokens{}), p.pool.Living("demo"))
			}
			p.wantNoLeak(err)
			wantDiscarded(t, metrics, 1, 0)
		})
	}
}

// notYetValid are answers that may be valid when the clocks agree or the keys are there.
var notYetValid = map[string]func(*party){
	"iat ahead":       claim("iat", ahead(90*time.Second)),
	"auth_time ahead": claim("auth_time", ahead(90*time.Second)),
	"nbf ahead":       claim("nbf", ahead(time.Hour)),
	"expired":         claim("exp", ahead(-2*time.Minute)),
	"unknown key":     fault(cognitotest.IDTokenFaults, "unknown-kid"),
	"access token expired": func(p *party) {
		p.pool.EditAccessToken(func(token *cognitotest.Token) { token.Claims["exp"] = p.clock.Now().Add(-2 * time.Minute).Unix() })
	},
	"no keys": func(p *party) {
		p.pool.RotateKeys()
		p.pool.Break(cognitotest.JWKS, cognitotest.Reset(), 0)
		p.SetSleep(func(context.Context, time.Duration) error { return context.DeadlineExceeded })
	},
}

// TestRotatedTokenOfAnUnverifiedAnswerIsKept checks an answer that cannot be verified yet:
// with rotation and no grace it has the only refresh token that still works. That token is
// returned for the next refresh, and nothing else of the answer.
func TestRotatedTokenOfAnUnverifiedAnswerIsKept(t *testing.T) {
	for name, spoil := range notYetValid {
		t.Run(name, func(t *testing.T) {
			for _, rotation := range []bool{true, false} {
				p, metrics := countedParty(t, cognitotest.Options{Rotation: rotation, RevokeFamilyOnReuse: true})
				previous := p.mustLogin()
				p.pool.Break(cognitotest.TokenRefresh, cognitotest.EditJSON("expiry", func(b map[string]any) { b["refresh_expires_in"] = 1800 }), 0)
				spoil(p)
				kept, err := p.Refresh(t.Context(), previous)
				if err == nil {
					t.Fatal("accepted")
				}
				want := secret.Tokens{}
				if rotation {
					want.Refresh, want.RefreshExpires = kept.Refresh, p.clock.Now().Add(30*time.Minute)
				}
				if kept != want || rotation == (kept.Refresh.IsZero() || kept.Refresh.Equal(previous.Refresh)) {
					t.Errorf("rotation %v: a new refresh token %v, or more than that", rotation, !kept.Refresh.IsZero())
				}
				p.wantNoLeak(err)
				wantDiscarded(t, metrics, 0, 0)
				p.pool.Heal()
				p.pool.Mend(cognitotest.TokenRefresh)
				p.pool.Mend(cognitotest.JWKS)
				p.clock.Advance(2 * time.Second)
				if rotation {
					previous.Refresh = kept.Refresh
				}
				p.mustRefresh(previous)
			}
		})
	}
}

// TestErrorOfAnUnverifiedAnswer checks that callers can tell an answer that may become
// valid from one that never will.
func TestErrorOfAnUnverifiedAnswer(t *testing.T) {
	for name, spoil := range notYetValid {
		p := connectedParty(t, cognitotest.Options{})
		previous := p.mustLogin()
		spoil(p)
		_, err := p.Refresh(t.Context(), previous)
		want := provider.ErrUnverified
		if name == "no keys" {
			want = provider.ErrUnavailable
		}
		p.wantKind(err, want)
	}
}
