package cognito_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// RemoteKeySet of go-oidc fetches the keys for each of these tokens.
func TestForgedKeyIDsMakeFewFetches(t *testing.T) {
	t.Parallel()
	p := connectedParty(t, cognitotest.Options{})
	n := 0
	p.pool.EditIDToken(func(token *cognitotest.Token) {
		n++
		token.Forge()
		token.Header["kid"] = "forged-" + strconv.Itoa(n)
	})
	for range 100 {
		if _, err := p.login(); err == nil {
			t.Fatal("a forged kid was accepted")
		}
	}
	if got := p.pool.Count(cognitotest.JWKS); got > 5 {
		t.Errorf("%d fetches for 100 forged kids, want at most 5", got)
	}

	// Known keys still verify, and new keys are fetched after the pause.
	p.pool.Heal()
	tokens := p.mustLogin()
	p.pool.RotateKeys()
	_, err := p.login()
	p.wantKind(err, provider.ErrUnavailable)
	p.clock.Advance(10 * time.Second)
	p.mustRefresh(tokens)
}

func TestSignaturesWithAKnownKeyMakeFewFetchesToo(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	for _, fault := range cognitotest.IDTokenFaults {
		if fault.Name == "invalid-sig-rs256" {
			fault.Apply(p.pool)
		}
	}
	for range 20 {
		if _, err := p.login(); err == nil {
			t.Fatal("accepted")
		}
	}
	if got := p.pool.Count(cognitotest.JWKS); got > 5 {
		t.Errorf("%d fetches", got)
	}
}

func TestRotationUnderLoadIsOneFetch(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	tokens := p.mustLogin()
	p.pool.RotateKeys()
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			if _, err := p.Refresh(t.Context(), tokens); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := p.pool.Count(cognitotest.JWKS); got != 2 {
		t.Errorf("%d fetches, want 2: at the start and for the rotation", got)
	}
}

// After a failure there is a pause of its own, which a success ends.
func TestFetchesDuringAndAfterAnOutage(t *testing.T) {
	t.Parallel()
	p := connectedParty(t, cognitotest.Options{})
	tokens := p.mustLogin()
	p.SetSleep(func(context.Context, time.Duration) error { return context.DeadlineExceeded })
	p.pool.EditIDToken((*cognitotest.Token).Forge)
	p.pool.Break(cognitotest.JWKS, cognitotest.Text("down", 503, "text/plain", ""), 0)
	tries := func(n int, apart time.Duration) int {
		before := p.pool.Count(cognitotest.JWKS)
		for range n {
			_, err := p.Refresh(t.Context(), tokens)
			if err == nil {
				t.Fatal("accepted")
			}
			p.clock.Advance(apart)
		}
		return p.pool.Count(cognitotest.JWKS) - before
	}
	if got := tries(20, 0); got != 1 {
		t.Errorf("%d fetches at once, want 1", got)
	}
	if got := tries(20, 500*time.Millisecond); got < 9 || got > 11 {
		t.Errorf("%d fetches in ten seconds, want about 10", got)
	}
	p.pool.Mend(cognitotest.JWKS)
	p.clock.Advance(time.Minute)
	if got := tries(60, 500*time.Millisecond); got > 9 {
		t.Errorf("%d fetches in half a minute after the outage, want 5 and one each ten seconds", got)
	}
}

