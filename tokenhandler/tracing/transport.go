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

// Call is what the span of a request to a server tells beside what is told of
// all of them.
type Call struct {
	// Name stands in the span's name behind the method. It must be configured or
	// fixed, never a client's.
	Name string
	// Resent is how often the same request was sent before.
	Resent int
	// Propagate tells the server of the span, in place of what clients said of
	// theirs: then its own spans are that one's children.
	Propagate bool
}

// Transport makes a span of every request that goes through next: from its
// beginning to the end of the answer's body.
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
		r.Header = t.tracer.told(ctx, r.Header)
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

// told is header with what it says of a trace replaced by ctx's.
func (t *Tracer) told(ctx context.Context, header http.Header) http.Header {
	header = maps.Clone(header)
	for _, name := range t.headers {
		delete(header, name)
	}
	t.propagator.Inject(ctx, propagation.HeaderCarrier(header))
	return header
}

// Do makes a span of what do does by other means than a [Tracer.Transport].
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

// fail tells the kind of an error and not its text, which may quote the server.
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

// withoutSecrets is a URL without its query, in which there are codes, keys and
// signatures, and without a user.
func withoutSecrets(u *url.URL) string {
	return u.Scheme + "://" + u.Host + printable(u.EscapedPath())
}

// address tells the server of a URL.
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

// watched ends the span with the body. That of a protocol switch can be written
// to, and stays so.
func watched(ctx context.Context, body io.ReadCloser, span trace.Span) io.ReadCloser {
	watched := &watchedBody{ReadCloser: body, span: span, isOver: func() bool { return ctx.Err() != nil }}
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
	// isOver reports whether nobody waits for the body any more: that it breaks
	// off then is not the server's fault.
	isOver func() bool
}

// Read implements [io.Reader].
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		if !errors.Is(err, io.EOF) && !b.isOver() {
			fail(b.span, err)
		}
		b.span.End()
	}
	return n, err
}

// Close implements [io.Closer]. What a read says after it is not told.
func (b *watchedBody) Close() error {
	b.span.End()
	return b.ReadCloser.Close()
}
