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
	// fetchEvery and fetchBurst bound how often the keys are fetched while
	// fetching works, fetchAgain while it does not.
	fetchEvery = 10 * time.Second
	fetchBurst = 5
	fetchAgain = time.Second
)

// keySet holds the provider's signing keys (RFC 7517). It is go-oidc's
// RemoteKeySet with two differences. That one fetches the keys for every token
// with an unknown kid, so forged tokens would make us flood the provider (STYLE
// 3b); here fetches are bounded. And it cannot tell a token that is bad from
// one that cannot be checked now; here the latter is a [*keysError].
type keySet struct {
	fetch func(context.Context) ([]jose.JSONWebKey, error)
	now   func() time.Time

	known  atomic.Pointer[[]jose.JSONWebKey]
	flight singleflight.Group

	mu     sync.Mutex
	limit  *rate.Limiter
	failed time.Time // when fetching failed last; zero after a success
}

// keysError says that there are no fresh keys to check a token with.
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

// VerifySignature implements [oidc.KeySet]. If no known key fits, the keys are
// fetched again: a rotation is seen at once.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	// Compact only: the JSON forms can carry headers that nobody signed.
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

// verifyWith tries the keys that the token may mean: the one of its kid or, without
// a kid, all.
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

// renew fetches the keys if they are still those that did not do, once for all
// who ask at a time. A caller that leaves does not end the fetch for the others.
func (k *keySet) renew(ctx context.Context, stale *[]jose.JSONWebKey) error {
	done := k.flight.DoChan("", func() (any, error) {
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

// load fetches the keys. What was known stays if that fails.
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

// maySign leaves out what signs no tokens, or not with RS256.
func maySign(key jose.JSONWebKey) bool {
	_, public := key.Key.(*rsa.PublicKey)
	return public && (key.Use == "" || key.Use == "sig") && (key.Algorithm == "" || key.Algorithm == oidc.RS256)
}

// parseKeys leaves out keys that it does not understand, as RFC 7517 §5 asks: one
// of a new kind must not hide the others.
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
