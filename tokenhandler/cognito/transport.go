package cognito

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/tracing"
)

// maxBody is the largest accepted answer in bytes. Cognito's largest have 20 KB.
const maxBody = 1 << 20

var errTooLarge = errors.New("the provider's answer is too large")

// The endpoints, named as in the metrics.
const (
	endpointDiscovery  = "discovery"
	endpointJWKS       = "jwks"
	endpointToken      = "token"
	endpointRevocation = "revocation"
	endpointUserinfo   = "userinfo"
	endpointSignOut    = "global_sign_out"
)

// The outcomes of calls, named as in the metrics.
const (
	outcomeOK          = "ok"
	outcomeRefused     = "refused"
	outcomeRateLimited = "rate_limited"
	outcomeServerError = "server_error"
	outcomeUnreachable = "unreachable"
)

// call describes a request to the transport.
type call struct {
	endpoint string
	// optional means that no user waits for the answer.
	optional bool
	// detached means that the request, once sent, goes on when its context is
	// cancelled.
	detached bool
	// granted, unless it is nil, gets the body of a successful answer.
	granted *grantBody
	// refresh means that the call refreshes a session's tokens.
	refresh bool
	// client is the network of the browser that causes the call, if it is known.
	client netip.Prefix
}

// limited reports whether the call counts against the provider's quota. The
// discovery document and the keys do not.
func (c call) limited() bool { return c.endpoint != endpointDiscovery && c.endpoint != endpointJWKS }

type callKey struct{}

// context returns a context with the client, for x/oauth2, and with c, for the
// transport.
func (p *Provider) context(ctx context.Context, c call) context.Context {
	return oidc.ClientContext(context.WithValue(ctx, callKey{}, c), p.client)
}

// newClient returns a client that nothing else shares. Refreshes have connections of
// their own: exchanges of codes that the provider answers slowly would use up all
// others.
func newClient(cfg Config, q *quota) *http.Client {
	next, refreshes := cfg.Transport, cfg.Transport
	if next == nil {
		next, refreshes = NewTransport(), NewTransport()
	}
	return &http.Client{
		Transport: &transport{
			next: cfg.Tracer.Transport(next, describe), refreshes: cfg.Tracer.Transport(refreshes, describe),
			quota: q, timeout: cfg.Timeout, metrics: cfg.Metrics, now: cfg.Now,
		},
		// Following a redirect could send the client secret elsewhere (ASVS V15.3.2).
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// describe names the span of a call. No trace context is sent to the provider,
// which is another party.
func describe(r *http.Request) tracing.Call {
	c, _ := r.Context().Value(callKey{}).(call)
	return tracing.Call{Name: c.endpoint}
}

// idleTimeout is how long a connection is kept without a request. Common servers close
// theirs after 5 seconds or more. If they did it first, just when the next request is
// sent, a code or a refresh token would be lost: both are sent by POST, which net/http
// does not repeat.
const idleTimeout = 4 * time.Second

// NewTransport returns what sends the requests to the provider over the network.
func NewTransport() http.RoundTripper {
	return &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DialContext:       (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2: true,
		// Without pings, calls would hang on a dead HTTP/2 connection (golang/go#36026).
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		MaxConnsPerHost:        64,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// transport bounds and counts every call. It reads the whole answer, so an answer
// that hangs or breaks off is an error of RoundTrip and not one of a parser.
type transport struct {
	next, refreshes http.RoundTripper

	quota   *quota
	timeout time.Duration // of one call, once it is sent
	metrics *Metrics
	now     func() time.Time
}

// RoundTrip implements [http.RoundTripper]. It sends a call again that the provider
// refused because of its quota: the provider did not process it, so no code or
// token is used up.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	c, _ := r.Context().Value(callKey{}).(call)
	if !c.limited() {
		return t.send(r, c)
	}
	for until := t.quota.sendDeadline(r.Context(), c); ; {
		if err := t.quota.wait(r.Context(), c, until); err != nil {
			closeBody(r)
			return nil, err
		}
		sent := monotonic()
		answer, err := t.send(r, c)
		if err != nil || !t.quota.observe(answer, sent, until) || r.GetBody == nil {
			return answer, err
		}
		if r, err = rewind(r); err != nil {
			return nil, err
		}
	}
}

// rewind returns r with its body from the start.
func rewind(r *http.Request) (*http.Request, error) {
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

// send makes one call, bounded by the time-out, and counts it.
func (t *transport) send(r *http.Request, c call) (*http.Response, error) {
	ctx := r.Context()
	if c.detached {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	start := t.now()
	answer, err := t.exchange(r.WithContext(ctx), c)
	t.metrics.Seconds.WithLabelValues(c.endpoint).Observe(t.now().Sub(start).Seconds())
	t.metrics.Requests.WithLabelValues(c.endpoint, outcomeOf(answer, err)).Inc()
	if err != nil && !errors.Is(err, context.Canceled) { // the provider is not the cause of that
		t.metrics.Unreachable.WithLabelValues(string(provider.CauseOf(err))).Inc()
	}
	return answer, err
}

func (t *transport) exchange(r *http.Request, c call) (*http.Response, error) {
	next := t.next
	if c.refresh {
		next = t.refreshes
	}
	answer, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	countDown(answer, t.now())
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1)) //nolint:forbidigo // bounded
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > maxBody {
		return nil, errTooLarge
	}
	if c.endpoint == endpointToken {
		body = wholeExpiry(body)
	}
	if c.granted != nil && answer.StatusCode < http.StatusMultipleChoices {
		*c.granted = body
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

func outcomeOf(answer *http.Response, err error) string {
	switch {
	case err != nil:
		return outcomeUnreachable
	case isRateLimited(answer):
		return outcomeRateLimited
	case answer.StatusCode >= http.StatusInternalServerError:
		return outcomeServerError
	case answer.StatusCode >= http.StatusMultipleChoices:
		return outcomeRefused
	}
	return outcomeOK
}
