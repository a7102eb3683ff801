package cognito

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

const (
	opLogout = "checking a logout token"
	// logoutEvent is the member of events that makes a token a logout token (OpenID
	// Connect Back-Channel Logout 1.0 §2.4).
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// maxLogoutAge is the largest accepted age of a logout token. The specification
	// recommends a life of two minutes, and a provider may send the token again.
	maxLogoutAge = 5 * time.Minute
	// maxReplays is the largest number of token ids that are remembered, 32 bytes
	// each. A provider sends far fewer within maxLogoutAge.
	maxReplays = 10_000
	// maxSubject is the largest length of sub and sid in bytes (OpenID Connect Core
	// 1.0 §2).
	maxSubject = 255
)

// logoutClaims are the claims that go-oidc does not check.
type logoutClaims struct {
	IssuedAt  *numericDate               `json:"iat"`
	NotBefore *numericDate               `json:"nbf"`
	Events    map[string]json.RawMessage `json:"events"`
}

// VerifyLogout checks a logout token (OpenID Connect Back-Channel Logout 1.0
// §2.6): signature by a key of the issuer, typ, iss, aud, iat, exp, events,
// jti, sub or sid, and no nonce. Each token is accepted once. Its sub and sid were
// NOT compared with any session. The error is a [*provider.Error]:
// [provider.ErrUnavailable] if the keys cannot be fetched, else the token is not
// valid.
func (p *Provider) VerifyLogout(ctx context.Context, raw string) (provider.LogoutToken, error) {
	c, err := p.connection(opLogout)
	if err != nil {
		return provider.LogoutToken{}, err
	}
	// Anybody can send a token. One for another issuer or client must not cause a
	// fetch of keys.
	claims, alg, ok := unverifiedClaims(secret.New(raw))
	switch {
	case !ok || !isLogoutType(raw):
		return provider.LogoutToken{}, badLogout("it is no signed JWT of that type")
	case claims.Issuer != p.cfg.Issuer:
		return provider.LogoutToken{}, badLogout("it was issued by another issuer")
	case !c.isFor(claims.Audience):
		return provider.LogoutToken{}, badLogout("it is for another client")
	case !slices.Contains(c.keys.algorithms, alg):
		return provider.LogoutToken{}, badLogout(c.keys.refuses(alg))
	}
	_, err = c.keys.VerifySignature(ctx, raw)
	if _, missing := errors.AsType[*keysError](err); missing {
		return provider.LogoutToken{}, &provider.Error{Op: opLogout, Kind: provider.ErrUnavailable, Reason: "the provider's keys could not be fetched"}
	}
	if err != nil {
		return provider.LogoutToken{}, badLogout("it is not signed by a key of the issuer")
	}
	token, err := c.idTokens.VerifyLogout(ctx, raw)
	if err != nil {
		return provider.LogoutToken{}, explainLogout(err)
	}
	if err := c.checkLogout(token); err != nil {
		return provider.LogoutToken{}, err
	}
	// exp is the provider's to choose; iat, which was checked, ends a token too.
	until := token.IssuedAt.Add(maxLogoutAge + 2*skew)
	if !p.replays.first(token.TokenID, until, p.cfg.Now()) {
		return provider.LogoutToken{}, badLogout("it was used before")
	}
	return provider.LogoutToken{Subject: token.Subject, SID: token.SessionID}, nil
}

func badLogout(reason string) error {
	return &provider.Error{Op: opLogout, Kind: provider.ErrInvalidResponse, Reason: "logout token: " + reason}
}

// isLogoutType reports whether the header typ allows a logout token: logout+jwt
// (RFC 8725 §3.11), jwt, or no typ, because the specification requires none. The
// at+jwt of an access token is refused.
func isLogoutType(raw string) bool {
	parsed, err := jose.ParseSignedCompact(raw, everyAlgorithm)
	if err != nil || len(parsed.Signatures) != 1 {
		return false
	}
	typ, there := parsed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType]
	if !there {
		return true
	}
	name, _ := typ.(string)
	name = strings.TrimPrefix(strings.ToLower(name), "application/") // RFC 7515 §4.1.9
	return name == "logout+jwt" || name == "jwt"
}

// explainLogout says why go-oidc refused a token whose signature, issuer and
// audience are valid. The error of go-oidc is not wrapped: it can quote claims.
func explainLogout(err error) error {
	if _, ok := errors.AsType[*oidc.TokenExpiredError](err); ok {
		return badLogout("it has expired; are the clocks right?")
	}
	return badLogout("a claim is missing (events, jti, exp, sub or sid), malformed, or forbidden (nonce)")
}

// checkLogout checks what go-oidc does not: iat, nbf, the lengths of sub and sid,
// and that the event is an object.
func (v *verifier) checkLogout(token *oidc.LogoutToken) error {
	var claims logoutClaims
	if token.Claims(&claims) != nil {
		return badLogout("its claims are of unexpected types")
	}
	// In seconds, because a time.Time of a very large number overflows.
	now := v.cfg.Now()
	latest, earliest := numericDate(now.Add(skew).Unix()), numericDate(now.Add(-maxLogoutAge-skew).Unix())
	var event map[string]json.RawMessage
	switch {
	case claims.IssuedAt == nil:
		return badLogout("it has no iat")
	case *claims.IssuedAt > latest:
		return badLogout("its iat is in the future; are the clocks right?")
	case *claims.IssuedAt < earliest:
		return badLogout("it is too old; are the clocks right?")
	case claims.NotBefore != nil && *claims.NotBefore > latest:
		return badLogout("it is not valid yet")
	case json.Unmarshal(claims.Events[logoutEvent], &event) != nil || event == nil:
		return badLogout("its event is no object")
	case len(token.Subject) > maxSubject || len(token.SessionID) > maxSubject:
		return badLogout("its sub or sid is too long")
	}
	return nil
}

// replays remembers the logout tokens that were accepted.
type replays struct {
	mu   sync.Mutex
	used map[[sha256.Size]byte]time.Time // hash of a jti → when the token has ended
}

// first reports whether id was not seen before, and remembers it until until.
func (r *replays) first(id string, until, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Hashed, because the provider chooses how long an id is.
	key := sha256.Sum256([]byte(id))
	if end, ok := r.used[key]; ok && now.Before(end) {
		return false
	}
	if len(r.used) >= maxReplays {
		r.makeRoom(now)
	}
	if r.used == nil {
		r.used = make(map[[sha256.Size]byte]time.Time)
	}
	r.used[key] = until
	return true
}

// makeRoom forgets the ids of expired tokens or, if there are none, of the token
// that expires next: a logout that is repeated does less harm than one that is
// refused. The caller holds mu.
func (r *replays) makeRoom(now time.Time) {
	var oldest [sha256.Size]byte
	var ends time.Time
	for key, end := range r.used {
		if !now.Before(end) {
			delete(r.used, key)
		} else if ends.IsZero() || end.Before(ends) {
			oldest, ends = key, end
		}
	}
	if len(r.used) >= maxReplays {
		delete(r.used, oldest)
	}
}