// TestKeyUnderAnotherName checks that a token is accepted whose kid names another key
// than the one that signed it, or none, and that each such pair is logged once.
func TestKeyUnderAnotherName(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	var kid string
	p.pool.EditAccessToken(func(token *cognitotest.Token) { kid, _ = token.Header["kid"].(string) })
	p.pool.EditIDToken(func(token *cognitotest.Token) { token.Header["kid"] = kid })
	p.mustRefresh(p.mustRefresh(p.mustLogin()))
	const warning = "a token of the provider names another key than the one that signed it; it was accepted, because both are the issuer's"
	if n := len(p.log.RecordsOf(t, warning)); n != 1 {
		t.Errorf("it was logged %d times, want once:\n%s", n, p.log)
	}
	p.pool.EditIDToken(func(token *cognitotest.Token) { token.Header["kid"] = "no-such-key\n" + strings.Repeat("x", 1000) })
	p.mustLogin()
	if n := len(p.log.RecordsOf(t, warning)); n != 2 || len(p.log.String()) > 2000 {
		t.Errorf("it was logged %d times, want twice and shortened:\n%s", n, p.log)
	}
	if n := p.pool.Count(cognitotest.JWKS); n != 1 {
		t.Errorf("the keys were fetched %d times, want once", n)
	}
}

// Known keys verify without the provider.
func TestKnownKeysNeedNoFetch(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	p.pool.Break(cognitotest.JWKS, cognitotest.Reset(), 0)
	p.mustRefresh(p.mustLogin())
	if got := p.pool.Count(cognitotest.JWKS); got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
}

// A token that cannot be verified now does not end the session.
func TestUnreachableKeysKeepTheSession(t *testing.T) {
	t.Parallel()
	for _, o := range cognitotest.Outages {
		t.Run(o.Name, func(t *testing.T) {
			t.Parallel()
			duringConnected(t, o, func(t *testing.T, p *party) {
				previous := p.mustLogin()
				p.pool.RotateKeys()
				p.pool.Break(cognitotest.JWKS, o, 0)
				p.SetSleep(func(context.Context, time.Duration) error { return context.DeadlineExceeded })
				_, err := p.Refresh(t.Context(), previous)
				p.wantKind(err, provider.ErrUnavailable)
				_, err = p.login()
				p.wantKind(err, provider.ErrUnavailable)
				p.pool.Mend(cognitotest.JWKS)
				p.pass(time.Second)
				p.mustRefresh(previous)
			})
		})
	}
}

// The new refresh token is in the answer that cannot be verified yet, and the old one
// is revoked (README "Refresh").
func TestRefreshOutlastsAnOutageOfTheKeys(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{Rotation: true})
	first := p.mustLogin()
	p.pool.RotateKeys()
	p.pool.Break(cognitotest.JWKS, cognitotest.Reset(), 0)
	pauses := 0
	p.SetSleep(func(_ context.Context, d time.Duration) error {
		p.clock.Advance(d)
		if pauses++; pauses == 3 {
			p.pool.Mend(cognitotest.JWKS)
		}
		return nil
	})
	second := p.mustRefresh(first)
	if second.Refresh.Equal(first.Refresh) {
		t.Error("the refresh token is the old one")
	}
	if n := p.pool.Count(cognitotest.TokenRefresh); n != 1 || pauses != 3 {
		t.Errorf("%d requests and %d pauses, want 1 and 3", n, pauses)
	}
	p.mustRefresh(second)
}

// The limit on fetches must not end a session either.
func TestRefreshOutlastsTheLimitOnFetches(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{Rotation: true})
	first := p.mustLogin()
	p.pool.EditIDToken((*cognitotest.Token).Forge)
	for range 10 {
		if _, err := p.login(); err == nil {
			t.Fatal("accepted")
		}
	}
	p.pool.Heal()
	p.pool.RotateKeys()
	p.SetSleep(func(_ context.Context, d time.Duration) error {
		p.clock.Advance(d)
		return nil
	})
	p.mustRefresh(p.mustRefresh(first))
	if n := p.pool.Count(cognitotest.TokenRefresh); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

