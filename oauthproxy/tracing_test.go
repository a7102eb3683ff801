package oauthproxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/tracing"
)

// newTracer returns a tracer and the spans that it exports.
func newTracer() (*tracing.Tracer, *spans) {
	exported := &spans{InMemoryExporter: tracetest.NewInMemoryExporter()}
	return tracing.New(tracing.Config{
		Provider:   sdktrace.NewTracerProvider(sdktrace.WithSyncer(exported)),
		Propagator: propagation.TraceContext{},
		PublicURL:  &url.URL{Scheme: "https", Host: "app.example.com"},
	}), exported
}

type spans struct{ *tracetest.InMemoryExporter }

// wait returns the spans as soon as there are n. A server's span ends after its response,
// so it is the last one.
func (s *spans) wait(t *testing.T, n int) []tracetest.SpanStub {
	t.Helper()
	var got tracetest.SpanStubs
	testkit.Eventually(t, fmt.Sprintf("%d spans", n), func() bool { got = s.GetSpans(); return len(got) >= n })
	return got
}

func attribute(span tracetest.SpanStub, key string) string {
	for _, a := range span.Attributes {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

// Every attempt has a span of its own, which is the parent of the upstream's.
func TestSpanOfEveryTry(t *testing.T) {
	up := refusingUpstream(t)
	tracer, exported := newTracer()
	p := newTracedProxy(t, tracer, api(t, up.URL))
	var renewals atomic.Int32
	p.tokens.renew = renewing(&renewals)
	const client = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	p.get(t, "/api/users/7?q=planted", "Traceparent", client, "Baggage", "a=planted", "Tracestate", "vendor=1")
	got := exported.wait(t, 3)
	first, second, server := got[0], got[1], got[2]
	for i, try := range []tracetest.SpanStub{first, second} {
		if try.Name != "GET /api/" || try.SpanKind != trace.SpanKindClient || try.Parent.SpanID() != server.SpanContext.SpanID() {
			t.Errorf("try %d: %s, parent %s", i, try.Name, try.Parent.SpanID())
		}
		sent := up.requests()[i].Header
		want := "00-0af7651916cd43dd8448eb211c80319c-" + try.SpanContext.SpanID().String() + "-01"
		if !slices.Equal(sent["Traceparent"], []string{want}) || sent.Get("Tracestate") != "vendor=1" || sent["Baggage"] != nil {
			t.Errorf("try %d: the upstream got %q, %q, %q; want %s", i, sent["Traceparent"], sent["Tracestate"], sent["Baggage"], want)
		}
	}
	if attribute(first, "http.response.status_code") != "401" || attribute(first, "http.request.resend_count") != "" ||
		attribute(second, "http.response.status_code") != "200" || attribute(second, "http.request.resend_count") != "1" {
		t.Errorf("%v\n%v", first.Attributes, second.Attributes)
	}
	if attribute(first, "url.full") != up.URL+"/api/users/7" {
		t.Errorf("url.full %q", attribute(first, "url.full"))
	}
	if server.Name != "GET /api/" || server.SpanKind != trace.SpanKindServer || server.Parent.SpanID().String() != "b7ad6b7169203331" || server.Status.Code != codes.Unset {
		t.Errorf("%s, parent %s, %v", server.Name, server.Parent.SpanID(), server.Status)
	}
	if !p.log.Contains(`"trace_id":"0af7651916cd43dd8448eb211c80319c"`) {
		t.Errorf("the log does not name the trace: %s", p.log.String())
	}
}

// The spans of failures name the kind of error.
func TestSpansOfFailures(t *testing.T) {
	hanging := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	slow := api(t, hanging.URL)
	slow.Path, slow.Timeout = "/slow/", 20*time.Millisecond
	echoing := api(t, rawUpstream(t, "HTTP/1.1 200 OK\r\nplanted\r\n\r\n"))
	echoing.Path = "/echo/"
	breaking := api(t, rawUpstream(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
	breaking.Path = "/break/"
	tracer, exported := newTracer()
	p := newTracedProxy(t, tracer, slow, echoing, breaking)
	for route, want := range map[string]struct{ client, server, status string }{
		"/slow/":  {"timeout", "upstream_timeout", "504"},
		"/echo/":  {"net/textproto.ProtocolError", "upstream_error", "502"},
		"/break/": {"*errors.errorString", "aborted", "200"}, // io.ErrUnexpectedEOF
	} {
		exported.Reset()
		response, err := p.Client().Transport.RoundTrip(p.request(t, http.MethodGet, route+"x", http.NoBody))
		if err == nil { // a response that breaks off may not even begin
			_ = response.Body.Close()
		}
		got := exported.wait(t, 2)
		client, server := got[0], got[1]
		if attribute(client, "error.type") != want.client || client.Status != (sdktrace.Status{Code: codes.Error}) {
			t.Errorf("%s: the try is %q, %v", route, attribute(client, "error.type"), client.Status)
		}
		if attribute(server, "error.type") != want.server || attribute(server, "http.response.status_code") != want.status || server.Status != (sdktrace.Status{Code: codes.Error}) {
			t.Errorf("%s: the request is %q, %s, %v", route, attribute(server, "error.type"), attribute(server, "http.response.status_code"), server.Status)
		}
	}
}

// The spans of a WebSocket end with it.
func TestSpansOfASocket(t *testing.T) {
	up := newUpstream(t, echo(nil))
	tracer, exported := newTracer()
	p := newTracedProxy(t, tracer, socketRoute(t, up.URL))
	conn := p.dial(t, "/api/socket", websocket.DialOptions{})
	exchange(t, conn, websocket.MessageText, []byte("planted"))
	if n := len(exported.GetSpans()); n != 0 {
		t.Errorf("%d spans have ended", n)
	}
	_ = conn.Close(websocket.StatusNormalClosure, "")
	for _, span := range exported.wait(t, 2) {
		if attribute(span, "http.response.status_code") != "101" || span.Status.Code != codes.Unset {
			t.Errorf("%s %s: %v, %v", span.SpanKind, span.Name, span.Attributes, span.Status)
		}
	}
}

// The spans of a stream end with it, and a client that leaves is not an error.
func TestSpansOfAStream(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: planted\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	tracer, exported := newTracer()
	p := newTracedProxy(t, tracer, api(t, up.URL))
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	response, err := p.Client().Transport.RoundTrip(p.request(t, http.MethodGet, "/api/events", http.NoBody).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.ReadFull(response.Body, make([]byte, len("data: planted\n\n"))); err != nil {
		t.Fatal(err)
	}
	if n := len(exported.GetSpans()); n != 0 {
		t.Errorf("%d spans have ended", n)
	}
	leave()
	for _, span := range exported.wait(t, 2) {
		if attribute(span, "http.response.status_code") != "200" || span.Status.Code != codes.Unset {
			t.Errorf("%s %s: %v, %v", span.SpanKind, span.Name, span.Attributes, span.Status)
		}
	}
}
