package app_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/tracing"
)

const (
	server = tracepb.Span_SPAN_KIND_SERVER
	client = tracepb.Span_SPAN_KIND_CLIENT
)

const collectorKey = "planted-collector-key-5d0c"

// TestNoSecretIsExported drives every flow and then looks for tokens, codes,
// states, queries and signatures in all that a collector was sent.
func TestNoSecretIsExported(t *testing.T) {
	c, certificate := newTLSCollector(t)
	s := startWith(t, cognitotest.Options{Rotation: true}, service{environ: []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.address, "OTEL_EXPORTER_OTLP_CERTIFICATE=" + certificate, "OTEL_EXPORTER_OTLP_HEADERS=x-key=" + collectorKey, "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
		"OTEL_SERVICE_NAME=shop", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test",
	}})
	ua, planted := s.drive()
	upload := s.login().Fetch(http.MethodPost, "/storage/uploads", `{"key":"planted-key","content_type":"text/plain","size":1}`, jsonBody)
	var presigned struct{ URL string }
	if err := json.Unmarshal(upload.Body, &presigned); err != nil {
		t.Fatalf("%v: %s", err, upload.Body)
	}
	signed, err := url.Parse(presigned.URL)
	if err != nil || len(signed.Query().Get("X-Amz-Signature")) != 64 {
		t.Fatalf("presigned %q: %v", presigned.URL, err)
	}
	ua.Fetch(http.MethodGet, "/open/%ff", "") // what is no text would keep the others from being exported
	ua.Fetch(http.MethodGet, "/open/x", "", withHeader("Baggage", "a=planted-baggage"))
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	content, n := c.exported()
	for _, secret := range append(planted, signed.Query().Get("X-Amz-Signature"), "X-Amz", "planted-key", "planted-baggage", "AKIATEST", collectorKey, "demo@example.com", s.pool.User("demo").Sub) {
		if strings.Contains(content, secret) {
			t.Errorf("exported: %.12s…", secret)
		}
	}
	if s.log.Contains(collectorKey) {
		t.Error("the log holds the collector's key")
	}
	for _, key := range c.keys {
		if key != collectorKey {
			t.Errorf("exported with the key %q", key)
		}
	}
	if c.resource["service.name"] != "shop" || c.resource["deployment.environment.name"] != "test" || c.resource["host.name"] == "" {
		t.Errorf("exported by %v", c.resource)
	}
	for kind, names := range map[tracepb.Span_SpanKind][]string{
		server: {"GET /auth/login", "GET /auth/callback", "GET /auth/session", "POST /auth/refresh", "POST /auth/logout", "GET /api/", "GET /down/", "GET /open/", "POST /storage/uploads"},
		client: {"GET /api/", "GET /down/", "POST token", "POST revocation", "GET discovery", "GET jwks"},
	} {
		for _, name := range names {
			if len(c.named(kind, name)) == 0 {
				t.Errorf("no %s %s among %d spans", kind, name, n)
			}
		}
	}
	s.wantChildren(c)
}

func withHeader(name, val string) useragent.FetchOptions {
	return useragent.FetchOptions{Header: map[string]string{name: val}}
}

// wantChildren asserts that spans are the children of those that they were made
// for.
func (s *service) wantChildren(c *collector) {
	s.tb.Helper()
	parents := map[string]string{}
	for _, name := range []string{"GET /auth/callback", "POST /auth/refresh", "POST /auth/logout", "GET /api/"} {
		for _, span := range c.named(server, name) {
			parents[spanID(span)] = name
		}
	}
	children := map[string]bool{}
	for _, name := range []string{"POST token", "POST revocation", "GET /api/"} {
		for _, span := range c.named(client, name) {
			children[parents[hex.EncodeToString(span.GetParentSpanId())]+" → "+name] = true
		}
	}
	for _, want := range []string{
		"GET /auth/callback → POST token", "POST /auth/refresh → POST token", "POST /auth/logout → POST revocation",
		"GET /api/ → GET /api/", "GET /api/ → POST token", // a token that the API refused was renewed
	} {
		if !children[want] {
			s.tb.Errorf("no %s in %v", want, children)
		}
	}
}

