package cognito

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"
)

// maxBody bounds every answer of the provider. Cognito's largest have 20 KB.
const maxBody = 1 << 20

// newTransport is a transport of our own: nothing else shares or changes it.
func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		MaxConnsPerHost:        64,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// transport bounds and counts every call.
type transport struct {
	next       http.RoundTripper
	metrics    *Metrics
	now        func() time.Time
	endpointOf func(address string) string
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	start := t.now()
	answer, err := t.next.RoundTrip(r)
	endpoint := t.endpointOf(r.URL.Scheme + "://" + r.URL.Host + r.URL.Path)
	t.metrics.Seconds.WithLabelValues(endpoint).Observe(t.now().Sub(start).Seconds())
	t.metrics.Requests.WithLabelValues(endpoint, outcomeOf(answer, err)).Inc()
	if err != nil {
		return nil, err //nolint:wrapcheck // http.Client wraps it
	}
	answer.Body = &boundedBody{ReadCloser: answer.Body, left: maxBody}
	return answer, nil
}

func outcomeOf(answer *http.Response, err error) string {
	switch {
	case err != nil:
		return "unreachable"
	case answer.StatusCode == http.StatusTooManyRequests:
		return "rate_limited"
	case answer.StatusCode >= http.StatusInternalServerError:
		return "server_error"
	case answer.StatusCode >= http.StatusBadRequest:
		return "refused"
	}
	return "ok"
}

// endpointOf names a URL for the metrics.
func (p *Provider) endpointOf(address string) string {
	c := p.connected.Load()
	if c == nil {
		return "discovery"
	}
	switch address {
	case c.endpoints.Token:
		return "token"
	case c.endpoints.JWKS:
		return "jwks"
	case c.endpoints.Revocation:
		return "revocation"
	case c.endpoints.Userinfo:
		return "userinfo"
	}
	return "discovery"
}

var errBodyTooLarge = errors.New("the provider's answer is over 1 MiB")

type boundedBody struct {
	io.ReadCloser

	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errBodyTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err //nolint:wrapcheck // io.EOF must stay what it is
}

// keyFetches bounds how often the key set is fetched. go-oidc fetches it for
// every token with an unknown kid; forged tokens must not turn us into a flood
// (STYLE 3b). Within the limit fetches are real, so that a key rotation is seen
// at once; over it the last answer is given again.
type keyFetches struct {
	next  http.RoundTripper
	now   func() time.Time
	limit *rate.Limiter

	mu      sync.Mutex
	address string
	body    []byte // the last good key set
}

// keysError says that there is no key set to check a token with.
type keysError struct{ reason string }

func (e *keysError) Error() string { return "fetching keys: " + e.reason }

func newKeyFetches(next http.RoundTripper, now func() time.Time) *keyFetches {
	return &keyFetches{next: next, now: now, limit: rate.NewLimiter(rate.Every(10*time.Second), 5)}
}

func (k *keyFetches) watch(address string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.address = address
}

// RoundTrip implements [http.RoundTripper].
func (k *keyFetches) RoundTrip(r *http.Request) (*http.Response, error) {
	k.mu.Lock()
	watched, body := r.URL.String() == k.address, k.body
	k.mu.Unlock()
	if !watched {
		return k.next.RoundTrip(r) //nolint:wrapcheck // http.Client wraps it
	}
	if body == nil || k.limit.AllowN(k.now(), 1) {
		fresh, err := k.fetch(r)
		if err != nil {
			return nil, err
		}
		body = fresh
	}
	return keyAnswer(r, body), nil
}

// fetch gets the key set and keeps it, if it is one.
func (k *keyFetches) fetch(r *http.Request) ([]byte, error) {
	answer, err := k.next.RoundTrip(r)
	if err != nil {
		return nil, &keysError{reason: "not reached"}
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, &keysError{reason: "status " + strconv.Itoa(answer.StatusCode)}
	}
	body, err := io.ReadAll(answer.Body) //nolint:forbidigo // bounded by transport
	if err != nil {
		return nil, &keysError{reason: "the answer broke off or is too large"}
	}
	var keys jose.JSONWebKeySet
	if json.Unmarshal(body, &keys) != nil || len(keys.Keys) == 0 {
		return nil, &keysError{reason: "the answer is no key set"}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.body = body
	return body, nil
}

// fetchOutcome tells a verification that fetching keys failed: go-oidc's error
// does not wrap the cause.
type (
	fetchOutcome    struct{ failed bool }
	fetchOutcomeKey struct{}
)

// notingKeySet is go-oidc's key set, with the reason of a failure noted.
type notingKeySet struct{ oidc.KeySet }

// VerifySignature implements [oidc.KeySet].
func (k notingKeySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, token)
	if _, down := errors.AsType[*keysError](err); down {
		if noted, ok := ctx.Value(fetchOutcomeKey{}).(*fetchOutcome); ok {
			noted.failed = true
		}
	}
	return payload, err //nolint:wrapcheck // go-oidc's own
}

func keyAnswer(r *http.Request, body []byte) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       r,
	}
}
