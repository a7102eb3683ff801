package cognito

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// identity is a verified ID token.
type identity struct {
	*oidc.IDToken

	claims idClaims
	all    map[string]json.RawMessage
}

// idClaims are the claims that go-oidc does not check.
type idClaims struct {
	AuthorizedParty string `json:"azp"`
	IssuedAt        *int64 `json:"iat"`
	AuthTime        *int64 `json:"auth_time"`
	TokenUse        string `json:"token_use"`
}

// maxSID bounds the provider's session id: it travels in our cookie. Keycloak's
// has 36 bytes.
const maxSID = 255

// sid is the provider's session id (OIDC Back-Channel Logout §2.1), empty if
// there is none, or none of a use.
func (id *identity) sid() string {
	var sid string
	if json.Unmarshal(id.all["sid"], &sid) != nil || len(sid) > maxSID {
		return ""
	}
	return sid
}

// authTime is when the user was authenticated.
func (id *identity) authTime() time.Time {
	if id.claims.AuthTime != nil {
		return time.Unix(*id.claims.AuthTime, 0)
	}
	return id.IssuedAt
}

// verifyID checks an ID token by itself: OIDC-01…07, 09, 11, 12.
func (p *Provider) verifyID(ctx context.Context, c *connection, op string, tokens secret.Tokens) (*identity, error) {
	bad := func(reason string) error {
		return &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: "ID token: " + reason}
	}
	if tokens.ID.IsZero() {
		return nil, bad("missing in the answer")
	}
	token, err := p.verify(ctx, c, c.idTokens, op, "ID token", tokens.ID)
	if err != nil {
		return nil, err
	}
	id := &identity{IDToken: token}
	if token.Claims(&id.claims) != nil || token.Claims(&id.all) != nil {
		return nil, bad("its claims are of unexpected types")
	}
	// Seconds, because a [time.Time] of an absurd claim wraps around.
	latest := p.cfg.Now().Add(skew).Unix()
	switch {
	case len(token.Audience) != 1 || token.Audience[0] != p.cfg.ClientID:
		return nil, bad("it is for other clients, too")
	case id.claims.AuthorizedParty != "" && id.claims.AuthorizedParty != p.cfg.ClientID:
		return nil, bad("azp is another client")
	case id.claims.IssuedAt == nil:
		return nil, bad("it has no iat")
	case *id.claims.IssuedAt < 0 || *id.claims.IssuedAt > latest:
		return nil, bad("its iat is in the future; are the clocks right?")
	case id.claims.AuthTime != nil && (*id.claims.AuthTime < 0 || *id.claims.AuthTime > latest):
		return nil, bad("its auth_time is in the future; are the clocks right?")
	case token.Subject == "":
		return nil, bad("it has no sub")
	case p.cfg.Profile == Cognito && id.claims.TokenUse != "id":
		return nil, bad("token_use is not id")
	case token.AccessTokenHash != "" && token.VerifyAccessToken(tokens.Access.Reveal()) != nil:
		return nil, bad("at_hash does not fit the access token")
	}
	return id, nil
}

// checkLogin compares an ID token with the login it answers: OIDC-08, OIDC-10.
func (p *Provider) checkLogin(op string, id *identity, grant provider.CodeGrant) error {
	if !p.cfg.InsecureSkipNonce && !secret.New(id.Nonce).Equal(secret.New(grant.Nonce)) {
		return &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: "ID token: the nonce is not the one that was sent"}
	}
	if grant.MaxAge < 0 {
		return nil
	}
	if id.claims.AuthTime == nil || id.authTime().Add(grant.MaxAge+skew).Before(p.cfg.Now()) {
		return &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: "ID token: the user was not authenticated as recently as max_age asks"}
	}
	return nil
}

// verifyRenewed compares refreshed tokens with the session: the user must be the
// same, and a nonce, if there is one, too (OIDC-15). Another user's token ends
// the session.
func (p *Provider) verifyRenewed(ctx context.Context, c *connection, tokens, previous secret.Tokens) (secret.Tokens, error) {
	if tokens.ID.IsZero() {
		return p.verifyAccess(ctx, c, opRefresh, tokens)
	}
	id, err := p.verifyID(ctx, c, opRefresh, tokens)
	switch {
	case err != nil:
		return secret.Tokens{}, err
	case id.Subject != previous.Subject:
		return secret.Tokens{}, &provider.Error{Op: opRefresh, Kind: provider.ErrRejected, Reason: "ID token: the refreshed one names another user"}
	case id.Nonce != "" && !p.cfg.InsecureSkipNonce && hashNonce(id.Nonce) != previous.NonceHash:
		return secret.Tokens{}, &provider.Error{Op: opRefresh, Kind: provider.ErrInvalidResponse, Reason: "ID token: the refreshed one has another nonce"}
	}
	tokens.Claims = p.showClaims(id.all)
	return p.verifyAccess(ctx, c, opRefresh, tokens)
}

