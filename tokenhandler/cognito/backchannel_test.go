package cognito_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
)

func openID(cfg *cognito.Config) { cfg.Profile = cognito.OIDC }

// logoutParty returns a client of a plain OpenID provider.
func logoutParty(t *testing.T) *party {
	t.Helper()
	return connectedParty(t, cognitotest.Options{OpenID: true}, openID)
}

// wantLogout checks that the token is accepted and names exactly these sessions.
func (p *party) wantLogout(raw, sub, sid string) {
	p.t.Helper()
	got, err := p.VerifyLogout(p.t.Context(), raw)
	if want := (provider.LogoutToken{Subject: sub, SID: sid}); err != nil || got != want {
		p.t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestVerifyLogout(t *testing.T) {
	p := logoutParty(t)
	p.wantLogout(p.pool.LogoutToken("some-sub", ""), "some-sub", "")
	p.wantLogout(p.pool.LogoutToken("", "some-sid"), "", "some-sid")
	p.wantLogout(p.pool.LogoutToken("some-sub", "some-sid"), "some-sub", "some-sid")
	for _, typ := range []any{"JWT", "jwt", "logout+JWT", "application/logout+jwt", nil} {
		p.wantLogout(p.pool.LogoutToken("some-sub", "", func(t *cognitotest.Token) {
			t.Header["typ"] = typ
			if typ == nil {
				delete(t.Header, "typ")
			}
		}), "some-sub", "")
	}
	// Within the accepted skew and age.
	for _, d := range []time.Duration{50 * time.Second, -4 * time.Minute} {
		p.clock.Advance(d)
		raw := p.pool.LogoutToken("some-sub", "", func(t *cognitotest.Token) { t.Claims["exp"] = int64(1 << 40) })
		p.clock.Advance(-d)
		p.wantLogout(raw, "some-sub", "")
	}
}

// TestVerifyLogoutRefuses checks every fault, and that the error contains neither its
// text nor the token.
func TestVerifyLogoutRefuses(t *testing.T) {
	for _, fault := range cognitotest.LogoutFaults {
		t.Run(fault.Name, func(t *testing.T) {
			p := logoutParty(t)
			raw := p.pool.LogoutToken("some-sub", "some-sid", fault.Edit)
			token, err := p.VerifyLogout(t.Context(), raw)
			p.wantKind(err, provider.ErrInvalidResponse)
			if token != (provider.LogoutToken{}) {
				t.Errorf("%+v", token)
			}
			if strings.Contains(fmt.Sprint(err), "some-s") {
				t.Errorf("it quotes a claim: %v", err)
			}
		})
	}
}

// TestVerifyLogoutNamesTheClaim checks that the reason of a refusal names the claim,
// so that an operator finds the cure in the log.
func TestVerifyLogoutNamesTheClaim(t *testing.T) {
	names := map[string]string{
		"wrong-iss": "iss", "no-iss": "iss", "wrong-aud": "aud", "no-aud": "aud", "extra-aud": "aud",
		"no-event": "events", "empty-events": "events", "wrong-event": "events", "event-is-null": "events", "event-is-a-string": "events", "events-is-a-list": "events",
		"with-nonce": "nonce", "with-null-nonce": "nonce", "no-jti": "jti", "empty-jti": "jti",
		"no-iat": "iat", "future-iat": "iat", "old-iat": "iat", "no-exp": "provider.insecure_logout_token_without_exp", "expired": "exp", "future-nbf": "nbf",
		"no-sub-and-no-sid": "neither sub nor sid", "sub-is-a-number": "sub", "long-sub": "sub", "long-sid": "sid",
		"typ-of-an-access-token": "typ", "typ-is-a-number": "typ", "wrong-alg": "HS256",
	}
	found := 0
	for _, fault := range cognitotest.LogoutFaults {
		p := logoutParty(t)
		_, err := p.VerifyLogout(t.Context(), p.pool.LogoutToken("some-sub", "some-sid", fault.Edit))
		reason := p.failure(err, provider.ErrInvalidResponse).Reason
		if name, named := names[fault.Name]; named && !regexp.MustCompile(`\b`+regexp.QuoteMeta(name)+`\b`).MatchString(reason) {
			t.Errorf("%s: %q does not name %s", fault.Name, reason, name)
		} else if named {
			found++
		}
	}
	if found != len(names) {
		t.Errorf("%d of %d faults were tried", found, len(names))
	}
}

// TestVerifyLogoutWithoutExp checks that a token without exp is accepted if that is
// configured: for five minutes from its iat, and once.
func TestVerifyLogoutWithoutExp(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{OpenID: true}, openID, func(cfg *cognito.Config) { cfg.InsecureLogoutWithoutExp = true })
	without := func(t *cognitotest.Token) { delete(t.Claims, "exp") }
	raw, late, ages := p.pool.LogoutToken("some-sub", "", without), p.pool.LogoutToken("some-sub", "", without), p.pool.LogoutToken("some-sub", "", without)
	p.wantLogout(raw, "some-sub", "")
	p.clock.Advance(maxAge)
	p.wantLogout(late, "some-sub", "")
	for range 10 {
		_, err := p.VerifyLogout(t.Context(), raw)
		p.wantKind(err, provider.ErrInvalidResponse)
		p.clock.Advance(time.Second)
		_, err = p.VerifyLogout(t.Context(), ages)
		p.wantKind(err, provider.ErrInvalidResponse)
		p.clock.Advance(30 * time.Second)
	}
	for _, fault := range cognitotest.LogoutFaults {
		_, err := p.VerifyLogout(t.Context(), p.pool.LogoutToken("some-sub", "some-sid", fault.Edit))
		if fault.Name == "no-exp" {
			if err != nil {
				t.Errorf("%s: %v", fault.Name, err)
			}
			continue
		}
		p.wantKind(err, provider.ErrInvalidResponse)
	}
	_, err := p.VerifyLogout(t.Context(), p.pool.LogoutToken("some-sub", "", func(t *cognitotest.Token) { t.Claims["exp"] = "never" }))
	p.wantKind(err, provider.ErrInvalidResponse)
}

// maxAge is how long after its iat a logout token without exp is accepted.
const maxAge = 5 * time.Minute

// TestVerifyLogoutRefusesOtherTokens checks that an ID token and an access token of
// the same issuer and client are no logout tokens.
func TestVerifyLogoutRefusesOtherTokens(t *testing.T) {
	p := logoutParty(t)
	tokens := p.mustLogin()
	for _, raw := range []string{tokens.ID.Reveal(), tokens.Access.Reveal(), tokens.Refresh.Reveal(), "", "..", "eyJ"} {
		_, err := p.VerifyLogout(t.Context(), raw)
		p.wantKind(err, provider.ErrInvalidResponse)
	}
}

// TestVerifyLogoutOnce checks that a token cannot be sent again while it is valid.
func TestVerifyLogoutOnce(t *testing.T) {
	p := logoutParty(t)
	forever := func(t *cognitotest.Token) { t.Claims["exp"] = int64(1 << 40) }
	raw := p.pool.LogoutToken("some-sub", "", forever)
	p.wantLogout(raw, "some-sub", "")
	for range 12 {
		_, err := p.VerifyLogout(t.Context(), raw)
		p.wantKind(err, provider.ErrInvalidResponse)
		p.clock.Advance(time.Minute)
	}
	p.wantLogout(p.pool.LogoutToken("some-sub", "", forever), "some-sub", "")
}

// TestReplaysAreBounded checks that the number of remembered tokens is bounded, and
// that the newest are remembered.
func TestReplaysAreBounded(t *testing.T) {
	var r cognito.Replays
	start := time.Now()
	const many = cognito.MaxReplays + 100
	for i := range many {
		if !r.First(fmt.Sprint(i), start.Add(time.Hour+time.Duration(i)*time.Millisecond), start) {
			t.Fatalf("%d is not new", i)
		}
	}
	if n := r.Len(); n != cognito.MaxReplays {
		t.Errorf("%d are remembered", n)
	}
	if r.First(fmt.Sprint(many-1), start.Add(time.Hour), start) {
		t.Error("the newest is forgotten")
	}
	// Expired tokens are forgotten first.
	if !r.First("new", start.Add(4*time.Hour), start.Add(2*time.Hour)) || r.Len() != 1 {
		t.Errorf("%d are remembered after all have ended", r.Len())
	}
}

// TestReplaysEnd checks that an id is remembered up to its end.
func TestReplaysEnd(t *testing.T) {
	var r cognito.Replays
	start := time.Now()
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Hour - 1, false}, {time.Hour, true}, {2*time.Hour - 1, false}} {
		if got := r.First("id", start.Add(c.after+time.Hour), start.Add(c.after)); got != c.want {
			t.Errorf("after %s: new %v", c.after, got)
		}
	}
}

