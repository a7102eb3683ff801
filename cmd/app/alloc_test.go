//go:build !race

package app_test

import (
	"context"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

const (
	// mostAllocations and mostBytes are what a proxied request may allocate beyond what a
	// bare reverse proxy with a pool of buffers allocates for it.
	mostAllocations = 20
	mostBytes       = 2560
)

// TestProxiedRequestAllocatesLittle sends the same request through the whole service and
// through a bare reverse proxy. Both run in this process with one upstream, so what net/http's
// client and the upstream allocate is the same. The race detector empties pools at random, so
// the test is not built with it.
func TestProxiedRequestAllocatesLittle(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(make([]byte, 1024))
	}))
	t.Cleanup(upstream.Close)
	target, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, cognitotest.Options{})
	ua := s.login()
	request := browserRequest(t)
	for _, c := range ua.Cookies() {
		if !testkit.Cookies(publicURL).Ours(c.Name) {
			continue // a cookie of the test's API
		}
		request.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	// The service that is measured has the same keys, so the session is valid there. It logs
	// as the binary does, but keeps nothing of it.
	cfg, err := config.Load([]byte(strings.ReplaceAll(s.config, s.api.URL, upstream.URL)), "test.yaml", nil, config.Machine{ReadFile: os.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), cfg, slog.New(web.NewJSONHandler(io.Discard, slog.LevelInfo)))
	if err != nil {
		t.Fatal(err)
	}
	bare := &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:  &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		BufferPool: &bufferPool{},
	}
	allocations, bytes := allocationsOf(t, app.Public(a), request)
	bareAllocations, bareBytes := allocationsOf(t, bare, request)
	t.Logf("the service: %.1f allocations, %.0f bytes; a bare proxy: %.1f allocations, %.0f bytes", allocations, bytes, bareAllocations, bareBytes)
	if more := allocations - bareAllocations; more > mostAllocations {
		t.Errorf("a request makes %.1f allocations more than a bare proxy, at most %d are allowed", more, mostAllocations)
	}
	if more := bytes - bareBytes; more > mostBytes {
		t.Errorf("a request allocates %.0f bytes more than a bare proxy, at most %d are allowed", more, mostBytes)
	}
}

// browserRequest is what a browser sends when a script of the app calls an API.
func browserRequest(t *testing.T) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/data", http.NoBody)
	for name, value := range map[string]string{
		"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
		"Accept":     "application/json", "Accept-Encoding": "gzip, deflate, br, zstd", "Accept-Language": "en-US,en;q=0.9",
		"Referer": publicURL + "/", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin",
	} {
		r.Header.Set(name, value)
	}
	return r
}

// allocationsOf returns what one request allocates in this process, in the best of some
// rounds: on a busy machine more connections are opened than on an idle one.
func allocationsOf(t *testing.T, h http.Handler, request *http.Request) (allocations, bytes float64) {
	t.Helper()
	const rounds, runs = 3, 100
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	serve := func() {
		ctx, cancel := context.WithCancel(request.Context()) // as net/http's server makes one
		defer cancel()
		w := &discardWriter{header: make(http.Header)}
		h.ServeHTTP(w, request.Clone(ctx))
		if w.status != http.StatusOK || w.bytes != 1024 {
			t.Fatalf("%d with %d bytes", w.status, w.bytes)
		}
	}
	for range 20 {
		serve()
	}
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would empty the pools
	serve()
	allocations, bytes = math.Inf(1), math.Inf(1)
	for range rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			serve()
		}
		runtime.ReadMemStats(&after)
		allocations = min(allocations, float64(after.Mallocs-before.Mallocs)/runs)
		bytes = min(bytes, float64(after.TotalAlloc-before.TotalAlloc)/runs)
	}
	return allocations, bytes
}

// discardWriter is a response writer with the methods of net/http's that the service uses.
type discardWriter struct {
	header http.Header
	status int
	bytes  int
}

func (w *discardWriter) Header() http.Header               { return w.header }
func (w *discardWriter) WriteHeader(status int)            { w.status = status }
func (*discardWriter) SetReadDeadline(time.Time) error     { return nil }
func (*discardWriter) SetWriteDeadline(time.Time) error    { return nil }
func (w *discardWriter) Write(p []byte) (n int, err error) { w.bytes += len(p); return len(p), nil }

// bufferPool is an [httputil.BufferPool].
type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte {
	if buffer, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return buffer[:]
	}
	return make([]byte, 32<<10)
}

func (b *bufferPool) Put(buffer []byte) { b.pool.Put((*[32 << 10]byte)(buffer)) }