// TestSpansAreJoined: with the client's trace, the upstream's spans and the log.
func TestSpansAreJoined(t *testing.T) {
	c := newGRPCCollector(t)
	s := startWith(t, cognitotest.Options{}, service{environ: []string{
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + c.address, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_HEADERS=x-key=" + collectorKey,
	}})
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	s.login().Fetch(http.MethodGet, "/api/me", "", withHeader("Traceparent", "00-"+trace+"-"+parent+"-01"))
	received := s.api.last()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	answered, made := c.named(server, "GET /api/"), c.named(client, "GET /api/")
	if len(answered) != 1 || len(made) != 1 {
		t.Fatalf("%d and %d spans", len(answered), len(made))
	}
	if hex.EncodeToString(answered[0].GetTraceId()) != trace || hex.EncodeToString(answered[0].GetParentSpanId()) != parent {
		t.Errorf("it is not the client's child: %v", answered[0])
	}
	if want := "00-" + trace + "-" + spanID(made[0]) + "-01"; received.Get("Traceparent") != want || hex.EncodeToString(made[0].GetParentSpanId()) != spanID(answered[0]) {
		t.Errorf("the upstream received %s, want %s", received.Get("Traceparent"), want)
	}
	id := textOf(answered[0].GetAttributes())["request_id"]
	if id == "" || id != received.Get("X-Request-ID") || !regexp.MustCompile(`"request_id":"`+id+`".*"path":"/api/me".*"trace_id":"`+trace+`"`).MatchString(s.log.String()) {
		t.Errorf("the request is called %q here and %q upstream, and the log says\n%s", id, received.Get("X-Request-ID"), s.log.String())
	}
	if !slices.Contains(c.keys, collectorKey) {
		t.Errorf("exported with the keys %q", c.keys)
	}
}

// TestSocketsAndStreamsWithTracing: they pass as without, and their spans end
// when they do.
func TestSocketsAndStreamsWithTracing(t *testing.T) {
	c := newCollector(t)
	s := startWith(t, cognitotest.Options{}, service{environ: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.address, "OTEL_BSP_SCHEDULE_DELAY=1"}})
	ua := s.login()
	conn := s.dial(ua)
	s.wantEcho(conn)
	read, ended := s.stream(ua)
	<-read
	testkit.Eventually(s.tb, "exported", func() bool { return len(c.named(server, "GET /auth/callback")) > 0 })
	if n := len(c.named(server, "GET /live/")); n != 0 {
		t.Errorf("%d spans have ended", n)
	}
	ua.Fetch(http.MethodPost, "/auth/logout", "")
	s.wantClosed(conn, 4401, "session ended")
	if err := <-ended; errors.Is(err, io.EOF) {
		t.Error("the stream ended as if it were whole")
	}
	for _, kind := range []tracepb.Span_SpanKind{server, client} {
		testkit.Eventually(s.tb, "ended", func() bool { return len(c.named(kind, "GET /live/")) == 2 })
	}
	_ = conn.Close(websocket.StatusNormalClosure, "")
}

// TestFailingCollector: whatever it does, requests are answered, the shutdown is
// in time, and what it answers are not in the log. It could echo its key.
func TestFailingCollector(t *testing.T) {
	const either = "tracing met an error|the last spans may be lost"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // in the log
	}{
		"down": {nil, "tracing met an error.*connection refused"},
		"refuses, and echoes": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, r.Header.Get("X-Key"))
		}, "tracing met an error.*the collector answered with HTTP status 401"},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/?"+r.Header.Get("X-Key"), http.StatusFound)
		}, either},
		"nonsense":   {func(w http.ResponseWriter, r *http.Request) { hijackAndSay(w, r.Header.Get("X-Key")) }, either},
		"overloaded": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, either},
		"hangs": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, either},
	} {
		t.Run(name, func(t *testing.T) {
			before := batches(t)
			address, stop := "http://localhost:1", func() {}
			if c.answer != nil {
				collector := httptest.NewUnstartedServer(c.answer)
				collector.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
				collector.Start()
				address, stop = collector.URL, func() { collector.CloseClientConnections(); collector.Close() }
			}
			defer stop()
			environ := []string{
				"OTEL_EXPORTER_OTLP_ENDPOINT=" + address, "OTEL_EXPORTER_OTLP_HEADERS=x-key=" + collectorKey,
				"OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_BSP_MAX_QUEUE_SIZE=2", // most spans find no room
				"OTEL_EXPORTER_OTLP_TIMEOUT=3600000", // so that only the flush timeout ends a hanging export
			}
			if name == "overloaded" { // it is asked again, for 30 seconds by default
				environ = append(environ, "OTEL_BSP_EXPORT_TIMEOUT=100")
			}
			s := startWith(t, cognitotest.Options{}, service{
				built: func(a *app.App) { app.FlushTimeout(a, 50*time.Millisecond) }, environ: environ,
			})
			ua := s.login()
			for range 20 {
				wantStatus(t, ua, "/api/me", http.StatusOK)
			}
			said := func() bool { return regexp.MustCompile(c.want).MatchString(s.log.String()) }
			if c.want != either { // the flush may end before the collector has answered
				testkit.Eventually(t, "an export fails", said)
			}
			stopped := make(chan error, 1)
			go func() { stopped <- s.stop() }()
			if err := testkit.Receive(t, stopped, "the end of the service"); err != nil {
				t.Errorf("stopping: %v", err)
			}
			if !said() || s.log.Contains(collectorKey) {
				t.Errorf("the log is\n%s", s.log.String())
			}
			stop()
			testkit.Eventually(s.tb, "given up", func() bool { return batches(t) <= before })
		})
	}
}