// TestVerifyLogoutWithoutKeys checks that a token that cannot be verified now may be
// sent again.
func TestVerifyLogoutWithoutKeys(t *testing.T) {
	p := newParty(t, cognitotest.Options{OpenID: true}, openID)
	_, err := p.VerifyLogout(t.Context(), p.pool.LogoutToken("some-sub", ""))
	p.wantKind(err, provider.ErrUnavailable)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.pool.RotateKeys()
	p.pool.Break(cognitotest.JWKS, cognitotest.Reset(), 0)
	raw := p.pool.LogoutToken("some-sub", "")
	_, err = p.VerifyLogout(t.Context(), raw)
	p.wantKind(err, provider.ErrUnavailable)
	p.pool.Mend(cognitotest.JWKS)
	p.clock.Advance(2 * time.Second)
	p.wantLogout(raw, "some-sub", "")
}

// TestForeignLogoutTokensFetchNoKeys checks that tokens for others cause no fetch of
// keys, because anybody can send them.
func TestForeignLogoutTokensFetchNoKeys(t *testing.T) {
	p := logoutParty(t)
	before := p.pool.Count(cognitotest.JWKS)
	p.pool.RotateKeys()
	for claim, value := range map[string]any{"iss": "https://evil.example.com", "aud": "another-client"} {
		for range 10 {
			_, err := p.VerifyLogout(t.Context(), p.pool.LogoutToken("some-sub", "", func(t *cognitotest.Token) { t.Claims[claim] = value }))
			p.wantKind(err, provider.ErrInvalidResponse)
		}
	}
	if n := p.pool.Count(cognitotest.JWKS) - before; n != 0 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// TestExchangeKeepsTheProvidersSession checks that a login keeps the sid, which
// logout tokens name.
func TestExchangeKeepsTheProvidersSession(t *testing.T) {
	p := logoutParty(t)
	if sid := p.mustLogin().SID; sid == "" {
		t.Error("no sid")
	}
	p.pool.EditIDToken(func(t *cognitotest.Token) { t.Claims["sid"] = strings.Repeat("x", 256) })
	if sid := p.mustLogin().SID; sid != "" {
		t.Errorf("a sid of %d bytes", len(sid))
	}
	if sid := connectedParty(t, cognitotest.Options{}).mustLogin().SID; sid != "" {
		t.Errorf("Cognito's sid %q", sid)
	}
}
