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
	"go.opentelemetry.io/otel/trace"

	"cognito-token-handler/tokenhandler/tracing"
)

// upstream starts a server. The header is that of its latest request.
func upstream(t *testing.T, answer http.HandlerFunc) (*url.URL, *http.Header) {
	t.Helper()
	var seen http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u, &seen
}

func transportOf(tracer *tracing.Tracer, call tracing.Call) http.RoundTripper {
	return tracer.Transport(&http.Transport{DisableKeepAlives: true}, func(*http.Request) tracing.Call { return call })
}

func get(ctx context.Context, t *testing.T, target string, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func TestClientSpan(t *testing.T) {
	tracer, exported := newTracer(t)
	server, seen := upstream(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	r := get(t.Context(), t, "http://user:planted@"+server.Host+"/a%20b?code=planted", "Authorization", "planted",
		"Traceparent", clientParent, "Tracestate", "a=planted", "Baggage", "a=planted")
	answer, err := transportOf(tracer, tracing.Call{Name: "/api/", Resent: 1, Propagate: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(exported.GetSpans()) != 0 {
		t.Error("the span has ended before the body")
	}
	_ = answer.Body.Close()
	got := only(t, exported)
	if got.Name != "GET /api/" || got.SpanKind != trace.SpanKindClient || got.Status.Code != codes.Error || got.Status.Description != "" {
		t.Errorf("%s, %s, %v", got.Name, got.SpanKind, got.Status)
	}
	if diff := cmp.Diff(map[string]string{
		"http.request.method": "GET", "http.response.status_code": "404", "error.type": "404", "http.request.resend_count": "1",
		"url.full": server.String() + "/a%20b", "server.address": server.Hostname(), "server.port": server.Port(),
	}, attributes(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	own := "00-" + got.SpanContext.TraceID().String() + "-" + got.SpanContext.SpanID().String() + "-01"
	if sent := seen.Values("Traceparent"); len(sent) != 1 || sent[0] != own || seen.Get("Tracestate") != "" || seen.Get("Baggage") != "" {
		t.Errorf("the server got %q, tracestate %q, baggage %q", sent, seen.Get("Tracestate"), seen.Get("Baggage"))
	}
	if r.Header.Get("Traceparent") != clientParent {
		t.Error("the caller's request was changed")
	}
}

// Baggage and other formats are sent if their propagator is chosen. A server that
// is not the operator's own gets no trace headers at all.
func TestPropagation(t *testing.T) {
	for name, c := range map[string]struct {
		propagators []string
		propagate   bool
		want        map[string]bool // header → is there
	}{
		"W3C":           {nil, true, map[string]bool{"Traceparent": true}},
		"baggage":       {[]string{"tracecontext", "baggage"}, true, map[string]bool{"Traceparent": true, "Baggage": true}},
		"B3":            {[]string{"b3"}, true, map[string]bool{"B3": true}},
		"nothing":       {[]string{"none"}, true, nil},
		"another party": {[]string{"tracecontext", "baggage"}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, _ := newTracer(t, c.propagators...)
			server, seen := upstream(t, func(http.ResponseWriter, *http.Request) {})
			ctx, _ := tracer.Serve(t.Context(), request(t, http.MethodGet, "/", "Traceparent", clientParent, "Baggage", "a=b"), "ID")
			answer, err := transportOf(tracer, tracing.Call{Name: "x", Propagate: c.propagate}).RoundTrip(get(ctx, t, server.String()))
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			for _, name := range []string{"Traceparent", "Tracestate", "Baggage", "B3"} {
				if seen.Get(name) != "" != c.want[name] {
					t.Errorf("%s: %q", name, seen.Get(name))
				}
			}
		})
	}
}

// The text of an error must not get into a span: a server may echo the request.
func TestClientSpanOfAFailure(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want string
	}{
		"invalid":  {t.Context(), errors.New(`malformed HTTP response "planted"`), "*errors.errorString"},
		"time-out": {t.Context(), &url.Error{Op: "planted", Err: context.DeadlineExceeded}, "timeout"},
		"canceled": {canceled, context.Canceled, "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, exported := newTracer(t)
			failing := roundTripper(func(*http.Request) (*http.Response, error) { return nil, c.err })
			transport := tracer.Transport(failing, func(*http.Request) tracing.Call { return tracing.Call{Name: "x"} })
			if _, err := transport.RoundTrip(get(c.ctx, t, "http://localhost/")); !errors.Is(err, c.err) { //nolint:bodyclose // there is none
				t.Errorf("error %v", err)
			}
			got := only(t, exported)
			if attributes(got)["error.type"] != c.want || got.Status != (sdktrace.Status{Code: codes.Error}) || len(got.Events) != 0 {
				t.Errorf("%v, %v, %v", attributes(got), got.Status, got.Events)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A client span ends when the body has been read, was closed or broke off. It is an
// error only if the server caused the end.
func TestClientSpanEndsWithTheBody(t *testing.T) {
	for name, c := range map[string]struct {
		body io.Reader
		use  func(body io.ReadCloser, leave context.CancelFunc)
		want string
	}{
		"read":       {strings.NewReader("all"), func(b io.ReadCloser, _ context.CancelFunc) { _, _ = io.ReadAll(b) }, ""},
		"closed":     {strings.NewReader("all"), func(b io.ReadCloser, _ context.CancelFunc) { _ = b.Close() }, ""},
		"broken off": {io.MultiReader(strings.NewReader("half"), broken{}), func(b io.ReadCloser, _ context.CancelFunc) { _, _ = io.ReadAll(b) }, "*errors.errorString"},
		"left": {io.MultiReader(strings.NewReader("half"), broken{}), func(b io.ReadCloser, leave context.CancelFunc) {
			leave()
			_, _ = io.ReadAll(b)
		}, ""},
		"broken off after it was closed": {broken{}, func(b io.ReadCloser, _ context.CancelFunc) {
			_ = b.Close()
			_, _ = io.ReadAll(b)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tracer, exported := newTracer(t)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			transport := tracer.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(c.body)}, nil
			}), func(*http.Request) tracing.Call { return tracing.Call{Name: "x"} })
			answer, err := transport.RoundTrip(get(ctx, t, "http://localhost/")) //nolint:bodyclose // the cases do
			if err != nil {
				t.Fatal(err)
			}
			if len(exported.GetSpans()) != 0 {
				t.Error("it has ended already")
			}
			c.use(answer.Body, leave)
			if got := attributes(only(t, exported))["error.type"]; got != c.want {
				t.Errorf("error.type %q, want %q", got, c.want)
			}
		})
	}
}

// broken is a body whose connection breaks.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("planted") }

// The body of a tunnel can be written to; no other body can.
func TestTunnelStaysWritable(t *testing.T) {
	tracer, exported := newTracer(t)
	for name, body := range map[string]io.ReadCloser{"tunnel": &tunnel{}, "body": io.NopCloser(strings.NewReader(""))} {
		transport := tracer.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: body}, nil
		}), func(*http.Request) tracing.Call { return tracing.Call{Name: "x"} })
		answer, err := transport.RoundTrip(get(t.Context(), t, "http://localhost/"))
		if err != nil {
			t.Fatal(err)
		}
		writer, writable := answer.Body.(io.Writer)
		if writable != (name == "tunnel") {
			t.Errorf("%s: writable is %v", name, writable)
		}
		if writable {
			_, _ = io.WriteString(writer, "hello")
		}
		_ = answer.Body.Close()
		if through, ok := body.(*tunnel); ok && (through.String() != "hello" || !through.closed) {
			t.Errorf("%q went through, closed %v", through.String(), through.closed)
		}
	}
	if n := len(exported.GetSpans()); n != 2 {
		t.Errorf("%d spans", n)
	}
}

