package oauthproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/tracing"
)

// transport takes from the upstream one header and a body, and nothing else.
type transport struct{ http.RoundTripper }

// dialTimeout bounds the making of a connection.
const dialTimeout = 5 * time.Second

// newTransport is tuned for many requests to few hosts: a clone of the default
// keeps two idle connections a host and opens new ones for everything else.
func (h *Handler) newTransport(changes ...func(*http.Transport)) transport {
	t := &http.Transport{
		DialContext:       (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2: true,
		// Over HTTP/2 one connection has all requests: one whose other end is gone would
		// let each of them time out, until TCP gives up after a quarter of an hour.
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		TLSHandshakeTimeout:    5 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // what the client asked for is passed on
	}
	for _, change := range changes {
		change(t)
	}
	return transport{h.cfg.Tracer.Transport(t, describe)}
}

// describe is what the span of one try tells of its call. The upstream is the
// operator's own, and is told of the span.
func describe(r *http.Request) tracing.Call {
	c := callOf(r)
	return tracing.Call{Name: c.route.Path, Resent: c.resent, Propagate: true}
}

// RoundTrip implements [http.RoundTripper]. Interim answers (100, 103) and
// trailers would reach the client as they are, past [cleanAnswer]: a Set-Cookie
// too. And ReverseProxy clears our own headers with every interim answer.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := callOf(r).send(t.RoundTripper, r.WithContext(untraced{r.Context()})) //nolint:contextcheck // it is r's
	if err != nil {
		return nil, err
	}
	final := *answer // the trailers come to the original
	final.Trailer = nil
	return &final, nil
}

// untraced hides ReverseProxy's hook for interim answers.
type untraced struct{ context.Context } //nolint:containedctx // it is a context

// Value implements [context.Context].
func (c untraced) Value(key any) any {
	value := c.Context.Value(key)
	if _, traces := value.(*httptrace.ClientTrace); traces {
		return nil
	}
	return value
}

// plain cuts off what net/http quotes of an answer that it cannot read: from an
// upstream that echoes, that is our token, on its way into the log.
func plain(err error) error {
	text := err.Error()
	if before, _, found := strings.Cut(text, "malformed"); found {
		return errors.New(before + "malformed answer")
	}
	if before, _, found := strings.Cut(text, `"`); found {
		return errors.New(before + "…")
	}
	return err
}

// connecting are the operations of a [net.OpError] that make a connection: the
// last two are TLS alerts.
//
//nolint:gochecknoglobals // a constant list
var connecting = []string{"dial", "remote error", "local error"}

// failure tells a connection that could not be made from one that was and broke.
func failure(err error) string {
	op, ofNetwork := errors.AsType[*net.OpError](err)
	_, garbled := errors.AsType[tls.RecordHeaderError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	late, ok := errors.AsType[net.Error](err) // of a handshake: nothing else here times out
	if ofNetwork && slices.Contains(connecting, op.Op) || garbled || errors.Is(err, http.ErrSchemeMismatch) || untrusted || ok && !ofNetwork && late.Timeout() {
		return "connect"
	}
	return "broken"
}

// bufferPool lends the buffers that bodies are copied through.
type bufferPool struct{ pool sync.Pool }

type buffer [32 << 10]byte

// Get implements [httputil.BufferPool].
func (b *bufferPool) Get() []byte {
	if lent, ok := b.pool.Get().(*buffer); ok {
		return lent[:]
	}
	return new(buffer)[:]
}

// Put implements [httputil.BufferPool].
func (b *bufferPool) Put(lent []byte) { b.pool.Put((*buffer)(lent)) }
