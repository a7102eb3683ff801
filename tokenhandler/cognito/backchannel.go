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
	// logoutEvent is the member of events that makes a token a logout token (OIDC
	// Back-Channel Logout §2.4).
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// maxLogoutAge is how old a logout token may be: the specification advises two
	// minutes of life, and a provider may need a second try.
	maxLogoutAge = 5 * time.Minute
	// maxReplays bounds the remembered token ids: 32 bytes each. It is far more
	// than a provider sends in maxLogoutAge.
	maxReplays = 10_000
	// maxSubject is the longest sub and sid, in bytes (OIDC Core §2).
	maxSubject = 255
)

// logoutClaims are the claims that go-oidc does not check.
type logoutClaims struct {
	IssuedAt  *int64                     `json:"iat"`
	NotBefore *int64                     `json:"nbf"`
	Events    map[string]json.RawMessage `json:"events"`
}

// VerifyLogout checks a logout token (OIDC Back-Channel Logout §2.6): RS256 by a
// key of the issuer, typ, iss, aud, iat, exp, events, jti, sub or sid, no nonce.
// A token is good once. What it names was NOT compared with any session. The
// error is an [*provider.Error]: [provider.ErrUnavailable] if the keys cannot be had, else the token
// is bad.
func (p *Provider) VerifyLogout(ctx context.Context, raw string) (provider.LogoutToken, error) {
	c, err := p.connection(opLogout)
	if err != nil {
		return provider.LogoutToken{}, err
	}
	// Anybody can send us tokens: those that are not meant for us at all must not
	// make us fetch keys.
	claims, ok := unverified(secret.New(raw))
	switch {
	case !ok || !isLogoutType(raw):
		return provider.LogoutToken{}, badLogout("it is no signed JWT of that type")
	case claims.Issuer != p.cfg.Issuer:
		return provider.LogoutToken{}, badLogout("it was issued by another issuer")
	case !slices.Equal(claims.Audience, []string{p.cfg.ClientID}):
		return provider.LogoutToken{}, badLogout("it is for another client")
	}
	_, err = c.keys.VerifySignature(ctx, raw)
	if _, missing := errors.AsType[*keysError](err); missing {
		return provider.LogoutToken{}, &provider.Error{Op: opLogout, Kind: provider.ErrUnavailable, Reason: "the provider's keys could not be fetched"}
	}
	if err != nil {
		return provider.LogoutToken{}, badLogout("it is not signed by a key of the issuer with RS256")
	}
	token, err := c.idTokens.VerifyLogout(ctx, raw)
	if err != nil {
		return provider.LogoutToken{}, explainLogout(err)
	}
	if err := p.checkLogout(token); err != nil {
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

// isLogoutType reports whether typ allows a token to be a logout token: the type
// of its own (RFC 8725 §3.11), or the general one or none, as the specification
// leaves it open. An access token's at+jwt does not.
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

// explainLogout tells why go-oidc refused a token whose signature, issuer and
// audience are right. Its errors are not passed on: they can quote claims.
func explainLogout(err error) error {
	if _, ok := errors.AsType[*oidc.TokenExpiredError](err); ok {
		return badLogout("it has expired; are the clocks right?")
	}
	return badLogout("a claim is missing (events, jti, exp, sub or sid), malformed, or forbidden (nonce)")
}

// checkLogout makes the checks that go-oidc leaves out: iat, nbf, lengths, and
// that the event is an object.
func (p *Provider) checkLogout(token *oidc.LogoutToken) error {
	var claims logoutClaims
	if token.Claims(&claims) != nil {
		return badLogout("its claims are of unexpected types")
	}
	// Seconds, because a [time.Time] of an absurd claim wraps around.
	now := p.cfg.Now()
	latest, earliest := now.Add(skew).Unix(), now.Add(-maxLogoutAge-skew).Unix()
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

// replays remembers the logout tokens that were used.
type replays struct {
	mu   sync.Mutex
	used map[[sha256.Size]byte]time.Time // hash of a jti → when the token has ended
}

// first reports whether id is new, and remembers it until then.
func (r *replays) first(id string, until, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Hashed: the provider chooses how long an id is.
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

// makeRoom forgets what has ended, or else what ends next: to refuse a logout
// would be worse than to let one be repeated. The caller holds mu.
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
