package cognito

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// maxBody bounds every answer of the provider. Cognito's largest have 20 KB.
const maxBody = 1 << 20

var errTooLarge = errors.New("the provider's answer is too large")

// The endpoints, as the metrics name them.
const (
	endpointDiscovery  = "discovery"
	endpointJWKS       = "jwks"
	endpointToken      = "token"
	endpointRevocation = "revocation"
)

type endpointKey struct{}

// context puts our client where x/oauth2 looks for it, and the endpoint where
// the transport does.
func (p *Provider) context(ctx context.Context, endpoint string) context.Context {
	return oidc.ClientContext(context.WithValue(ctx, endpointKey{}, endpoint), p.client)
}

// newClient builds a client of our own: nothing else shares or changes it.
func newClient(cfg Config) *http.Client {
	return &http.Client{
		Transport: &transport{next: newTransport(), metrics: cfg.Metrics, now: cfg.Now},
		Timeout:   cfg.Timeout,
		// A redirect could carry the client's secret elsewhere (ASVS V15.3.2).
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func newTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2: true,
		// A dead HTTP/2 connection would take every call down with it (golang/go#36026).
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		MaxConnsPerHost:        64,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// transport bounds and counts every call. It reads the whole answer, so that
// one that hangs or breaks off in its middle is an error of the network for
// those above it too, and not one of a parser.
type transport struct {
	next    http.RoundTripper
	metrics *Metrics
	now     func() time.Time
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	endpoint, _ := r.Context().Value(endpointKey{}).(string)
	start := t.now()
	answer, err := t.exchange(r)
	t.metrics.Seconds.WithLabelValues(endpoint).Observe(t.now().Sub(start).Seconds())
	t.metrics.Requests.WithLabelValues(endpoint, outcomeOf(answer, err)).Inc()
	return answer, err
}

func (t *transport) exchange(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err //nolint:wrapcheck // http.Client wraps it
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1)) //nolint:forbidigo // bounded
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > maxBody {
		return nil, errTooLarge
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
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
	case answer.StatusCode >= http.StatusMultipleChoices:
		return "refused"
	}
	return "ok"
}