// verifyAccess checks Cognito's access token: it is what the APIs will get, and
// a mix-up is found here (OIDC-16). With the oidc profile it is opaque to a
// client (RFC 6749 §1.4) and only has to be there.
func (p *Provider) verifyAccess(ctx context.Context, c *connection, op string, tokens secret.Tokens) (secret.Tokens, error) {
	bad := func(reason string) (secret.Tokens, error) {
		return secret.Tokens{}, &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: "access token: " + reason}
	}
	if tokens.Access.IsZero() {
		return bad("missing in the answer, or no bearer token")
	}
	if p.cfg.Profile != Cognito {
		return tokens, nil
	}
	token, err := p.verify(ctx, c, c.accessTokens, op, "access token", tokens.Access)
	if err != nil {
		return secret.Tokens{}, err
	}
	var claims struct {
		TokenUse string `json:"token_use"`
		ClientID string `json:"client_id"`
	}
	switch {
	case token.Claims(&claims) != nil:
		return bad("its claims are of unexpected types")
	case claims.TokenUse != "access":
		return bad("token_use is not access")
	case claims.ClientID != p.cfg.ClientID:
		return bad("client_id is another client")
	case token.Subject == "":
		return bad("it has no sub")
	case token.Subject != tokens.Subject:
		return secret.Tokens{}, &provider.Error{Op: op, Kind: fatalAtRefresh(op), Reason: "access token: it is another user's"}
	}
	tokens.AccessExpires = token.Expiry
	return tokens, nil
}

// verify lets go-oidc check signature, algorithm, issuer, audience and expiry.
// The signature is checked before that by itself: go-oidc's errors do not tell
// whether there were keys to check with.
func (p *Provider) verify(ctx context.Context, c *connection, verifier *oidc.IDTokenVerifier, op, which string, token secret.String) (*oidc.IDToken, error) {
	_, err := c.keys.VerifySignature(ctx, token.Reveal())
	if _, ok := errors.AsType[*keysError](err); ok {
		return nil, &provider.Error{Op: op, Kind: provider.ErrUnavailable, Reason: which + ": the provider's keys could not be fetched"}
	}
	var verified *oidc.IDToken
	if err == nil {
		verified, err = verifier.Verify(ctx, token.Reveal())
	}
	if err != nil {
		return nil, p.explain(op, which, err, token)
	}
	return verified, nil
}

// fatalAtRefresh is the kind of a failure that ends a session: tokens of another
// user or issuer (OIDC-15). A login has no session to end.
func fatalAtRefresh(op string) error {
	if op == opRefresh {
		return provider.ErrRejected
	}
	return provider.ErrInvalidResponse
}

// explain finds the reason why a token was refused, in our own words: go-oidc's
// errors quote the token. It reads claims that are NOT verified, and only for
// the words and the kind of the refusal: those come from the token endpoint
// over TLS, as invalid_grant does.
func (p *Provider) explain(op, which string, err error, token secret.String) error {
	if _, ok := errors.AsType[*oidc.TokenExpiredError](err); ok {
		return &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: which + ": it has expired; are the clocks right?"}
	}
	kind, reason := provider.ErrInvalidResponse, "it is not signed by a key of the issuer with RS256, or not valid yet"
	claims, ok := unverified(token)
	switch {
	case !ok:
		reason = "it is no signed JWT"
	case claims.Issuer == "":
		reason = "it names no issuer"
	case claims.Issuer != p.cfg.Issuer:
		kind, reason = fatalAtRefresh(op), "it was issued by another issuer"
	case which == "ID token" && !slices.Contains(claims.Audience, p.cfg.ClientID):
		reason = "it is for another client"
	}
	return &provider.Error{Op: op, Kind: kind, Reason: which + ": " + reason}
}

// unverified reads a token's claims without any check.
func unverified(token secret.String) (jwt.Claims, bool) {
	var claims jwt.Claims
	parsed, err := jwt.ParseSigned(token.Reveal(), everyAlgorithm)
	if err != nil {
		return claims, false
	}
	return claims, parsed.UnsafeClaimsWithoutVerification(&claims) == nil
}

//nolint:gochecknoglobals // a constant: what may be read, not what is accepted
var everyAlgorithm = []jose.SignatureAlgorithm{
	jose.HS256, jose.HS384, jose.HS512, jose.RS256, jose.RS384, jose.RS512,
	jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
}
