package tracing

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name under which the spans are exported.
const scope = "cognito-token-handler"

// maxPath bounds the paths in spans: it is clients that choose them. The request
// log cuts at the same length.
const maxPath = 256

// Config is what a [Tracer] needs.
type Config struct {
	// Provider takes the spans. Required.
	Provider trace.TracerProvider
	// Propagator reads and writes the headers that tell of a trace. Required.
	Propagator propagation.TextMapPropagator
	// PublicURL is where clients find the service. Required.
	PublicURL *url.URL
}

// Tracer makes spans. A nil one makes none and costs nothing; so does the nil
// [Span] that it returns. It is safe for concurrent use.
type Tracer struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	server     []attribute.KeyValue // of every request that is answered
	headers    []string             // those that tell of a trace
}

// New returns a Tracer.
func New(cfg Config) *Tracer {
	t := &Tracer{
		tracer:     cfg.Provider.Tracer(scope),
		propagator: cfg.Propagator,
		server:     append(address(cfg.PublicURL), semconv.URLScheme(cfg.PublicURL.Scheme)),
	}
	// Baggage is data: what clients say in it is passed on only if it is asked for.
	for _, name := range append(cfg.Propagator.Fields(), "traceparent", "tracestate", "baggage") {
		t.headers = append(t.headers, http.CanonicalHeaderKey(name))
	}
	return t
}

// Span is the span of a request that is answered. It belongs to the goroutine
// that serves the request.
type Span struct {
	span          trace.Span
	method, route string
}

// Serve begins the span of a request that is to be answered. Its parent is the
// span that the client tells of, if any. The context is for all that is done for
// the request; id is the one under which it is logged.
func (t *Tracer) Serve(ctx context.Context, r *http.Request, id string) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	if len(r.Header["Traceparent"]) <= 1 { // of two none counts (W3C Trace Context)
		ctx = t.propagator.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	method := nameOf(r.Method)
	ctx, span := t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer))
	if span.IsRecording() {
		span.SetAttributes(t.server...)
		span.SetAttributes(methodOf(r.Method), semconv.URLPath(printable(r.URL.Path)), attribute.String("request_id", id))
	}
	return ctx, &Span{span: span, method: method}
}

// SetRoute names the span by what the request was matched with. The name must be
// configured, never a client's.
func (s *Span) SetRoute(route string) {
	if s != nil {
		s.route = route
	}
}

// TraceID is the trace's, in hex; empty without a span.
func (s *Span) TraceID() string {
	if s == nil {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// Answered ends the span. The status is 0 if none was sent; fault names what went
// wrong, if that is not the client's doing, and may be empty.
func (s *Span) Answered(status int, fault string) {
	if s == nil {
		return
	}
	defer s.span.End()
	if !s.span.IsRecording() {
		return
	}
	if s.route != "" {
		s.span.SetName(s.method + " " + s.route)
		s.span.SetAttributes(semconv.HTTPRoute(s.route))
	}
	if status != 0 {
		s.span.SetAttributes(semconv.HTTPResponseStatusCode(status))
	}
	if fault != "" {
		s.span.SetAttributes(semconv.ErrorTypeKey.String(fault))
		s.span.SetStatus(codes.Error, "")
	}
}

// methodOf is the attribute of a method. Clients may make methods up.
func methodOf(method string) attribute.KeyValue {
	if isKnown(method) {
		return semconv.HTTPRequestMethodKey.String(method)
	}
	return semconv.HTTPRequestMethodOther
}

// nameOf is what a span's name begins with.
func nameOf(method string) string {
	if isKnown(method) {
		return method
	}
	return "HTTP"
}

func isKnown(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return true
	}
	return false
}

// printable makes a client's path fit for a span. One byte that is not UTF-8
// would keep the whole batch of spans from being exported.
func printable(path string) string {
	if len(path) > maxPath {
		path = path[:maxPath] + "…"
	}
	return strings.ToValidUTF8(path, "\uFFFD")
}