func TestRefreshGivesUpAtItsDeadline(t *testing.T) {
	for name, bounded := range map[string]bool{"the caller's": true, "its own": false} {
		t.Run(name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{Rotation: true}, func(cfg *cognito.Config) { cfg.Timeout = 10 * time.Second })
			previous := p.mustLogin()
			p.pool.RotateKeys()
			p.pool.Break(cognitotest.JWKS, cognitotest.Reset(), 0)
			p.SetSleep(func(ctx context.Context, _ time.Duration) error {
				deadline, ok := ctx.Deadline()
				if !ok {
					t.Error("without a deadline it would never end")
				}
				if left := time.Until(deadline); bounded != (left > time.Minute) {
					t.Errorf("%s are left", left)
				}
				return context.DeadlineExceeded
			})
			ctx := t.Context()
			if bounded {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Hour)
				defer cancel()
			}
			_, err := p.Refresh(ctx, previous)
			p.wantKind(err, provider.ErrUnavailable)
		})
	}
}

// An invalid answer is not verified again.
func TestRefreshDoesNotWaitForWhatWillNotPass(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	previous := p.mustLogin()
	p.SetSleep(func(context.Context, time.Duration) error {
		t.Error("it waits")
		return context.DeadlineExceeded
	})
	for _, fault := range cognitotest.RefreshFaults {
		fault.Apply(p.pool)
		if _, err := p.Refresh(t.Context(), previous); err == nil {
			t.Errorf("%s: accepted", fault.Name)
		}
		p.pool.Heal()
		p.clock.Advance(10 * time.Second)
	}
}

func keysWith(change func(keys []any) []any) cognitotest.Outage {
	return cognitotest.EditJSON("keys", func(body map[string]any) {
		keys, _ := body["keys"].([]any)
		body["keys"] = change(keys)
	})
}

func eachKey(name string, value any) cognitotest.Outage {
	return keysWith(func(keys []any) []any {
		for _, key := range keys {
			if fields, ok := key.(map[string]any); ok {
				fields[name] = value
			}
		}
		return keys
	})
}

func TestKeySets(t *testing.T) {
	for _, c := range []struct {
		name string
		keys cognitotest.Outage
		ok   bool
	}{
		// Keys of other types are ignored (RFC 7517 §5).
		{"further kinds", keysWith(func(keys []any) []any {
			return append([]any{
				map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "kid": "new", "pub": "AAAA"},
				map[string]any{"kty": "OKP", "crv": "Ed448", "kid": "ed", "x": "AAAA"},
				map[string]any{"kty": "RSA", "kid": "broken"},
				"text", nil, 7,
			}, keys...)
		}), true},
		{"without use and alg", keysWith(func(keys []any) []any {
			for _, key := range keys {
				if fields, ok := key.(map[string]any); ok {
					delete(fields, "use")
					delete(fields, "alg")
				}
			}
			return keys
		}), true},
		{"for encryption", eachKey("use", "enc"), false},
		{"for another algorithm", eachKey("alg", "PS256"), false},
		{"none", keysWith(func([]any) []any { return nil }), false},
		{"an HMAC key", keysWith(func([]any) []any {
			return []any{map[string]any{"kty": "oct", "kid": "k", "alg": "HS256", "k": "AAAA"}}
		}), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParty(t, cognitotest.Options{})
			p.pool.Break(cognitotest.JWKS, c.keys, 0)
			err := p.Connect(t.Context())
			if !c.ok {
				p.wantKind(err, provider.ErrInvalidResponse)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p.mustLogin()
		})
	}
}

func TestCallerThatLeavesWhileKeysAreFetched(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	previous := p.mustLogin()
	p.pool.RotateKeys()
	gate := p.pool.Hold(cognitotest.JWKS)
	ctx, cancel := context.WithCancel(t.Context())
	left, stayed := make(chan error), make(chan error)
	refresh := func(ctx context.Context, out chan<- error) {
		_, err := p.Refresh(ctx, previous)
		out <- err
	}
	go refresh(ctx, left)
	gate.Await(t, 1)
	go refresh(t.Context(), stayed)
	p.pool.Await(t, cognitotest.TokenRefresh, 2)
	cancel()
	p.wantKind(<-left, provider.ErrUnavailable)
	gate.Open()
	if err := <-stayed; err != nil {
		t.Errorf("the other caller failed too: %v", err)
	}
	p.wantNoLeak(nil, secret.New(previous.Refresh.Reveal()))
}
