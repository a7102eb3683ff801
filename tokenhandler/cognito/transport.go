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

	"cognito-token-handler/tokenhandler/tracing"
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
	endpointUserinfo   = "userinfo"
	endpointSignOut    = "global_sign_out"
)

// call is what the transport must know of a request.
type call struct {
	endpoint string
	// optional says that nobody waits for it.
	optional bool
	// detached says that, once sent, it goes on when the caller leaves.
	detached bool
}

// limited tells the calls that count against the provider's quota of users'
// requests; documents and keys are few and come from elsewhere.
func (c call) limited() bool { return c.endpoint != endpointDiscovery && c.endpoint != endpointJWKS }

type callKey struct{}

// context puts our client where x/oauth2 looks for it, and the call where the
// transport does.
func (p *Provider) context(ctx context.Context, c call) context.Context {
	return oidc.ClientContext(context.WithValue(ctx, callKey{}, c), p.client)
}

// newClient builds a client of our own: nothing else shares or changes it.
func newClient(cfg Config) *http.Client {
	return &http.Client{
		Transport: &transport{next: cfg.Tracer.Transport(newTransport(), describe), pressure: newPressure(cfg), timeout: cfg.Timeout, metrics: cfg.Metrics, now: cfg.Now},
		// A redirect could carry the client's secret elsewhere (ASVS V15.3.2).
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// describe is what a span tells of a call. The provider is another party, and is
// told of no trace.
func describe(r *http.Request) tracing.Call {
	c, _ := r.Context().Value(callKey{}).(call)
	return tracing.Call{Name: c.endpoint}
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
	next     http.RoundTripper
	pressure *pressure
	timeout  time.Duration // of one call, once it is sent
	metrics  *Metrics
	now      func() time.Time
}

// RoundTrip implements [http.RoundTripper]. A call that the provider did not
// look at for its quota's sake is sent again: nothing of it was used up.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	c, _ := r.Context().Value(callKey{}).(call)
	if !c.limited() {
		return t.send(r, c)
	}
	for until := t.pressure.patience(r.Context(), c); ; {
		if err := t.pressure.admit(r.Context(), c, until); err != nil {
			closeBody(r)
			return nil, err
		}
		sent := monotonic()
		answer, err := t.send(r, c)
		if err != nil || !t.pressure.learn(answer, sent, until) || r.GetBody == nil {
			return answer, err
		}
		if r, err = rewound(r); err != nil {
			return nil, err
		}
	}
}

// rewound is the same request once more (the answer before it was read to its end).
func rewound(r *http.Request) (*http.Request, error) {
	body, err := r.GetBody()
	if err != nil {
		return nil, fmt.Errorf("sending a request again: %w", err)
	}
	r = r.Clone(r.Context())
	r.Body = body
	return r, nil
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// send makes one bounded, counted call.
func (t *transport) send(r *http.Request, c call) (*http.Response, error) {
	ctx := r.Context()
	if c.detached {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	start := t.now()
	answer, err := t.exchange(r.WithContext(ctx))
	t.metrics.Seconds.WithLabelValues(c.endpoint).Observe(t.now().Sub(start).Seconds())
	t.metrics.Requests.WithLabelValues(c.endpoint, outcomeOf(answer, err)).Inc()
	return answer, err
}

func (t *transport) exchange(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
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
	case rateLimited(answer):
		return "rate_limited"
	case answer.StatusCode >= http.StatusInternalServerError:
		return "server_error"
	case answer.StatusCode >= http.StatusMultipleChoices:
		return "refused"
	}
	return "ok"
}
