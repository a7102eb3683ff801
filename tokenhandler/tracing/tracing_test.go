package tracing_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"cognito-token-handler/tokenhandler/tracing"
)

const (
	clientTrace  = "0af7651916cd43dd8448eb211c80319c"
	clientSpan   = "b7ad6b7169203331"
	clientParent = "00-" + clientTrace + "-" + clientSpan + "-01"
)

// newTracer returns a tracer that samples everything, and the spans it exports.
func newTracer(t *testing.T, propagators ...string) (*tracing.Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	return newSampling(t, sdktrace.AlwaysSample(), propagators...)
}

func newSampling(t *testing.T, sampler sdktrace.Sampler, propagators ...string) (*tracing.Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	if len(propagators) == 0 {
		propagators = []string{"tracecontext"}
	}
	propagator, err := tracing.Propagator(propagators...)
	if err != nil {
		t.Fatal(err)
	}
	exported := tracetest.NewInMemoryExporter()
	return tracing.New(tracing.Config{
		Provider:   sdktrace.NewTracerProvider(sdktrace.WithSyncer(exported), sdktrace.WithSampler(sampler)),
		Propagator: propagator,
		PublicURL:  &url.URL{Scheme: "https", Host: "app.example.com"},
	}), exported
}

// attributes returns the attributes of a span as text.
func attributes(span tracetest.SpanStub) map[string]string {
	all := map[string]string{}
	for _, a := range span.Attributes {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

func only(t *testing.T, exported *tracetest.InMemoryExporter) tracetest.SpanStub {
	t.Helper()
	spans := exported.GetSpans()
	if len(spans) != 1 {
		t.Fatalf("%d spans", len(spans))
	}
	return spans[0]
}

func request(t *testing.T, method, target string, header ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func TestServerSpan(t *testing.T) {
	tracer, exported := newTracer(t)
	r := request(t, http.MethodGet, "/api/orders?code=planted", "Cookie", "planted", "Host", "planted", "User-Agent", "planted")
	_, span := tracer.Serve(t.Context(), r, "ID")
	span.SetRoute("/api/")
	span.Answered(http.StatusOK, "")
	got := only(t, exported)
	if got.Name != "GET /api/" || got.SpanKind != trace.SpanKindServer || got.Status.Code != codes.Unset || got.Parent.IsValid() {
		t.Errorf("%s, %s, %v, parent %v", got.Name, got.SpanKind, got.Status, got.Parent)
	}
	if span.TraceID() != got.SpanContext.TraceID().String() {
		t.Errorf("trace %s is called %s", got.SpanContext.TraceID(), span.TraceID())
	}
	if diff := cmp.Diff(map[string]string{
		"http.request.method": "GET", "http.route": "/api/", "http.response.status_code": "200", "url.path": "/api/orders",
		"url.scheme": "https", "server.address": "app.example.com", "server.port": "443", "request_id": "ID",
	}, attributes(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A client can neither choose a span's name nor make a span that cannot be exported.
func TestServerSpanOfAHostileClient(t *testing.T) {
	tracer, exported := newTracer(t)
	r := request(t, "PLANTED", "/")
	r.URL.Path = "/\xff" + strings.Repeat("é", 1000)
	_, span := tracer.Serve(t.Context(), r, "ID")
	span.Answered(http.StatusInternalServerError, "internal_error")
	got := only(t, exported)
	if got.Name != "HTTP" || got.Status.Code != codes.Error || got.Status.Description != "" {
		t.Errorf("%s, %v", got.Name, got.Status)
	}
	attrs := attributes(got)
	if path := attrs["url.path"]; !strings.HasPrefix(path, "/\uFFFDé") || strings.ToValidUTF8(path, "") != path || len(path) > 300 {
		t.Errorf("path %q", path)
	}
	if attrs["http.request.method"] != "_OTHER" || attrs["error.type"] != "internal_error" || attrs["http.response.status_code"] != "500" {
		t.Errorf("%v", attrs)
	}
}

func TestParent(t *testing.T) {
	for name, c := range map[string]struct {
		propagators, header []string
		parent              bool
	}{
		"W3C":                   {nil, []string{"Traceparent", clientParent}, true},
		"two of them":           {nil, []string{"Traceparent", clientParent, "Traceparent", clientParent}, false},
		"invalid":               {nil, []string{"Traceparent", strings.ToUpper(clientParent)}, false},
		"B3 unless chosen":      {nil, []string{"B3", clientTrace + "-" + clientSpan + "-1"}, false},
		"B3":                    {[]string{"b3"}, []string{"B3", clientTrace + "-" + clientSpan + "-1"}, true},
		"W3C if B3 is chosen":   {[]string{"b3"}, []string{"Traceparent", clientParent}, false},
		"W3C if none is chosen": {[]string{"none"}, []string{"Traceparent", clientParent}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, exported := newTracer(t, c.propagators...)
			_, span := tracer.Serve(t.Context(), request(t, http.MethodGet, "/", c.header...), "ID")
			span.Answered(http.StatusOK, "")
			got := only(t, exported)
			isParent := got.Parent.SpanID().String() == clientSpan && got.SpanContext.TraceID().String() == clientTrace
			if isParent != c.parent || got.Parent.IsValid() != c.parent {
				t.Errorf("parent %v of trace %s", got.Parent.SpanID(), got.SpanContext.TraceID())
			}
		})
	}
}

// A nil Tracer does nothing and allocates nothing.
func TestNilTracer(t *testing.T) {
	var tracer *tracing.Tracer
	next := &http.Transport{}
	if tracer.Transport(next, nil) != http.RoundTripper(next) {
		t.Error("the transport was replaced")
	}
	if err := tracer.Do(t.Context(), "", func(context.Context) error { return io.EOF }); !errors.Is(err, io.EOF) {
		t.Errorf("error %v", err)
	}
	ctx, r := t.Context(), request(t, http.MethodGet, "/", "Traceparent", clientParent)
	if n := testing.AllocsPerRun(100, func() {
		same, span := tracer.Serve(ctx, r, "ID")
		span.SetRoute("/")
		span.Answered(http.StatusOK, "")
		if same != ctx || span.TraceID() != "" {
			t.Error("there is a span")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
