package cognitotest

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"
)

// Fault is a kind of invalid token, which a relying party must refuse.
type Fault struct {
	// Name is the name of the OpenID conformance suite's module (oidcc-client-test-…), if
	// there is one.
	Name string
	// MayAccept is set if a relying party may nevertheless accept the token.
	MayAccept bool
	// Apply makes the server issue such tokens until [Server.Heal].
	Apply func(*Server)
}

// EditIDToken sets a function that changes every ID token before it is signed, until
// [Server.Heal].
func (s *Server) EditIDToken(edit func(*Token)) { s.setEdits("", edit, nil) }

// EditAccessToken is like [Server.EditIDToken], for access tokens. The ID token's
// at_hash is the hash of the changed access token.
func (s *Server) EditAccessToken(edit func(*Token)) { s.setEdits("", nil, edit) }

// Heal ends all token faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.editID, s.editAccess, s.onlyGrant = nil, nil, ""
}

// setEdits sets the edits that are not nil and keeps the other one, so that faults can
// be combined.
func (s *Server) setEdits(grant string, id, access func(*Token)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onlyGrant = grant
	if id != nil {
		s.editID = id
	}
	if access != nil {
		s.editAccess = access
	}
}

// IDTokenFaults are ID tokens that a login must refuse (OpenID Connect Core 1.0
// §3.1.3.7).
//
//nolint:gochecknoglobals // a table that tests range over
var IDTokenFaults = []Fault{
	idFault("invalid-iss", set("iss", "https://evil.example.com/pool")),
	idFault("missing-iss", unset("iss")),
	idFault("missing-sub", unset("sub")),
	idFault("empty-sub", set("sub", "")),
	idFault("invalid-aud", set("aud", "another-client")),
	idFault("missing-aud", unset("aud")),
	idFault("extra-aud", func(t *Token) { t.Claims["aud"] = []any{t.Claims["aud"], "another-client"} }),
	idFault("invalid-azp", set("azp", "another-client")),
	idFault("missing-iat", unset("iat")),
	idFault("future-iat", shift("iat", 24*time.Hour)),
	idFault("missing-exp", unset("exp")),
	idFault("expired", shift("exp", -25*time.Hour)),
	idFault("future-nbf", func(t *Token) {
		t.Claims["nbf"] = t.Claims["iat"]
		shift("nbf", time.Hour)(t)
	}),
	idFault("nonce-invalid", set("nonce", "another-nonce")),
	idFault("nonce-empty", set("nonce", "")),
	idFault("missing-nonce", unset("nonce")),
	idFault("invalid-token-use", set("token_use", "access")),
	idFault("missing-token-use", unset("token_use")),
	idFault("invalid-athash", set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")),
	idFault("idtoken-sig-none", algNone),
	idFault("invalid-sig-rs256", breakSignature),
	idFault("foreign-key", (*Token).Forge),
	idFault("unknown-kid", func(t *Token) {
		t.Forge()
		t.Header["kid"] = "no-such-key"
	}),
	{Name: "sig-hs256-client-secret", Apply: func(s *Server) {
		secret := []byte(s.Secret())
		s.EditIDToken(func(t *Token) { t.Header["alg"], t.hmac = "HS256", secret })
	}},
	idFault("sig-hs256-public-key", func(t *Token) {
		// Algorithm confusion: the public key, which everybody has, is the HMAC secret.
		der, err := x509.MarshalPKIXPublicKey(&t.key.PublicKey)
		if err != nil {
			panic("cognitotest: encoding the public key: " + err.Error())
		}
		t.Header["alg"], t.hmac = "HS256", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}),
	idFault("not-a-jwt", func(t *Token) { t.edit = func(string) string { return "opaque-" + Canary } }),
	{Name: "missing-id-token", Apply: func(s *Server) {
		s.EditIDToken(func(t *Token) { t.edit = func(string) string { return "" } })
	}},
	{
		Name: "kid-absent-multiple-jwks", MayAccept: true,
		Apply: func(s *Server) { s.EditIDToken(func(t *Token) { delete(t.Header, "kid") }) },
	},
}

// AccessTokenFaults are access tokens that a login or a refresh must refuse, because
// they would be sent to an API on behalf of the user.
//
//nolint:gochecknoglobals // a table that tests range over
var AccessTokenFaults = []Fault{
	accessFault("access-invalid-iss", set("iss", "https://evil.example.com/pool")),
	accessFault("access-token-use-id", set("token_use", "id")),
	accessFault("access-missing-token-use", unset("token_use")),
	accessFault("access-invalid-client-id", set("client_id", "another-client")),
	accessFault("access-missing-client-id", unset("client_id")),
	accessFault("access-invalid-sub", set("sub", "11111111-2222-4333-8444-555555555555")),
	accessFault("access-missing-sub", unset("sub")),
	accessFault("access-expired", shift("exp", -25*time.Hour)),
	accessFault("access-missing-exp", unset("exp")),
	accessFault("access-invalid-sig-rs256", breakSignature),
	accessFault("access-foreign-key", (*Token).Forge),
	accessFault("access-sig-none", algNone),
	accessFault("access-opaque", func(t *Token) { t.edit = func(string) string { return "opaque-" + Canary } }),
}

// RefreshFaults are tokens of a refresh that must be refused after a valid login
// (OpenID Connect Core 1.0 §12.2; modules of the OpenID conformance
// suite's oidcc-client-refreshtoken-test-plan).
//
//nolint:gochecknoglobals // a table that tests range over
var RefreshFaults = []Fault{
	refreshFault("refresh-token-invalid-issuer", set("iss", "https://evil.example.com/pool")),
	refreshFault("refresh-token-invalid-aud", set("aud", "another-client")),
	refreshFault("refresh-token-invalid-nonce", set("nonce", "another-nonce")),
	refreshFault("refresh-token-expired", shift("exp", -25*time.Hour)),
	refreshFault("refresh-token-invalid-sig", breakSignature),
	refreshFault("refresh-token-sig-none", algNone),
	refreshFault("refresh-token-invalid-token-use", set("token_use", "access")),
	{Name: "refresh-token-invalid-sub", Apply: func(s *Server) {
		// Both tokens have the wrong sub, so that only a comparison with the session can
		// detect it.
		other := set("sub", "11111111-2222-4333-8444-555555555555")
		s.setEdits(TokenRefresh, other, other)
	}},
	{Name: "refresh-token-access-invalid-sub", Apply: func(s *Server) {
		s.setEdits(TokenRefresh, nil, set("sub", "11111111-2222-4333-8444-555555555555"))
	}},
	{Name: "refresh-token-access-invalid-sig", Apply: func(s *Server) { s.setEdits(TokenRefresh, nil, breakSignature) }},
}

func idFault(name string, edit func(*Token)) Fault {
	return Fault{Name: name, Apply: func(s *Server) { s.EditIDToken(edit) }}
}

func accessFault(name string, edit func(*Token)) Fault {
	return Fault{Name: name, Apply: func(s *Server) { s.EditAccessToken(edit) }}
}

func refreshFault(name string, edit func(*Token)) Fault {
	return Fault{Name: name, Apply: func(s *Server) { s.setEdits(TokenRefresh, edit, nil) }}
}

func set(claim string, value any) func(*Token) { return func(t *Token) { t.Claims[claim] = value } }

func unset(claim string) func(*Token) { return func(t *Token) { delete(t.Claims, claim) } }

func shift(claim string, d time.Duration) func(*Token) {
	return func(t *Token) {
		if at, ok := t.Claims[claim].(int64); ok {
			t.Claims[claim] = at + int64(d.Seconds())
		}
	}
}

func algNone(t *Token) { t.Header, t.unsigned = map[string]any{"alg": "none"}, true }

// breakSignature changes the first character of the signature. (Decoders ignore some
// bits of the last one.)
func breakSignature(t *Token) {
	t.edit = func(raw string) string {
		head, signature, _ := strings.Cut(raw[strings.Index(raw, ".")+1:], ".")
		flipped := "A"
		if signature[0] == 'A' {
			flipped = "B"
		}
		return raw[:strings.Index(raw, ".")+1] + head + "." + flipped + signature[1:]
	}
}
