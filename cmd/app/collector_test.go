package app_test

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// collector receives spans as the service exports them.
type collector struct {
	collectorpb.UnimplementedTraceServiceServer

	tb      testing.TB
	address string

	mu       sync.Mutex
	bytes    []byte
	resource map[string]string
	all      []*tracepb.Span
	keys     []string // the key in each export
}

// newCollector receives OTLP over HTTP.
func newCollector(tb testing.TB) *collector {
	tb.Helper()
	c := &collector{tb: tb}
	server := httptest.NewServer(http.HandlerFunc(c.serve))
	tb.Cleanup(server.Close)
	c.address = server.URL
	return c
}

// newTLSCollector receives OTLP over HTTPS; certificate is the file of its certificate.
func newTLSCollector(tb testing.TB) (c *collector, certificate string) {
	tb.Helper()
	c = &collector{tb: tb}
	server := httptest.NewTLSServer(http.HandlerFunc(c.serve))
	tb.Cleanup(server.Close)
	c.address, certificate = server.URL, filepath.Join(tb.TempDir(), "collector.pem")
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(certificate, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	return c, certificate
}

// newGRPCCollector receives OTLP over gRPC.
func newGRPCCollector(tb testing.TB) *collector {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	c := &collector{tb: tb, address: "http://" + listener.Addr().String()}
	server := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	tb.Cleanup(server.Stop)
	return c
}

func (c *collector) serve(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			c.tb.Error(err)
			return
		}
		body = unzipped
	}
	content, err := io.ReadAll(body)
	var request collectorpb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(content, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		c.tb.Errorf("exported to %s: %v", r.URL.Path, err)
	}
	c.take(content, &request, r.Header.Get("X-Key"))
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// Export implements [collectorpb.TraceServiceServer].
func (c *collector) Export(ctx context.Context, request *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	key := ""
	if sent, ok := metadata.FromIncomingContext(ctx); ok {
		key = strings.Join(sent["x-key"], ",")
	}
	content, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	c.take(content, request, key)
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func (c *collector) take(content []byte, request *collectorpb.ExportTraceServiceRequest, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes = append(c.bytes, content...)
	c.keys = append(c.keys, key)
	for _, resource := range request.GetResourceSpans() {
		c.resource = textOf(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			c.all = append(c.all, scope.GetSpans()...)
		}
	}
}

// named returns the spans with a name and kind, newest last.
func (c *collector) named(kind tracepb.Span_SpanKind, name string) []*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*tracepb.Span
	for _, span := range c.all {
		if span.GetKind() == kind && span.GetName() == name {
			found = append(found, span)
		}
	}
	return found
}

// exported returns everything that was received, as bytes, and the number of spans.
func (c *collector) exported() (content string, spans int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.bytes), len(c.all)
}

func textOf(attributes []*commonpb.KeyValue) map[string]string {
	text := map[string]string{}
	for _, a := range attributes {
		text[a.GetKey()] = a.GetValue().GetStringValue()
	}
	return text
}

func spanID(span *tracepb.Span) string { return hex.EncodeToString(span.GetSpanId()) }
