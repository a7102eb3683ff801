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

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

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

// logoutClaims are the claims of a logout token.
type logoutClaims struct {
	id, subject, session        string // jti, sub, sid
	issuedAt, expiry, notBefore *numericDate
	events                      map[string]json.RawMessage
	hasNonce                    bool
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
	var claims struct {
		Issuer   string       `json:"iss"`
		Audience jwt.Audience `json:"aud"`
	}
	alg, ok := unverifiedClaims(secret.New(raw), &claims)
	switch {
	case !ok || !isLogoutType(raw):
		return provider.LogoutToken{}, badLogout("it is no signed JWT, or its typ is another")
	case claims.Issuer != p.cfg.Issuer:
		return provider.LogoutToken{}, badLogout("its iss is another issuer")
	case !c.isFor(claims.Audience):
		return provider.LogoutToken{}, badLogout("its aud is another client")
	case !slices.Contains(c.keys.algorithms, alg):
		return provider.LogoutToken{}, badLogout(c.keys.refuses(alg))
	}
	payload, err := c.keys.VerifySignature(ctx, raw)
	if failed, missing := errors.AsType[*keysError](err); missing {
		return provider.LogoutToken{}, failed.explain(opLogout, "")
	}
	if err != nil {
		return provider.LogoutToken{}, badLogout("it is not signed by a key of the issuer")
	}
	token, err := parseLogout(payload)
	if err != nil {
		return provider.LogoutToken{}, err
	}
	if err := c.checkLogout(token); err != nil {
		return provider.LogoutToken{}, err
	}
	// exp is the provider's to choose; iat, which was checked, ends a token too.
	until := token.issuedAt.time().Add(maxLogoutAge + 2*skew)
	if !p.replays.first(token.id, until, p.cfg.Now()) {
		return provider.LogoutToken{}, badLogout("its jti was used before")
	}
	return provider.LogoutToken{Subject: token.subject, SID: token.session}, nil
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

// parseLogout reads the claims of a logout token. It does not use the function of
// go-oidc, because that demands exp, and its errors do not tell which claim is wrong
// without quoting others.
func parseLogout(payload []byte) (logoutClaims, error) {
	var all map[string]json.RawMessage
	if json.Unmarshal(payload, &all) != nil {
		return logoutClaims{}, badLogout("its payload is no JSON object")
	}
	var c logoutClaims
	for _, claim := range []struct {
		name string
		into any
	}{
		{"jti", &c.id},
		{"sub", &c.subject},
		{"sid", &c.session},
		{"events", &c.events},
		{"iat", &c.issuedAt},
		{"exp", &c.expiry},
		{"nbf", &c.notBefore},
	} {
		if raw, there := all[claim.name]; there && json.Unmarshal(raw, claim.into) != nil {
			return c, badLogout("its " + claim.name + " is malformed")
		}
	}
	_, c.hasNonce = all["nonce"]
	return c, nil
}

// checkLogout checks the claims of a logout token whose signature, issuer and audience
// are valid. The errors name the claim.
func (v *verifier) checkLogout(c logoutClaims) error {
	var event map[string]json.RawMessage
	raw, logout := c.events[logoutEvent]
	switch {
	case c.hasNonce:
		return badLogout("it has a nonce, which makes it an ID token")
	case !logout:
		return badLogout("its events are not those of a logout")
	case json.Unmarshal(raw, &event) != nil || event == nil:
		return badLogout("the logout in its events is no object")
	case c.id == "":
		return badLogout("it has no jti")
	case c.subject == "" && c.session == "":
		return badLogout("it has neither sub nor sid")
	case len(c.subject) > maxSubject || len(c.session) > maxSubject:
		return badLogout("its sub or sid is too long")
	}
	return v.checkLogoutTimes(c)
}

// checkLogoutTimes compares in seconds, because a time.Time of a very large number
// overflows. A token without exp ends by its iat alone, so that is compared without
// further tolerance.
func (v *verifier) checkLogoutTimes(c logoutClaims) error {
	at := func(d time.Duration) numericDate { return numericDate(v.cfg.Now().Add(d).Unix()) }
	earliest := at(-maxLogoutAge - skew)
	if c.expiry == nil {
		earliest = at(-maxLogoutAge)
	}
	switch {
	case c.issuedAt == nil:
		return badLogout("it has no iat")
	case *c.issuedAt > at(skew):
		return badLogout("its iat is in the future; are the clocks right?")
	case *c.issuedAt < earliest:
		return badLogout("its iat is too old; are the clocks right?")
	case c.expiry == nil && !v.cfg.InsecureLogoutWithoutExp:
		return badLogout("it has no exp; provider.insecure_logout_token_without_exp accepts such tokens")
	case c.expiry != nil && *c.expiry < at(-skew):
		return badLogout("its exp is over; are the clocks right?")
	case c.notBefore != nil && *c.notBefore > at(skew):
		return badLogout("its nbf is in the future; are the clocks right?")
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
