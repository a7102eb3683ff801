package cognitotest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"cognito-token-handler/test/cognitotest"
)

// strict makes all checks that a relying party should make: those of the ID token in
// OpenID Connect Core 1.0 §3.1.3.7, and those of the access token. It returns the first
// fault.
func (p *party) strict(token *oauth2.Token, nonce, sub string) error {
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return errors.New("no id_token")
	}
	id, err := p.verifier.Verify(p.t.Context(), raw)
	if err != nil {
		return fmt.Errorf("go-oidc: %w", err)
	}
	c := claims(p.t, raw)
	_, hasIAT := c["iat"]
	switch {
	case id.Subject == "" || sub != "" && id.Subject != sub:
		return errors.New("sub")
	case len(id.Audience) != 1:
		return errors.New("several audiences")
	case c["azp"] != nil && c["azp"] != p.srv.ClientID():
		return errors.New("azp")
	case !hasIAT || id.IssuedAt.After(p.clock.Now()):
		return errors.New("iat")
	case nonce != "" && id.Nonce != nonce:
		return errors.New("nonce")
	case nonce == "" && id.Nonce != "":
		return errors.New("nonce")
	case c["token_use"] != "id":
		return errors.New("token_use")
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		return fmt.Errorf("at_hash: %w", err)
	}
	return p.strictAccess(token.AccessToken, id.Subject)
}

func (p *party) strictAccess(raw, sub string) error {
	verifier := p.provider.Verifier(&oidc.Config{SkipClientIDCheck: true, Now: p.clock.Now})
	if _, err := verifier.Verify(p.t.Context(), raw); err != nil {
		return fmt.Errorf("access token: go-oidc: %w", err)
	}
	c := claims(p.t, raw)
	for claim, want := range map[string]string{"sub": sub, "token_use": "access", "client_id": p.srv.ClientID()} {
		if c[claim] != want {
			return errors.New("access token: " + claim)
		}
	}
	return nil
}

// idFaults maps each fault to a part of the error that strict returns for it.
var idFaults = map[string]string{
	"invalid-iss": "issued by a different provider", "missing-iss": "issued by a different provider",
	"missing-sub": "sub", "empty-sub": "sub",
	"invalid-aud": "expected audience", "missing-aud": "expected audience",
	"extra-aud": "several audiences", "invalid-azp": "azp",
	"missing-iat": "iat", "future-iat": "iat",
	"missing-exp": "expired", "expired": "expired", "future-nbf": "before the nbf",
	"nonce-invalid": "nonce", "nonce-empty": "nonce", "missing-nonce": "nonce",
	"invalid-token-use": "token_use", "missing-token-use": "token_use",
	"invalid-athash":   "at_hash",
	"idtoken-sig-none": "unexpected signature algorithm", "sig-hs256-client-secret": "unexpected signature algorithm",
	"sig-hs256-public-key": "unexpected signature algorithm",
	"invalid-sig-rs256":    "failed to verify signature", "foreign-key": "failed to verify signature", "unknown-kid": "failed to verify signature",
	"not-a-jwt": "malformed jwt", "missing-id-token": "no id_token",
	"kid-absent-multiple-jwks": "",
}

var accessFaults = map[string]string{
	"access-invalid-iss": "issued by a different provider", "access-token-use-id": "access token: token_use",
	"access-missing-token-use": "access token: token_use", "access-invalid-client-id": "access token: client_id",
	"access-missing-client-id": "access token: client_id", "access-invalid-sub": "access token: sub", "access-missing-sub": "access token: sub",
	"access-expired": "expired", "access-missing-exp": "expired",
	"access-invalid-sig-rs256": "failed to verify signature", "access-foreign-key": "failed to verify signature",
	"access-sig-none": "unexpected signature algorithm", "access-opaque": "malformed jwt",
}

var refreshFaults = map[string]string{
	"refresh-token-invalid-issuer": "issued by a different provider", "refresh-token-invalid-sub": "sub",
	"refresh-token-invalid-aud": "expected audience", "refresh-token-invalid-nonce": "nonce", "refresh-token-expired": "expired",
	"refresh-token-invalid-sig": "failed to verify signature", "refresh-token-sig-none": "unexpected signature algorithm",
	"refresh-token-invalid-token-use": "token_use", "refresh-token-access-invalid-sub": "access token: sub",
	"refresh-token-access-invalid-sig": "access token: go-oidc",
}

// wantAll checks that the table of expected errors has exactly the faults of the
// package.
func wantAll(t *testing.T, faults []cognitotest.Fault, want map[string]string) {
	t.Helper()
	if len(faults) != len(want) {
		t.Errorf("%d faults, %d expected", len(faults), len(want))
	}
	for _, f := range faults {
		if _, ok := want[f.Name]; !ok {
			t.Errorf("no error is expected for %s", f.Name)
		}
	}
}

func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	if reason == "" && err != nil || reason != "" && (err == nil || !strings.Contains(err.Error(), reason)) {
		t.Errorf("got %v, want %q", err, reason)
	}
}

