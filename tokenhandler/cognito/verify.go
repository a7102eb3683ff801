package cognito

import (
	"context"
	"crypto/sha256"
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

// verifier verifies the tokens that the provider issues.
type verifier struct {
	cfg      *Config
	keys     *keySet
	idTokens *oidc.IDTokenVerifier
	// accessTokens checks signature, issuer and expiry, but no audience: Cognito's
	// access tokens have none (README "Tokens").
	accessTokens *oidc.IDTokenVerifier
}

// identity is a verified ID token.
type identity struct {
	*oidc.IDToken

	claims idClaims
	all    map[string]json.RawMessage
}

// idClaims are the claims that go-oidc does not check.
type idClaims struct {
	AuthorizedParty string       `json:"azp"`
	IssuedAt        *numericDate `json:"iat"`
	AuthTime        *numericDate `json:"auth_time"`
	TokenUse        string       `json:"token_use"`
}

// maxSID is the largest length of the provider's session id, which the session's
// cookie holds. Keycloak's has 36 bytes.
const maxSID = 255

// sid returns the provider's session id (OpenID Connect Back-Channel Logout 1.0
// §2.1). It is empty if there is none, or if it is no string or too long.
func (id *identity) sid() string {
	var sid string
	if json.Unmarshal(id.all["sid"], &sid) != nil || len(sid) > maxSID {
		return ""
	}
	return sid
}

// authTime returns when the user was authenticated.
func (id *identity) authTime() time.Time {
	if id.claims.AuthTime != nil {
		return id.claims.AuthTime.time()
	}
	return id.IssuedAt
}

// verifyLogin verifies the tokens of a login. It goes on when ctx is cancelled.
func (v *verifier) verifyLogin(ctx context.Context, tokens secret.Tokens, grant provider.CodeGrant) (secret.Tokens, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.cfg.Timeout)
	defer cancel()
	id, err := v.verifyID(ctx, opExchange, tokens)
	if err != nil {
		return secret.Tokens{}, err
	}
	if err := v.checkLogin(opExchange, id, grant); err != nil {
		return secret.Tokens{}, err
	}
	tokens.NonceHash = hashNonce(id.Nonce)
	tokens.Subject, tokens.AuthTime = id.Subject, id.authTime()
	tokens.Claims = v.userClaims(id.all)
	tokens.SID = id.sid()
	return v.verifyAccess(ctx, opExchange, tokens)
}

// hashNonce returns the part of a nonce's hash that a session keeps.
func hashNonce(nonce string) [4]byte {
	sum := sha256.Sum256([]byte(nonce))
	return [4]byte(sum[:4])
}

// verifyID makes the checks of an ID token that need no knowledge of the login
// (OpenID Connect Core 1.0 §3.1.3.7 and §3.1.3.8): signature, alg, iss, aud, azp,
// exp, iat, auth_time, sub, at_hash and Cognito's token_use.
func (v *verifier) verifyID(ctx context.Context, op string, tokens secret.Tokens) (*identity, error) {
	bad := func(reason string) error {
		return &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: "ID token: " + reason}
	}
	early := func(claim string) error {
		return &provider.Error{Op: op, Kind: provider.ErrUnverified, Reason: "ID token: its " + claim + " is in the future; are the clocks right?"}
	}
	if tokens.ID.IsZero() {
		return nil, bad("missing in the answer")
	}
	token, err := v.verify(ctx, v.idTokens, op, "ID token", tokens.ID)
	if err != nil {
		return nil, err
	}
	id := &identity{IDToken: token}
	if token.Claims(&id.claims) != nil || token.Claims(&id.all) != nil {
		return nil, bad("its claims are of unexpected types")
	}
	// In seconds, because a time.Time of a very large number overflows.
	latest := numericDate(v.cfg.Now().Add(skew).Unix())
	switch {
	case !v.isFor(token.Audience):
		return nil, bad("it is for other clients, too; provider.trusted_audiences may name them")
	case len(token.Audience) > 1 && id.claims.AuthorizedParty == "":
		return nil, bad("it is for several audiences and has no azp")
	case id.claims.AuthorizedParty != "" && id.claims.AuthorizedParty != v.cfg.ClientID:
		return nil, bad("azp is another client")
	case id.claims.IssuedAt == nil:
		return nil, bad("it has no iat")
	case *id.claims.IssuedAt < 0 || *id.claims.IssuedAt > latest:
		return nil, early("iat")
	case id.claims.AuthTime != nil && (*id.claims.AuthTime < 0 || *id.claims.AuthTime > latest):
		return nil, early("auth_time")
	case token.Subject == "":
		return nil, bad("it has no sub")
	case v.cfg.Profile == Cognito && id.claims.TokenUse != "id":
		return nil, bad("token_use is not id")
	case token.AccessTokenHash != "" && token.VerifyAccessToken(tokens.Access.Reveal()) != nil:
		return nil, bad("at_hash does not fit the access token")
	}
	return id, nil
}