type tunnel struct {
	strings.Builder

	closed bool
}

func (*tunnel) Read([]byte) (int, error) { return 0, io.EOF }

func (t *tunnel) Close() error {
	t.closed = true
	return nil
}

// The server learns that a trace is not sampled, and its spans are not exported.
func TestNotSampled(t *testing.T) {
	tracer, exported := newSampling(t, sdktrace.NeverSample())
	server, seen := upstream(t, func(http.ResponseWriter, *http.Request) {})
	ctx, span := tracer.Serve(t.Context(), request(t, http.MethodGet, "/", "Traceparent", clientParent), "ID")
	answer, err := transportOf(tracer, tracing.Call{Name: "x", Propagate: true}).RoundTrip(get(ctx, t, server.String()))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	span.Answered(http.StatusOK, "")
	sent := seen.Get("Traceparent")
	if !strings.HasPrefix(sent, "00-"+clientTrace) || !strings.HasSuffix(sent, "-00") || strings.Contains(sent, clientSpan) {
		t.Errorf("the server got %q", sent)
	}
	if span.TraceID() != clientTrace || len(exported.GetSpans()) != 0 {
		t.Errorf("trace %s, %d spans", span.TraceID(), len(exported.GetSpans()))
	}
}

func TestDo(t *testing.T) {
	tracer, exported := newTracer(t)
	failure := errors.New("planted")
	ctx, parent := tracer.Serve(t.Context(), request(t, http.MethodGet, "/"), "ID")
	if err := tracer.Do(ctx, "STS AssumeRole", func(context.Context) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
	got := only(t, exported)
	if got.Name != "STS AssumeRole" || got.Status != (sdktrace.Status{Code: codes.Error}) || got.SpanContext.TraceID().String() != parent.TraceID() {
		t.Errorf("%s, %v", got.Name, got.Status)
	}
}
