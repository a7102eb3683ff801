package cognito_test

import (
	"errors"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// conformance is the prefix of the module names of the OpenID Foundation's
// conformance suite.
const conformance = "oidcc-client-test-"

// enough checks that a corpus has not lost its cases.
func enough(tb testing.TB, faults []cognitotest.Fault, least int) []cognitotest.Fault {
	tb.Helper()
	if len(faults) < least {
		tb.Fatalf("%d faults, want at least %d", len(faults), least)
	}
	return faults
}

// reasons are what an operator reads of the faults.
var reasons = map[string]string{
	"invalid-iss": "ID token: it was issued by another issuer", "missing-iss": "ID token: it names no issuer",
	"missing-sub": "ID token: it has no sub", "empty-sub": "ID token: it has no sub",
	"invalid-aud": "ID token: it is for another client", "missing-aud": "ID token: it is for another client",
	"extra-aud": "ID token: it is for other clients, too", "invalid-azp": "ID token: azp is another client",
	"missing-iat": "ID token: it has no iat", "future-iat": "ID token: its iat is in the future",
	"missing-exp": "ID token: it has no exp", "expired": "ID token: it has expired", "future-nbf": "ID token: it is not valid yet",
	"nonce-invalid": "ID token: the nonce is not the one that was sent", "nonce-empty": "ID token: it has no nonce", "missing-nonce": "ID token: it has no nonce",
	"invalid-token-use": "ID token: token_use is not id", "missing-token-use": "ID token: token_use is not id",
	"invalid-athash":   "ID token: at_hash does not fit the access token",
	"idtoken-sig-none": "ID token: it is no signed JWT", "not-a-jwt": "ID token: it is no signed JWT", "missing-id-token": "ID token: missing in the answer",
	"invalid-sig-rs256": "ID token: it is not signed by a key of the issuer", "foreign-key": "ID token: it is not signed by a key of the issuer",
	"unknown-kid":             "ID token: it is signed by a key that the issuer has not published yet",
	"sig-hs256-client-secret": "ID token: it is signed with HS256, but the provider may sign with RS256",
	"sig-hs256-public-key":    "ID token: it is signed with HS256, but the provider may sign with RS256",

	"access-invalid-iss": "access token: it was issued by another issuer", "access-token-use-id": "access token: token_use is not access",
	"access-missing-token-use": "access token: token_use is not access", "access-invalid-client-id": "access token: client_id is another client",
	"access-missing-client-id": "access token: client_id is another client", "access-invalid-sub": "access token: it is another user's",
	"access-missing-sub": "access token: it has no sub", "access-expired": "access token: it has expired", "access-missing-exp": "access token: it has no exp",
	"access-invalid-sig-rs256": "access token: it is not signed by a key of the issuer", "access-foreign-key": "access token: it is not signed by a key of the issuer",
	"access-sig-none": "access token: it is no signed JWT", "access-opaque": "access token: it is no signed JWT",

	"refresh-token-invalid-issuer": "ID token: it was issued by another issuer", "refresh-token-invalid-aud": "ID token: it is for another client",
	"refresh-token-invalid-nonce": "ID token: the refreshed one has another nonce", "refresh-token-expired": "ID token: it has expired",
	"refresh-token-invalid-sig": "ID token: it is not signed by a key of the issuer", "refresh-token-sig-none": "ID token: it is no signed JWT",
	"refresh-token-invalid-token-use": "ID token: token_use is not id", "refresh-token-invalid-sub": "ID token: the refreshed one names another user",
	"refresh-token-access-invalid-sub": "access token: it is another user's", "refresh-token-access-invalid-sig": "access token: it is not signed by a key of the issuer",
}

// wantReason checks that the error says what is wrong with the token.
func (p *party) wantReason(err error, fault string) {
	p.t.Helper()
	failed, _ := errors.AsType[*provider.Error](err)
	if want := reasons[fault]; want == "" || failed == nil || !strings.HasPrefix(failed.Reason, want) {
		p.t.Errorf("%v, want %q", err, want)
	}
}

func TestExchangeRefusesFaultyTokens(t *testing.T) {
	all := append(enough(t, cognitotest.IDTokenFaults, 28), enough(t, cognitotest.AccessTokenFaults, 13)...)
	for _, fault := range all {
		t.Run(conformance+fault.Name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{})
			fault.Apply(p.pool)
			tokens, err := p.login()
			if fault.MayAccept && err == nil {
				return
			}
			p.wantKind(err, provider.ErrInvalidResponse)
			p.wantReason(err, fault.Name)
			if tokens != (secret.Tokens{}) {
				t.Error("tokens came with the error")
			}
		})
	}
}