// hijackAndSay answers with what is no HTTP.
func hijackAndSay(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, text+"\r\n\r\n")
	_ = conn.Close()
}

// TestNoTracing: nothing is made, started or sent unless it is asked for.
func TestNoTracing(t *testing.T) {
	c := newCollector(t)
	for _, off := range []string{"OTEL_SDK_DISABLED=true", "OTEL_TRACES_EXPORTER=none"} {
		t.Run(off, func(t *testing.T) {
			before := batches(t)
			s := startWith(t, cognitotest.Options{}, service{environ: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.address, "OTEL_BSP_SCHEDULE_DELAY=1", off}})
			s.login().Fetch(http.MethodGet, "/api/me", "", withHeader("Baggage", "a=b"))
			if received := s.api.last(); !strings.HasSuffix(received.Get("Traceparent"), "-00") || received.Get("Baggage") != "a=b" {
				t.Errorf("the upstream received %q, %q", received.Get("Traceparent"), received.Get("Baggage"))
			}
			if now := batches(t); now > before { // those of other tests may still try
				t.Errorf("%d goroutines wait for spans", now-before)
			}
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			if _, n := c.exported(); n != 0 || s.log.Contains("trace_id") {
				t.Errorf("%d spans, and the log is\n%s", n, s.log.String())
			}
		})
	}
}

// batches counts the goroutines that wait for spans.
func batches(t *testing.T) int {
	t.Helper()
	var all strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&all, 2); err != nil {
		t.Fatal(err)
	}
	return strings.Count(all.String(), "created by go.opentelemetry.io/otel/sdk/trace.NewBatchSpanProcessor")
}

// The text of an SDK's error may quote a collector or a client.
func TestDescribeExportError(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errors.New("connection refused"))}
	for want, err := range map[string]error{
		"dial tcp: connect: connection refused":                   fmt.Errorf("traces export: %w", &url.Error{Op: "Post", URL: "planted", Err: refused}),
		"the collector answered with HTTP status 400":             errors.New("traces export: failed to send to http://c/v1/traces: 400 planted (body: planted)"),
		"the collector answered with gRPC status Unauthenticated": fmt.Errorf("traces export: %w", grpcstatus.Error(codes.Unauthenticated, "planted")),
		"the collector did not take them in time":                 fmt.Errorf("%w: body: planted", context.DeadlineExceeded),
		"an error of type *errors.errorString":                    errors.New("planted"),
		"an error of type *errors.joinError":                      errors.Join(errors.New(`malformed HTTP response "planted"`)),
	} {
		if got := app.DescribeExportError(err); got != want {
			t.Errorf("%q is described as %q, want %q", err, got, want)
		}
	}
}

func TestExportErrorsAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testkit.Log
		handler := app.ExportErrors(log.Logger())
		for range 200 { // 100 seconds
			handler.Handle(errors.New("planted"))
			time.Sleep(500 * time.Millisecond)
		}
		if got := len(log.Records(t)); got != 2 || !log.Contains(`"so_far":121`) || log.Contains("planted") {
			t.Errorf("logged %d times:\n%s", got, &log)
		}
	})
}

// What the SDK logs quotes environment variables that hold keys.
func TestSDKLogHoldsNoValues(t *testing.T) {
	var log testkit.Log
	sdk := app.SDKLog(log.Logger())
	sdk.WithName("planted").WithValues("planted", "planted").Error(errors.New("planted"), "parse headers", "input", "planted")
	sdk.Info("planted", "planted", "planted")
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"step":"parse headers"`) || strings.Contains(got, "planted") {
		t.Errorf("logged:\n%s", got)
	}
}

// TestCredentialsSpan: the storage's credentials are looked up within a span,
// which holds none of them.
func TestCredentialsSpan(t *testing.T) {
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, roleAnswer)
	}))
	t.Cleanup(sts.Close)
	assumeRole(t, sts.URL)
	exported := tracetest.NewInMemoryExporter()
	tracer := tracing.New(tracing.Config{
		Provider:   sdktrace.NewTracerProvider(sdktrace.WithSyncer(exported)),
		Propagator: propagation.TraceContext{}, PublicURL: &url.URL{Scheme: "http", Host: "localhost"},
	})
	credentials, err := app.AWSCredentials(t.Context(), "us-east-1", 10*time.Second, tracer)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time they are known
		if got, err := credentials.Retrieve(t.Context()); err != nil || got.AccessKeyID != "ASIATEST" {
			t.Fatalf("%q, %v", got.AccessKeyID, err)
		}
	}
	spans := exported.GetSpans()
	if len(spans) != 1 || spans[0].Name != "STS AssumeRoleWithWebIdentity" || len(spans[0].Attributes) != 0 {
		t.Errorf("%v", spans)
	}
}
