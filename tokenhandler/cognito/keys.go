package cognito

import (
	"context"
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

	"cognito-token-handler/tokenhandler/provider"
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
	// algorithms are those that a token may be signed with.
	algorithms []jose.SignatureAlgorithm
	// mismatched is told the kid of a token that another key has signed, and the kid of
	// that key, when the two are not those of the last time.
	mismatched func(named, actual string)

	known   atomic.Pointer[[]jose.JSONWebKey]
	told    atomic.Pointer[[2]string] // what mismatched was told last
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

// explain returns the error of a token that could not be verified, with the cause if the
// provider was not reached. which names the token.
func (e *keysError) explain(op, which string) *provider.Error {
	explained := &provider.Error{Op: op, Kind: provider.ErrUnavailable, Reason: which + "the provider's keys could not be fetched"}
	if failed, ok := errors.AsType[*provider.Error](e.err); ok {
		explained.Cause = failed.Cause
	}
	return explained
}

var (
	errNotSigned  = errors.New("no key of the issuer signed the token")
	errUnknownKey = errors.New("the token names a key that the issuer does not publish")
	errTooOften   = errors.New("asked for too often")
	errNoKeys     = errors.New("there is no signing key among them")
)

func newKeySet(algorithms []jose.SignatureAlgorithm, fetch func(context.Context) ([]jose.JSONWebKey, error), now func() time.Time, mismatched func(named, actual string)) *keySet {
	return &keySet{algorithms: algorithms, fetch: fetch, now: now, mismatched: mismatched, limit: rate.NewLimiter(rate.Every(fetchEvery), fetchBurst)}
}

// VerifySignature implements [oidc.KeySet]. If no known key fits, it fetches the
// keys again, so a rotation of keys takes effect at once.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	// The compact form only: the JSON forms can contain headers that are not signed.
	signed, err := jose.ParseSignedCompact(token, k.algorithms)
	if err != nil {
		return nil, errNotSigned
	}
	known := k.known.Load()
	if payload, ok := k.verifyWith(known, signed); ok {
		return payload, nil
	}
	if err := k.renew(ctx, known); err != nil {
		return nil, err
	}
	known = k.known.Load()
	if payload, ok := k.verifyWith(known, signed); ok {
		return payload, nil
	}
	if kid := signed.Signatures[0].Header.KeyID; kid != "" && !slices.ContainsFunc(*known, func(key jose.JSONWebKey) bool { return key.KeyID == kid }) {
		return nil, errUnknownKey
	}
	return nil, errNotSigned
}

// verifyWith verifies signed with the keys of its kid and then with the others. A kid
// is only a hint (RFC 7515 §4.1.4): some providers sign with a new key under the kid
// of an old one.
func (k *keySet) verifyWith(known *[]jose.JSONWebKey, signed *jose.JSONWebSignature) ([]byte, bool) {
	if known == nil || len(signed.Signatures) != 1 {
		return nil, false
	}
	header := signed.Signatures[0].Header
	for _, named := range []bool{true, false} {
		for i := range *known {
			key := &(*known)[i]
			if (key.KeyID == header.KeyID) != named || !fits(key, jose.SignatureAlgorithm(header.Algorithm)) {
				continue
			}
			if payload, err := signed.Verify(key.Key); err == nil {
				k.noteKey(header.KeyID, key.KeyID)
				return payload, true
			}
		}
	}
	return nil, false
}

// noteKey tells that a token names another key than the one that has signed it. A
// token without a kid names none.
func (k *keySet) noteKey(named, actual string) {
	if named == "" || named == actual {
		return
	}
	pair := [2]string{named, actual}
	if last := k.told.Swap(&pair); last == nil || *last != pair {
		k.mismatched(named, actual)
	}
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
	keys = slices.DeleteFunc(keys, func(key jose.JSONWebKey) bool { return !k.maySign(&key) })
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

// maySign reports whether key can verify tokens with an accepted algorithm.
func (k *keySet) maySign(key *jose.JSONWebKey) bool {
	return slices.ContainsFunc(k.algorithms, func(alg jose.SignatureAlgorithm) bool { return fits(key, alg) })
}

// refuses says that tokens with a signature of alg are not accepted.
func (k *keySet) refuses(alg jose.SignatureAlgorithm) string {
	return "it is signed with " + string(alg) + ", but the provider may sign with " + namesOf(k.algorithms)
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