func TestExchangeAccepts(t *testing.T) {
	t.Run(conformance+"idtoken-sig-rs256", func(t *testing.T) {
		connectedParty(t, cognitotest.Options{}).mustLogin()
	})
	t.Run(conformance+"kid-absent-single-jwks", func(t *testing.T) {
		p := connectedParty(t, cognitotest.Options{SingleKey: true})
		p.pool.EditIDToken(func(token *cognitotest.Token) { delete(token.Header, "kid") })
		p.mustLogin()
	})
	t.Run(conformance+"signing-key-rotation", func(t *testing.T) {
		p := connectedParty(t, cognitotest.Options{})
		p.mustLogin()
		p.pool.RotateKeys()
		p.mustLogin()
		if n := p.pool.Count(cognitotest.JWKS); n != 2 {
			t.Errorf("%d fetches of the keys, want 2", n)
		}
	})
	t.Run(conformance+"signing-key-rotation-just-before-signing", func(t *testing.T) {
		p := connectedParty(t, cognitotest.Options{})
		grant := p.grant()
		p.pool.RotateKeys()
		if _, err := p.Exchange(t.Context(), grant); err != nil {
			t.Fatal(err)
		}
	})
	t.Run(conformance+"client-secret-basic", func(t *testing.T) {
		p := connectedParty(t, cognitotest.Options{})
		p.mustLogin()
		if _, _, ok := basicAuth(p.pool.LastHeader(cognitotest.TokenCode)); !ok {
			t.Error("no HTTP Basic")
		}
	})
	t.Run("a token that expired within the clocks' skew", func(t *testing.T) {
		p := connectedParty(t, cognitotest.Options{})
		edit := func(token *cognitotest.Token) { token.Claims["exp"] = p.clock.Now().Unix() - 50 }
		p.pool.EditIDToken(edit)
		p.pool.EditAccessToken(edit)
		p.mustLogin()
	})
}

// ending are the faults that end a session: tokens of another user or issuer.
var ending = map[string]bool{
	"refresh-token-invalid-issuer":     true,
	"refresh-token-invalid-sub":        true,
	"refresh-token-access-invalid-sub": true,
	"access-invalid-iss":               true,
	"access-invalid-sub":               true,
}

func TestRefreshRefusesFaultyTokens(t *testing.T) {
	all := append(enough(t, cognitotest.RefreshFaults, 10), enough(t, cognitotest.AccessTokenFaults, 13)...)
	seen := 0
	for _, fault := range all {
		t.Run(conformance+fault.Name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{})
			previous := p.mustLogin()
			fault.Apply(p.pool)
			tokens, err := p.Refresh(t.Context(), previous)
			want := provider.ErrInvalidResponse
			if ending[fault.Name] {
				want = provider.ErrRejected
				seen++
			}
			p.wantKind(err, want)
			p.wantReason(err, fault.Name)
			if tokens != (secret.Tokens{}) {
				t.Error("tokens came with the error")
			}
			if n := p.pool.Count(cognitotest.TokenRefresh); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
	if seen != len(ending) {
		t.Errorf("%d faults end the session, want %d", seen, len(ending))
	}
}

func TestRefreshAcceptsTheNonceOfTheLogin(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{NonceOnRefresh: true})
	p.mustRefresh(p.mustRefresh(p.mustLogin()))
}

// A session without a subject must not match a token without one.
func TestRefreshComparesNoEmptySubjects(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	previous := p.mustLogin()
	previous.Subject = ""
	p.pool.EditIDToken(func(token *cognitotest.Token) { delete(token.Claims, "sub") })
	p.pool.EditAccessToken(func(token *cognitotest.Token) { delete(token.Claims, "sub") })
	_, err := p.Refresh(t.Context(), previous)
	p.wantKind(err, provider.ErrInvalidResponse)

	p.pool.Break(cognitotest.TokenRefresh, cognitotest.EditJSON("no ID token", func(body map[string]any) { delete(body, "id_token") }), 0)
	_, err = p.Refresh(t.Context(), previous)
	p.wantKind(err, provider.ErrInvalidResponse)
}

func TestRefreshWithoutAnIDToken(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	previous := p.mustLogin()
	p.pool.Break(cognitotest.TokenRefresh, cognitotest.EditJSON("no ID token", func(body map[string]any) { delete(body, "id_token") }), 0)
	tokens := p.mustRefresh(previous)
	if !tokens.ID.IsZero() || tokens.Claims != "" || tokens.Subject != previous.Subject {
		t.Errorf("got %+v", tokens)
	}

	p.pool.EditAccessToken(func(token *cognitotest.Token) { token.Claims["sub"] = "another-user" })
	_, err := p.Refresh(t.Context(), previous)
	p.wantKind(err, provider.ErrRejected)
}

