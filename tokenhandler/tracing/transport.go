package tracing

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Call describes the client span of one outgoing request.
type Call struct {
	// Name follows the method in the span's name. It must be fixed or come from the
	// configuration, never from a client.
	Name string
	// Resent is the number of earlier attempts to send the same request.
	Resent int
	// Propagate replaces the trace headers of the request with this span's, so that
	// the server's spans become its children.
	Propagate bool
}

// Transport returns a RoundTripper that sends requests through next and makes a
// client span of each. The span lasts until the response's body has been read to
// its end or closed. describe must be safe for concurrent use.
func (t *Tracer) Transport(next http.RoundTripper, describe func(*http.Request) Call) http.RoundTripper {
	if t == nil {
		return next
	}
	return &transport{next: next, tracer: t, describe: describe}
}

type transport struct {
	next     http.RoundTripper
	tracer   *Tracer
	describe func(*http.Request) Call
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	call := t.describe(r)
	ctx, span := t.tracer.tracer.Start(r.Context(), nameOf(r.Method)+" "+call.Name, trace.WithSpanKind(trace.SpanKindClient))
	r = r.WithContext(ctx)
	if call.Propagate {
		r.Header = t.tracer.inject(ctx, r.Header)
	}
	if span.IsRecording() {
		span.SetAttributes(methodOf(r.Method), semconv.URLFull(withoutSecrets(r.URL)))
		span.SetAttributes(address(r.URL)...)
		if call.Resent > 0 {
			span.SetAttributes(semconv.HTTPRequestResendCount(call.Resent))
		}
	}
	answer, err := t.next.RoundTrip(r)
	if err != nil {
		fail(span, err)
		span.End()
		return nil, err
	}
	if !span.IsRecording() {
		span.End()
		return answer, nil
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(answer.StatusCode))
	if answer.StatusCode >= http.StatusBadRequest {
		span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(answer.StatusCode)))
		span.SetStatus(codes.Error, "")
	}
	answer.Body = watched(ctx, answer.Body, span)
	return answer, nil
}

// inject returns a copy of header with the trace of ctx in place of any other.
func (t *Tracer) inject(ctx context.Context, header http.Header) http.Header {
	header = maps.Clone(header)
	for _, name := range t.headers {
		delete(header, name)
	}
	t.propagator.Inject(ctx, propagation.HeaderCarrier(header))
	return header
}

// Do calls do within a client span of the given name. It is for calls that do not
// go through a [Tracer.Transport]. It returns do's error.
func (t *Tracer) Do(ctx context.Context, name string, do func(context.Context) error) error {
	if t == nil {
		return do(ctx)
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	err := do(ctx)
	if err != nil {
		fail(span, err)
	}
	return err
}

// fail marks the span as failed with the kind of err. The text of err is left out,
// because it may quote what a server sent.
func fail(span trace.Span, err error) {
	kind := semconv.ErrorType(err)
	timed, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	switch {
	case ok && timed.Timeout():
		kind = semconv.ErrorTypeKey.String("timeout")
	case errors.Is(err, context.Canceled):
		kind = semconv.ErrorTypeKey.String("canceled")
	}
	span.SetAttributes(kind)
	span.SetStatus(codes.Error, "")
}

// withoutSecrets returns the URL without its query and user information: a query
// can hold authorization codes and signatures.
func withoutSecrets(u *url.URL) string {
	return u.Scheme + "://" + u.Host + printable(u.EscapedPath())
}

// address returns the attributes for the host and port of a URL.
func address(u *url.URL) []attribute.KeyValue {
	attributes := []attribute.KeyValue{semconv.ServerAddress(u.Hostname())}
	port, err := strconv.Atoi(u.Port())
	switch {
	case err == nil:
	case u.Scheme == "https":
		port = 443
	default:
		port = 80
	}
	return append(attributes, semconv.ServerPort(port))
}

// watched returns a body that ends the span when it has been read or closed. The
// body of a 101 response is also an io.Writer, and what is returned is one then.
func watched(ctx context.Context, body io.ReadCloser, span trace.Span) io.ReadCloser {
	watched := &watchedBody{ReadCloser: body, span: span, clientGone: func() bool { return ctx.Err() != nil }}
	if both, ok := body.(io.ReadWriteCloser); ok {
		return struct {
			io.ReadCloser
			io.Writer
		}{watched, both}
	}
	return watched
}

type watchedBody struct {
	io.ReadCloser

	span trace.Span
	// clientGone reports whether the request was canceled. If the body breaks off
	// after that, the server is not at fault.
	clientGone func() bool
}

// Read implements [io.Reader].
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		if !errors.Is(err, io.EOF) && !b.clientGone() {
			fail(b.span, err)
		}
		b.span.End()
	}
	return n, err
}

// Close implements [io.Closer]. Errors of reads after it are not recorded.
func (b *watchedBody) Close() error {
	b.span.End()
	return b.ReadCloser.Close()
}