func TestLoginFaults(t *testing.T) {
	for _, table := range []struct {
		faults []cognitotest.Fault
		want   map[string]string
	}{{cognitotest.IDTokenFaults, idFaults}, {cognitotest.AccessTokenFaults, accessFaults}} {
		wantAll(t, table.faults, table.want)
		for _, f := range table.faults {
			t.Run(f.Name, func(t *testing.T) {
				p := newParty(t, cognitotest.Options{})
				wantReason(t, p.strict(p.mustLogin(), testNonce, ""), "")
				f.Apply(p.srv)
				wantReason(t, p.strict(p.mustLogin(), testNonce, ""), table.want[f.Name])
				if f.MayAccept != (table.want[f.Name] == "") {
					t.Errorf("MayAccept %v", f.MayAccept)
				}
				p.srv.Heal()
				wantReason(t, p.strict(p.mustLogin(), testNonce, ""), "")
			})
		}
	}
}

func TestRefreshFaults(t *testing.T) {
	wantAll(t, cognitotest.RefreshFaults, refreshFaults)
	for _, f := range cognitotest.RefreshFaults {
		t.Run(f.Name, func(t *testing.T) {
			p := newParty(t, cognitotest.Options{})
			f.Apply(p.srv)
			login := p.mustLogin()
			wantReason(t, p.strict(login, testNonce, ""), "")
			sub := p.srv.User("demo").Sub
			wantReason(t, p.strict(p.mustRefresh(login.RefreshToken), "", sub), refreshFaults[f.Name])
			p.srv.Heal()
			wantReason(t, p.strict(p.mustRefresh(login.RefreshToken), "", sub), "")
		})
	}
}

func TestOutages(t *testing.T) {
	all := slices.Concat(cognitotest.Outages, cognitotest.TokenOutages)
	if len(all) < 30 {
		t.Fatalf("%d outages, want 30", len(all))
	}
	for _, o := range all {
		t.Run(o.Name, func(t *testing.T) {
			p := newParty(t, cognitotest.Options{})
			refresh := p.mustLogin().RefreshToken
			p.srv.Break(cognitotest.TokenRefresh, o, 1)
			token, err := p.abandonHanging(refresh, o)
			if o.EndsSession {
				p.wantRefused(err, "invalid_grant")
			}
			if err == nil && !o.MayAccept && o.Name != "redirect-307" && token.AccessToken != "" && token.TokenType == "Bearer" {
				t.Error("x/oauth2 got a usable token")
			}
			var refused *oauth2.RetrieveError
			if errors.As(err, &refused) && refused.ErrorCode != "" && !strings.Contains(refused.ErrorDescription+string(refused.Body), cognitotest.Canary) {
				t.Errorf("no canary in %v", err)
			}
			p.mustRefresh(refresh) // the outage ended after one request
		})
	}
}

// abandonHanging refreshes, and cancels the request when it has arrived, if it hangs.
func (p *party) abandonHanging(refresh string, o cognitotest.Outage) (*oauth2.Token, error) {
	p.t.Helper()
	if !o.Hangs {
		return p.refresh(refresh)
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	done := make(chan error)
	go func() {
		_, err := p.oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
		done <- err
	}()
	p.srv.Await(p.t, cognitotest.TokenRefresh, 1)
	cancel()
	return nil, <-done
}

func TestRedirectedCountsClientsThatFollow(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	refresh := p.mustLogin().RefreshToken
	p.srv.Break(cognitotest.TokenAny, cognitotest.Redirected(), 0)
	if _, err := p.refresh(refresh); err == nil {
		t.Error("no error")
	}
	// x/oauth2 with Go's default client follows the redirect and sends the token along.
	if p.srv.Count(cognitotest.Elsewhere) != 1 || p.srv.LastForm(cognitotest.Elsewhere).Get("refresh_token") != refresh {
		t.Error("the client did not follow the redirect")
	}
}

func TestBreakOtherEndpoints(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	p.srv.Break(cognitotest.Discovery, cognitotest.EditJSON("issuer-mismatch", func(body map[string]any) { body["issuer"] = "https://evil.example.com" }), 0)
	if _, err := oidc.NewProvider(t.Context(), p.srv.Issuer()); err == nil {
		t.Error("discovery-issuer-mismatch was accepted")
	}
	p.srv.Mend(cognitotest.Discovery)
	if _, err := oidc.NewProvider(t.Context(), p.srv.Issuer()); err != nil {
		t.Error(err)
	}
	token := p.mustLogin()
	p.srv.Break(cognitotest.JWKS, cognitotest.Reset(), 0)
	if _, err := p.verifier.Verify(t.Context(), idToken(t, token)); err == nil {
		t.Error("verified without keys")
	}
	p.srv.Mend(cognitotest.JWKS)
	// A new verifier is used, because go-oidc answers waiting callers before it discards
	// a failed fetch, so that the next call may still receive the old error.
	fresh, err := oidc.NewProvider(t.Context(), p.srv.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.Verifier(&oidc.Config{ClientID: p.srv.ClientID()}).Verify(t.Context(), idToken(t, token)); err != nil {
		t.Error(err)
	}
}

func TestGate(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	refresh := p.mustLogin().RefreshToken
	gate := p.srv.Hold(cognitotest.TokenRefresh)
	answers := make(chan error)
	for range 3 {
		go func() { _, err := p.refresh(refresh); answers <- err }()
	}
	gate.Await(t, 3)
	select {
	case err := <-answers:
		t.Fatalf("a request passed the closed gate: %v", err)
	default:
	}
	gate.Open()
	for range 3 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	p.mustRefresh(refresh)
}