// An empty nonce on both sides is equal, but nothing was checked.
func TestExchangeComparesTheNonce(t *testing.T) {
	for _, c := range []struct {
		name, sent string
		claim      any
		ok         bool
	}{
		{"equal", testNonce, testNonce, true},
		{"different", testNonce, "another-nonce", false},
		{"only sent", testNonce, "", false},
		{"only sent, claim absent", testNonce, nil, false},
		{"only in the token", "", testNonce, false},
		{"both empty", "", "", false},
		{"both absent", "", nil, false},
		{"a number", testNonce, 7, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, skip := range []bool{false, true} {
				p := connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.InsecureSkipNonce = skip })
				p.pool.EditIDToken(func(token *cognitotest.Token) {
					token.Claims["nonce"] = c.claim
					if c.claim == nil {
						delete(token.Claims, "nonce")
					}
				})
				grant := p.grant()
				grant.Nonce = c.sent
				_, err := p.Exchange(t.Context(), grant)
				_, number := c.claim.(int)
				if ok := c.ok || (skip && !number); ok != (err == nil) {
					t.Errorf("skipping %v: %v, want ok %v", skip, err, ok)
				}
			}
		})
	}
}

func TestExchangeChecksWhenTheUserWasAuthenticated(t *testing.T) {
	const absent = -1 << 40
	for _, c := range []struct {
		name   string
		maxAge int // seconds
		age    int // seconds since auth_time
		ok     bool
	}{
		{"not asked", -1, 100_000, true},
		{"not asked, absent", -1, absent, true},
		{"recent enough", 300, 299, true},
		{"within the skew", 300, 350, true},
		{"too long ago", 300, 400, false},
		{"absent", 300, absent, false},
		{"zero, just now", 0, 0, true},
		{"zero, earlier", 0, 120, false},
		{"zero value, absent", 0, absent, false},
		// A session that begins in the future would outlive every revocation.
		{"in the future", -1, -86_400, false},
		{"in the future, asked", 300, -86_400, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{})
			p.pool.EditIDToken(func(token *cognitotest.Token) {
				token.Claims["auth_time"] = p.clock.Now().Unix() - int64(c.age)
				if c.age == absent {
					delete(token.Claims, "auth_time")
				}
			})
			grant := p.grant()
			grant.MaxAge = seconds(c.maxAge)
			tokens, err := p.Exchange(t.Context(), grant)
			if !c.ok {
				p.wantKind(err, provider.ErrInvalidResponse)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := p.clock.Now().Unix()
			if c.age != absent {
				want -= int64(c.age)
			}
			if tokens.AuthTime.Unix() != want {
				t.Errorf("authenticated at %d, want %d", tokens.AuthTime.Unix(), want)
			}
		})
	}
}

// With the profile OIDC only the ID token says whose the tokens are.
func TestOIDCProfileEndsTheSessionForAnotherUser(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Profile = cognito.OIDC })
	previous := p.mustLogin()
	p.pool.EditIDToken(func(token *cognitotest.Token) { token.Claims["sub"] = "another-user" })
	_, err := p.Refresh(t.Context(), previous)
	p.wantKind(err, provider.ErrRejected)
}

// A token without an issuer is malformed, and not another issuer's.
func TestRefreshKeepsTheSessionIfTheIssuerIsMissing(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	previous := p.mustLogin()
	p.pool.EditIDToken(func(token *cognitotest.Token) { delete(token.Claims, "iss") })
	_, err := p.Refresh(t.Context(), previous)
	p.wantKind(err, provider.ErrInvalidResponse)
}

// The JSON forms of a JWS can contain headers that are not signed, and APIs do not
// accept them.
func TestTokensMustBeCompact(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	id, access := p.capture()
	for _, token := range []string{id, access} {
		part := strings.Split(token, ".")
		for name, form := range map[string]string{
			"flattened": `{"protected":"` + part[0] + `","payload":"` + part[1] + `","signature":"` + part[2] + `"}`,
			"general":   `{"payload":"` + part[1] + `","signatures":[{"protected":"` + part[0] + `","signature":"` + part[2] + `"}]}`,
		} {
			if p.VerifyID(t.Context(), form, access, testNonce) == nil || p.VerifyAccess(t.Context(), form, p.pool.User("demo").Sub) == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	}
}

func TestAccessTokensEndWhenTheySay(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	p.pool.EditAccessToken(func(token *cognitotest.Token) { token.Claims["exp"] = p.clock.Now().Unix() + 600 })
	if got, want := p.mustLogin().AccessExpires.Unix(), p.clock.Now().Unix()+600; got != want {
		t.Errorf("ends at %d, want %d: expires_in is another number", got, want)
	}
}

// TestExchangeRefusesSubjectsThatAreTooLong: a sub has at most 255 characters (OpenID
// Connect Core 1.0 §2). The deny list could not name the user of a longer one.
func TestExchangeRefusesSubjectsThatAreTooLong(t *testing.T) {
	for length, good := range map[int]bool{255: true, 256: false} {
		p := connectedParty(t, cognitotest.Options{})
		edit := func(token *cognitotest.Token) { token.Claims["sub"] = strings.Repeat("s", length) }
		p.pool.EditIDToken(edit)
		p.pool.EditAccessToken(edit)
		tokens, err := p.login()
		if good && (err != nil || len(tokens.Subject) != length) {
			t.Errorf("%d bytes: %v", length, err)
		}
		if !good {
			p.wantKind(err, provider.ErrInvalidResponse)
		}
	}
}