// isFor reports whether a token is for this client, and for nobody else but the
// audiences that are trusted (OpenID Connect Core 1.0 §3.1.3.7).
func (v *verifier) isFor(audience []string) bool {
	return slices.Contains(audience, v.cfg.ClientID) && !slices.ContainsFunc(audience, func(one string) bool {
		return one != v.cfg.ClientID && !slices.Contains(v.cfg.TrustedAudiences, one)
	})
}

// checkLogin compares nonce and auth_time of an ID token with the login's request
// (OpenID Connect Core 1.0 §3.1.3.7).
func (v *verifier) checkLogin(op string, id *identity, grant provider.CodeGrant) error {
	if !v.cfg.InsecureSkipNonce && id.Nonce == "" {
		return &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: "ID token: it has no nonce; for a test provider that does not return it, such as cognito-local, set provider.insecure_skip_nonce"}
	}
	if !v.cfg.InsecureSkipNonce && !secret.New(id.Nonce).Equal(secret.New(grant.Nonce)) {
		return &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: "ID token: the nonce is not the one that was sent"}
	}
	if len(id.Subject) > maxSubject { // the deny list could not name the user
		return &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: "ID token: its sub is longer than 255 bytes"}
	}
	if grant.MaxAge < 0 {
		return nil
	}
	if id.claims.AuthTime == nil || id.authTime().Add(grant.MaxAge+skew).Before(v.cfg.Now()) {
		return &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: "ID token: the user was not authenticated as recently as max_age asks"}
	}
	return nil
}

// verifyRenewed verifies refreshed tokens. The ID token may be missing. If there is
// one, its user must be the session's, and so must be its nonce and its auth_time, if
// it has them (OpenID Connect Core 1.0 §12.2). A token of another user or of another
// authentication ends the session. The auth_time is not compared with the profile
// [Cognito]: cognito-local, with which apps are tested, writes the time of the refresh.
func (v *verifier) verifyRenewed(ctx context.Context, tokens, previous secret.Tokens) (secret.Tokens, error) {
	if tokens.ID.IsZero() {
		return v.verifyAccess(ctx, opRefresh, tokens)
	}
	id, err := v.verifyID(ctx, opRefresh, tokens)
	switch {
	case err != nil:
		return secret.Tokens{}, err
	case id.Subject != previous.Subject:
		return secret.Tokens{}, &provider.Error{Op: opRefresh, Kind: provider.ErrRejected, Reason: "ID token: the refreshed one names another user"}
	case id.Nonce != "" && !v.cfg.InsecureSkipNonce && hashNonce(id.Nonce) != previous.NonceHash:
		return secret.Tokens{}, &provider.Error{Op: opRefresh, Kind: provider.ErrInvalidResponse, Reason: "ID token: the refreshed one has another nonce"}
	case v.cfg.Profile != Cognito && id.claims.AuthTime != nil && !id.authTime().Equal(previous.AuthTime) && knowsAuthTime(previous):
		return secret.Tokens{}, &provider.Error{Op: opRefresh, Kind: provider.ErrRejected, Reason: "ID token: the refreshed one has another auth_time"}
	}
	v.keepUserinfo(id.all, previous)
	tokens.Claims = v.userClaims(id.all)
	return v.verifyAccess(ctx, opRefresh, tokens)
}

// knowsAuthTime reports whether AuthTime of a session is the auth_time of its login. It
// is the iat if the ID token had none, which only a session with its ID token can tell.
func knowsAuthTime(previous secret.Tokens) bool {
	if previous.ID.IsZero() {
		return true
	}
	_, there := payloadOf(previous.ID)["auth_time"]
	return there
}

