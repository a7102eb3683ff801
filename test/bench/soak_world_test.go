//go:build e2e

package bench_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/useragent"
)

const (
	soakWorkers = 6
	// soakBrowsers is the number of browsers of a worker, each with a session of its own.
	soakBrowsers = 20
	// pace is the minimum time of a worker's step, because the load should be long and
	// mixed and not use the whole machine.
	pace = 5 * time.Millisecond

	uploadSize, downloadSize = 256 << 10, 1 << 20
	maxUpload                = 1 << 20
	soakSecret               = "planted-verify-secret-0123456789"
)

// soakWorld is the measured service with a provider, an API and browsers.
type soakWorld struct {
	t        *testing.T
	pool     *cognitotest.Server
	upstream *httptest.Server
	at       served
	workers  []*worker

	mu     sync.Mutex
	counts map[string]int // step → how often
}

// worker makes the steps of its browsers, one after the other.
type worker struct {
	world     *soakWorld
	transport *http.Transport
	browsers  []*browser
	// first is the index of its first step, and logouts is how often it has logged out.
	// They start with different values, so that not all workers do the same at once.
	first, logouts int
	made           int // number of steps so far
}

func newSoakWorld(t *testing.T) *soakWorld {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "planted-aws-secret-key")
	w := &soakWorld{t: t, upstream: httptest.NewServer(soakAPI()), counts: map[string]int{}}
	w.pool = cognitotest.New(t, cognitotest.Options{
		CallbackURLs: []string{publicURL + "/auth/callback"}, LogoutURLs: []string{publicURL + "/"},
		AccessTTL: 3 * time.Second, Rotation: true,
	})
	t.Cleanup(w.upstream.Close)
	app := t.TempDir()
	for _, name := range []string{"index.html", "app.js"} {
		if err := os.WriteFile(filepath.Join(app, name), []byte(strings.Repeat("x", bodySize)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	session := fmt.Sprintf(", absolute_lifetime: %[1]s, idle_timeout: %[1]s, refresh_before: 1s, refresh_grace: 2s, probe_interval: 1s", lifetime())
	w.at = startMeasured(t, configure(w.pool, session, fmt.Sprintf(`
auth: {verify_secret: %q}
spa: {dir: %q}
storage: {bucket: files, region: us-east-1}
api:
  routes:
    - {path: /api/, upstream: %q, websocket: true, max_body: %d}
    - {path: /open/, upstream: %q, anonymous: true}
    - {path: /down/, upstream: "http://127.0.0.1:1"}
`, soakSecret, app, w.upstream.URL, maxUpload, w.upstream.URL)))
	login(t, w.at.Ours) // waits until the service has connected to the provider
	for i := range soakWorkers {
		w.workers = append(w.workers, w.newWorker(i))
	}
	return w
}

func (w *soakWorld) newWorker(i int) *worker {
	dialer := &net.Dialer{}
	out := &worker{world: w, first: i * soakBrowsers / 2, logouts: 2 * i, transport: &http.Transport{
		ExpectContinueTimeout: cleanupTime,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == strings.TrimPrefix(publicURL, "http://") {
				address = w.at.Ours
			}
			return dialer.DialContext(ctx, network, address)
		},
	}}
	w.t.Cleanup(out.transport.CloseIdleConnections)
	for range soakBrowsers {
		ua := useragent.New(w.t, publicURL)
		ua.SetTransport(out.transport)
		out.browsers = append(out.browsers, &browser{worker: out, ua: ua})
	}
	return out
}

// closeIdleConnections closes the idle connections of the service to clients, the
// provider and the API.
func (w *soakWorld) closeIdleConnections() {
	http.DefaultClient.CloseIdleConnections()
	for _, worker := range w.workers {
		worker.transport.CloseIdleConnections()
	}
	w.pool.CloseIdleConnections()
	w.upstream.CloseClientConnections()
}

// soakAPI returns an upstream with many kinds of responses.
func soakAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat("x", bodySize))
	})
	mux.HandleFunc("/api/download", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, downloadSize))
	})
	mux.HandleFunc("/api/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		ticks := time.NewTicker(10 * time.Millisecond)
		defer ticks.Stop()
		for {
			if _, err := io.WriteString(w, "data: tick\n\n"); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-ticks.C:
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("/api/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return // Accept has sent an error response
		}
		defer func() { _ = conn.CloseNow() }()
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})
	mux.HandleFunc("/api/hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/api/refuse", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	mux.HandleFunc("/api/fail", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	mux.HandleFunc("/api/cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	return mux
}
