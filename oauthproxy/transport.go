package oauthproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"cognito-token-handler/tokenhandler/tracing"
)

const (
	// dialTimeout bounds the time to open a connection to an upstream.
	dialTimeout = 5 * time.Second
	// idleTimeout is how long a connection to an upstream is kept without a request. Common
	// servers close theirs after 5 seconds or more. If they did it first, just when the next
	// request is sent, a POST would be lost: nobody could say whether it was executed.
	idleTimeout = 4 * time.Second
)

// newTransport returns a transport for many requests to few hosts:
// [http.DefaultTransport] keeps only two idle connections per host and would open a
// new one for every further request.
func newTransport(changes ...func(*http.Transport)) *http.Transport {
	t := &http.Transport{
		DialContext:       upstreamDial((&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext),
		ForceAttemptHTTP2: true,
		// All requests over HTTP/2 share one connection. Without pings, each of them would
		// time out on a dead connection until TCP gives up after a quarter of an hour.
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		TLSHandshakeTimeout:    5 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // the client's Accept-Encoding is forwarded
	}
	for _, change := range changes {
		change(t)
	}
	return t
}

// describeSpan describes the span of one attempt to send a request. The upstream is
// the operator's own, so the span's ids are sent to it.
func describeSpan(r *http.Request) tracing.Call {
	c, _ := r.Context().Value(callKey{}).(*call)
	return tracing.Call{Name: c.route.Path, Resent: c.resent, Propagate: true}
}

// idempotencyMark is a header without a value, which is never sent. It tells net/http that it may
// send a PUT or DELETE again, as it does with GET, HEAD and OPTIONS, if a kept connection turns
// out to be closed before a response has begun (RFC 9110 §9.2.2, RFC 9112 §9.3.1). There must
// be no body, or it must be kept: without GetBody net/http does not repeat it.
const idempotencyMark = "X-Idempotency-Key"

// newRequest returns the request for the upstream.
func (c *call) newRequest(ctx context.Context) *http.Request {
	out := c.client.WithContext(ctx)
	c.outURL = c.route.upstreamURL(c.client.URL)
	out.URL = &c.outURL
	out.Host = out.URL.Host
	out.Header = c.requestHeader()
	if (out.Method == http.MethodPut || out.Method == http.MethodDelete) && len(out.Header[idempotencyMark]) == 0 {
		out.Header[idempotencyMark] = nil
	}
	out.Trailer = nil // the values of trailers are not forwarded
	out.Close = false
	out.Body = nil
	if c.body = c.newRequestBody(); c.body != nil {
		out.Body = c.body
	}
	return out
}

// withoutUpstreamText cuts off what net/http quotes of a response that it cannot
// parse. If the upstream echoes requests, that is our token, and the error is logged.
func withoutUpstreamText(err error) error {
	text := err.Error()
	if before, _, found := strings.Cut(text, "malformed"); found {
		return errors.New(before + "malformed answer")
	}
	if before, _, found := strings.Cut(text, `"`); found {
		return errors.New(before + "…")
	}
	return err
}

// connectOps are the operations of a [net.OpError] that open a connection. The last
// two are TLS alerts.
//
//nolint:gochecknoglobals // a constant list
var connectOps = []string{"dial", "remote error", "local error"}

// errorKind returns the kind label for an error of the transport: "connect" if no
// connection could be opened, "broken" if one was and broke.
func errorKind(err error) string {
	opErr, isOpError := errors.AsType[*net.OpError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	netErr, isNetError := errors.AsType[net.Error](err) // the TLS handshake is all else that times out here
	if isOpError && slices.Contains(connectOps, opErr.Op) || noTLS || errors.Is(err, http.ErrSchemeMismatch) || untrusted || isNetError && !isOpError && netErr.Timeout() {
		return errorConnect
	}
	return errorBroken
}
