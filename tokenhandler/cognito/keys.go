package cognito

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

const (
	// fetchEvery and fetchBurst limit how often the keys are fetched after a
	// success, fetchAgain is the pause after a failure.
	fetchEvery = 10 * time.Second
	fetchBurst = 5
	fetchAgain = time.Second
)

// keySet holds the provider's signing keys (RFC 7517). It replaces go-oidc's
// RemoteKeySet, which fetches the keys for every token with an unknown kid: forged
// tokens would make this service flood the provider. Here the fetches are limited.
// And here the error says whether a token is invalid or could not be checked
// ([*keysError]).
type keySet struct {
	fetch func(context.Context) ([]jose.JSONWebKey, error)
	now   func() time.Time

	known   atomic.Pointer[[]jose.JSONWebKey]
	fetches singleflight.Group

	mu     sync.Mutex
	limit  *rate.Limiter
	failed time.Time // time of the last failure; zero after a success
}

// keysError means that the keys could not be fetched, so a token could not be
// checked.
type keysError struct{ err error }

func (e *keysError) Error() string { return "fetching keys: " + e.err.Error() }

func (e *keysError) Unwrap() error { return e.err }

var (
	errNotSigned = errors.New("no key of the issuer signed the token")
	errTooOften  = errors.New("asked for too often")
	errNoKeys    = errors.New("there is no signing key among them")
)

func newKeySet(fetch func(context.Context) ([]jose.JSONWebKey, error), now func() time.Time) *keySet {
	return &keySet{fetch: fetch, now: now, limit: rate.NewLimiter(rate.Every(fetchEvery), fetchBurst)}
}

// VerifySignature implements [oidc.KeySet]. If no known key fits, it fetches the
// keys again, so a rotation of keys takes effect at once.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	// The compact form only: the JSON forms can contain headers that are not signed.
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, errNotSigned
	}
	known := k.known.Load()
	if payload, ok := verifyWith(known, signed); ok {
		return payload, nil
	}
	if err := k.renew(ctx, known); err != nil {
		return nil, err
	}
	if payload, ok := verifyWith(k.known.Load(), signed); ok {
		return payload, nil
	}
	return nil, errNotSigned
}

// verifyWith verifies signed with the key of its kid or, if it has none, with each
// key in turn.
func verifyWith(known *[]jose.JSONWebKey, signed *jose.JSONWebSignature) ([]byte, bool) {
	if known == nil || len(signed.Signatures) != 1 {
		return nil, false
	}
	kid := signed.Signatures[0].Header.KeyID
	for _, key := range *known {
		if kid != "" && kid != key.KeyID {
			continue
		}
		if payload, err := signed.Verify(key.Key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// renew fetches the keys unless they have changed since stale was read. Concurrent
// callers share one fetch, which goes on when one of them is cancelled.
func (k *keySet) renew(ctx context.Context, stale *[]jose.JSONWebKey) error {
	done := k.fetches.DoChan("", func() (any, error) {
		if k.known.Load() != stale {
			return nil, nil
		}
		return nil, k.load(context.WithoutCancel(ctx))
	})
	select {
	case result := <-done:
		return result.Err
	case <-ctx.Done():
		return &keysError{err: ctx.Err()}
	}
}

// load fetches the keys. The known keys stay if that fails.
func (k *keySet) load(ctx context.Context) error {
	if !k.mayFetch() {
		return &keysError{err: errTooOften}
	}
	keys, err := k.fetch(ctx)
	keys = slices.DeleteFunc(keys, func(key jose.JSONWebKey) bool { return !maySign(key) })
	if err == nil && len(keys) == 0 {
		err = errNoKeys
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.failed = k.now()
		return &keysError{err: err}
	}
	k.failed = time.Time{}
	k.known.Store(&keys)
	return nil
}

// maySign reports whether key can sign tokens with RS256.
func maySign(key jose.JSONWebKey) bool {
	_, public := key.Key.(*rsa.PublicKey)
	return public && (key.Use == "" || key.Use == "sig") && (key.Algorithm == "" || key.Algorithm == oidc.RS256)
}

// parseKeys returns the keys that can be parsed. It ignores the others (RFC 7517
// §5): a key of a new type must not make the known ones unusable.
func parseKeys(raw []json.RawMessage) []jose.JSONWebKey {
	keys := make([]jose.JSONWebKey, 0, len(raw))
	for _, one := range raw {
		var key jose.JSONWebKey
		if json.Unmarshal(one, &key) == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

func (k *keySet) mayFetch() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.failed.IsZero() {
		return k.now().Sub(k.failed) >= fetchAgain
	}
	return k.limit.AllowN(k.now(), 1)
}

var _ oidc.KeySet = (*keySet)(nil)