// verifyAccess verifies Cognito's access token, which APIs will get: signature, iss,
// exp, token_use and client_id, and that its user is the ID token's. With the
// profile [OIDC] an access token is opaque to a client (RFC 6749 §1.4), and only
// has to be present.
func (v *verifier) verifyAccess(ctx context.Context, op string, tokens secret.Tokens) (secret.Tokens, error) {
	bad := func(reason string) (secret.Tokens, error) {
		return secret.Tokens{}, &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: "access token: " + reason}
	}
	if tokens.Access.IsZero() {
		return bad("missing in the answer, or no bearer token")
	}
	if v.cfg.Profile != Cognito {
		return tokens, nil
	}
	token, err := v.verify(ctx, v.accessTokens, op, "access token", tokens.Access)
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
	case claims.ClientID != v.cfg.ClientID:
		return bad("client_id is another client")
	case token.Subject == "":
		return bad("it has no sub")
	case token.Subject != tokens.Subject:
		return secret.Tokens{}, &provider.Error{Op: op, Kind: foreignTokenKind(op), Reason: "access token: it is another user's"}
	}
	tokens.AccessExpires = token.Expiry
	return tokens, nil
}

// verify lets go-oidc check signature, algorithm, issuer, audience and expiry. It
// checks the signature by itself before that, because the errors of go-oidc do not
// say whether the keys could be fetched.
func (v *verifier) verify(ctx context.Context, check *oidc.IDTokenVerifier, op, which string, token secret.String) (*oidc.IDToken, error) {
	_, err := v.keys.VerifySignature(ctx, token.Reveal())
	if failed, ok := errors.AsType[*keysError](err); ok {
		return nil, failed.explain(op, which+": ")
	}
	var verified *oidc.IDToken
	if err == nil {
		verified, err = check.Verify(ctx, token.Reveal())
	}
	if err != nil {
		return nil, v.explain(op, which, err, token)
	}
	return verified, nil
}

// foreignTokenKind returns the kind of the error for a token of another user or
// issuer. At a refresh it ends the session. A login has no session to end.
func foreignTokenKind(op string) error {
	if op == opRefresh {
		return provider.ErrRejected
	}
	return provider.ErrInvalidResponse
}

// explain returns the error for a token that go-oidc refused. It does not wrap
// err, because errors of go-oidc quote the token. It reads claims that are NOT
// verified, and uses them only for the reason and the kind of the error: the token
// came from the token endpoint over TLS, as invalid_grant does.
func (v *verifier) explain(op, which string, err error, token secret.String) error {
	kind, reason := provider.ErrInvalidResponse, "its claims are of unexpected types"
	var claims jwt.Claims
	alg, ok := unverifiedClaims(token, &claims)
	_, expired := errors.AsType[*oidc.TokenExpiredError](err)
	switch {
	case !ok:
		reason = "it is no signed JWT"
	case claims.Issuer == "":
		reason = "it names no issuer"
	case claims.Issuer != v.cfg.Issuer:
		kind, reason = foreignTokenKind(op), "it was issued by another issuer"
	case which == "ID token" && !slices.Contains(claims.Audience, v.cfg.ClientID):
		reason = "it is for another client"
	case !slices.Contains(v.keys.algorithms, alg):
		reason = v.keys.refuses(alg)
	case errors.Is(err, errUnknownKey):
		kind, reason = provider.ErrUnverified, "it is signed by a key that the issuer has not published yet"
	case errors.Is(err, errNotSigned):
		reason = "it is not signed by a key of the issuer"
	case expired && claims.Expiry == nil:
		reason = "it has no exp"
	case expired:
		kind, reason = provider.ErrUnverified, "it has expired; are the clocks right?"
	case claims.NotBefore != nil && claims.NotBefore.Time().After(v.cfg.Now()):
		kind, reason = provider.ErrUnverified, "it is not valid yet; are the clocks right?"
	}
	return &provider.Error{Op: op, Kind: kind, Reason: which + ": " + reason}
}

// unverifiedClaims parses claims of a token into a struct WITHOUT verifying it, and
// returns the algorithm of its signature, which is one of everyAlgorithm.
func unverifiedClaims(token secret.String, claims any) (jose.SignatureAlgorithm, bool) {
	parsed, err := jwt.ParseSigned(token.Reveal(), everyAlgorithm)
	if err != nil || len(parsed.Headers) != 1 {
		return "", false
	}
	return jose.SignatureAlgorithm(parsed.Headers[0].Algorithm), parsed.UnsafeClaimsWithoutVerification(claims) == nil
}
