package tracing

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name of the instrumentation scope of all spans.
const scope = "cognito-token-handler"

// maxPath is the length in bytes at which paths are cut, because clients choose
// them. The request log cuts at the same length.
const maxPath = 256

// Config configures a [Tracer].
type Config struct {
	// Provider receives the spans. Required.
	Provider trace.TracerProvider
	// Propagator reads and writes the headers that carry a trace, see
	// [Propagator]. Required.
	Propagator propagation.TextMapPropagator
	// PublicURL is the origin under which clients reach the service. Required.
	PublicURL *url.URL
}

// Propagator returns the propagator that reads and writes the headers of the
// named formats: tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace. With
// none among the names it reads and writes no header. The error says that a name
// is unknown.
func Propagator(names ...string) (propagation.TextMapPropagator, error) {
	propagator, err := autoprop.TextMapPropagator(names...)
	if err != nil {
		return nil, fmt.Errorf("choosing the headers of traces: %w", err)
	}
	return propagator, nil
}

// Tracer makes spans. A nil Tracer makes none and returns nil Spans; the methods
// of both may be called and do nothing. A Tracer is safe for concurrent use.
type Tracer struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	server     []attribute.KeyValue // on every server span
	headers    []string             // the headers that carry a trace
}

// New returns a Tracer.
func New(cfg Config) *Tracer {
	t := &Tracer{
		tracer:     cfg.Provider.Tracer(scope),
		propagator: cfg.Propagator,
		server:     append(address(cfg.PublicURL), semconv.URLScheme(cfg.PublicURL.Scheme)),
	}
	// Clients can write any data in baggage. It reaches an upstream only if the
	// operator chose the baggage propagator.
	for _, name := range append(cfg.Propagator.Fields(), "traceparent", "tracestate", "baggage") {
		t.headers = append(t.headers, http.CanonicalHeaderKey(name))
	}
	return t
}

// Span is the server span of one request. It is not safe for concurrent use: it
// belongs to the goroutine that serves the request.
type Span struct {
	span          trace.Span
	method, route string
}

// Serve starts the server span of r. Its parent is the span in r's headers, if
// there is one. The returned context carries the span, so that spans started with
// it become its children. id is the request's id in the log.
func (t *Tracer) Serve(ctx context.Context, r *http.Request, id string) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	if len(r.Header["Traceparent"]) <= 1 { // two are invalid: W3C Trace Context, section 3.2
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

// SetRoute sets the route that the request matched, which becomes part of the
// span's name. It must come from the configuration, never from a client: backends
// group spans by name.
func (s *Span) SetRoute(route string) {
	if s != nil {
		s.route = route
	}
}

// TraceID returns the id of the trace in hex, or "" if s is nil.
func (s *Span) TraceID() string {
	if s == nil {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// Answered ends the span. status is the response's, or 0 if none was sent. fault is
// the code of an error that the client did not cause, or "".
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

// methodOf returns the attribute for a method. A method that is not a standard one
// is reported as _OTHER, because clients can invent methods without end.
func methodOf(method string) attribute.KeyValue {
	if isKnown(method) {
		return semconv.HTTPRequestMethodKey.String(method)
	}
	return semconv.HTTPRequestMethodOther
}

// nameOf returns the first word of a span's name.
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

// printable cuts a client's path and replaces what is not UTF-8 in it: a single
// such byte would keep a whole batch of spans from being exported.
func printable(path string) string {
	if len(path) > maxPath {
		path = path[:maxPath] + "…"
	}
	return strings.ToValidUTF8(path, "\uFFFD")
}
