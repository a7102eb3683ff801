package app_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// publicURL is the app's address as browsers know it. The listener has another
// port; the test's browsers are told which (see service.browser).
const publicURL = "http://localhost:8080"

// service is the whole service, running in this process.
type service struct {
	tb   testing.TB
	pool *cognitotest.Server
	api  *api
	log  *testkit.Log
	at   app.Addresses
	stop func() error
	// terminate ends the service as SIGTERM does, and stop as SIGINT does.
	terminate func()
	config    string
	keys      string // session.keys_file
	// built, if not nil, is called after New and before Run.
	built func(*app.App)
	kind  string // of the provider; default cognito
	// Further keys of the configuration, each with a comma before it.
	provider, session, admins, storage string
	// routes are further routes to the API, without their upstream.
	routes []string
	// further are further lines of the configuration.
	further string
	// environ is the environment.
	environ []string
	// clock is the service's; default time.Now.
	clock func() time.Time
}

// start runs the service with a test provider and an API; more are further lines of its
// configuration.
func start(tb testing.TB, pool cognitotest.Options, more ...string) *service {
	tb.Helper()
	pool.CallbackURLs, pool.LogoutURLs = []string{publicURL + "/auth/callback"}, []string{publicURL + "/"}
	s := &service{tb: tb, pool: cognitotest.New(tb, pool), api: newAPI(tb), log: &testkit.Log{}}
	s.run(s.pool.Issuer(), more...)
	return s
}

// TestMain sets the variables that the AWS SDK reads, for all tests. Tests that set more
// cannot run in parallel.
func TestMain(m *testing.M) {
	_ = os.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	_ = os.Setenv("AWS_SECRET_ACCESS_KEY", "planted-aws-secret-key")
	os.Exit(testkit.RunWaiting(m, 6))
}

// startWith is [start] with further keys.
func startWith(tb testing.TB, pool cognitotest.Options, keys service) *service {
	tb.Helper()
	pool.CallbackURLs, pool.LogoutURLs = []string{publicURL + "/auth/callback"}, []string{publicURL + "/"}
	s := &keys
	s.tb, s.api, s.log = tb, newAPI(tb), &testkit.Log{}
	if s.pool == nil {
		s.pool = cognitotest.New(tb, pool)
	}
	s.run(s.pool.Issuer(), s.further)
	return s
}

func (s *service) run(issuer string, more ...string) {
	s.tb.Helper()
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789ABCDEF"))
	s.keys = filepath.Join(s.tb.TempDir(), "keys")
	s.write(s.keys, key+"\n")
	var further strings.Builder
	for _, route := range s.routes {
		further.WriteString("    - {" + route + ", upstream: \"" + s.api.URL + "\"}\n")
	}
	s.config = fmt.Sprintf(`
public_url: %s
listen: localhost:0
admin: {listen: "localhost:0"%s}
provider: {kind: %s, issuer: %q, client_id: %q, client_secret: %q%s}
session: {keys_file: %q, refresh_before: 1s%s}
log: {level: debug}
storage: {bucket: files, region: us-east-1, endpoint: "http://localhost:7070", path_style: true, max_size: 1000, content_types: [text/plain]%s}
api:
  routes:
    - {path: /api/, upstream: %q, methods: [GET, POST], max_body: 1000}
    - {path: /hang/, upstream: %q, timeout: 500ms}
    - {path: /open/, upstream: %q, anonymous: true}
    - {path: /live/, upstream: %q, websocket: true}
    - {path: /down/, upstream: "http://localhost:1"}
%s`, publicURL, s.admins, cmp.Or(s.kind, "cognito"), issuer, cognitotest.DefaultClientID, cognitotest.DefaultSecret, s.provider,
		s.keys, s.session, s.storage, s.api.URL, s.api.URL, s.api.URL, s.api.URL, further.String()) + strings.Join(more, "\n")
	for _, entry := range s.environ { // libraries read some of it
		name, val, _ := strings.Cut(entry, "=")
		s.tb.Setenv(name, val)
	}
	cfg, err := config.Load([]byte(s.config), "test.yaml", s.environ, config.Machine{ReadFile: os.ReadFile})
	if err != nil {
		s.tb.Fatal(err)
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	a, err := app.NewAt(s.tb.Context(), cfg, s.log.Logger(), s.clock)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.wantNoLateSeries(a)
	app.ReloadEvery(a, 5*time.Millisecond)
	app.ShutdownTimes(a, testkit.Deadline, testkit.Deadline) // a busy machine may need more than is usual
	app.FirstTries(a, testkit.Deadline)
	if s.built != nil {
		s.built(a)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	started, stopped := make(chan app.Addresses, 1), make(chan error, 1)
	go func() { stopped <- a.Run(ctx, func(at app.Addresses) { started <- at }) }()
	select {
	case s.at = <-started:
	case err := <-stopped:
		s.tb.Fatalf("not started: %v", err)
	}
	s.terminate = func() { cancel(app.ErrTerminated) }
	s.stop = sync.OnceValue(func() error { cancel(nil); return <-stopped })
	s.tb.Cleanup(func() {
		if err := s.stop(); err != nil {
			s.tb.Errorf("stopping: %v", err)
		}
		if s.tb.Failed() {
			s.tb.Logf("the service's log:\n%s", s.log.String())
		}
	})
}

// wantNoLateSeries checks, at the end of every test, that all counters existed from the
// start: rate() does not see the first event of one that appears with it.
func (s *service) wantNoLateSeries(a *app.App) {
	s.tb.Helper()
	before := countersOf(a)
	s.tb.Cleanup(func() {
		for name := range countersOf(a) {
			if !before[name] && !strings.HasPrefix(name, "tokenhandler_session_opens_by_key_total{") { // replaced keys
				s.tb.Errorf("the counter %s did not exist from the start", name)
			}
		}
	})
}

// countersOf returns the counters of a that exist now, those of histograms included.
func countersOf(a *app.App) map[string]bool {
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Host = "localhost"
	app.Admin(a).ServeHTTP(rec, r)
	found := map[string]bool{}
	for line := range strings.Lines(rec.Body.String()) {
		series := line[:max(0, strings.LastIndexByte(line, ' '))]
		name, _, _ := strings.Cut(series, "{")
		if strings.HasPrefix(name, "tokenhandler_") && (strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_count")) {
			found[series] = true
		}
	}
	return found
}

func (s *service) write(file, content string) {
	s.tb.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		s.tb.Fatal(err)
	}
}

// browser returns a new browser that reaches publicURL at the service's listener.
func (s *service) browser() *useragent.UA {
	ua := useragent.New(s.tb, publicURL)
	ua.SetTransport(uncached{s.transport(), s.tb})
	return ua
}

// copyOf returns a browser with a copy of ua's cookies that uses this service only.
func (s *service) copyOf(ua *useragent.UA) *useragent.UA {
	other := s.browser()
	for _, c := range ua.Cookies() {
		other.SetCookie(c)
	}
	return other
}

// uncached checks every answer of every test: one that sets a cookie must not be stored
// by any cache (as in CVE-2025-48947 and CVE-2025-64762).
type uncached struct {
	http.RoundTripper

	tb testing.TB
}

func (u uncached) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := u.RoundTripper.RoundTrip(r)
	if err == nil && answer.Request.URL.Host == "localhost:8080" && len(answer.Header["Set-Cookie"]) > 0 {
		for name, values := range answer.Header {
			if name == "Cache-Control" && !slices.Equal(values, []string{"no-store"}) || name == "Surrogate-Control" || strings.HasSuffix(name, "Cdn-Cache-Control") {
				u.tb.Errorf("%s %s sets a cookie, with %s: %q", r.Method, r.URL.Path, name, values)
			}
		}
		if answer.Header["Cache-Control"] == nil {
			u.tb.Errorf("%s %s sets a cookie, without Cache-Control", r.Method, r.URL.Path)
		}
	}
	return answer, err
}

func (s *service) transport() *http.Transport {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "localhost:8080" {
				address = s.at.Public
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	s.tb.Cleanup(transport.CloseIdleConnections)
	return transport
}

// login returns a browser that is logged in.
func (s *service) login() *useragent.UA {
	s.tb.Helper()
	s.ready()
	ua := s.browser()
	if r := ua.Navigate("/auth/login?return_to=/open/start"); r.URL != publicURL+"/open/start" {
		s.tb.Fatalf("the login ended at %s: %d %s", r.URL, r.Status, r.Body)
	}
	return ua
}

// ready waits until the provider is connected.
func (s *service) ready() {
	s.tb.Helper()
	testkit.Eventually(s.tb, "ready", func() bool { status, _ := s.admin("/readyz"); return status == http.StatusOK })
}

// admin asks the admin listener.
func (s *service) admin(path string) (int, string) {
	s.tb.Helper()
	r, err := http.NewRequestWithContext(s.tb.Context(), http.MethodGet, "http://"+s.at.Admin+path, nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	answer, err := (&http.Client{Transport: s.transport()}).Do(r)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(answer.Body); err != nil {
		s.tb.Fatal(err)
	}
	return answer.StatusCode, body.String()
}

// api is an upstream that records the requests that it receives.
type api struct {
	*httptest.Server

	mu      sync.Mutex
	tokens  []string
	headers http.Header // of the last request
	refused string
	entered,
	release chan struct{} // of /api/slow
}

func newAPI(tb testing.TB) *api {
	tb.Helper()
	a := &api{entered: make(chan struct{}, 16), release: make(chan struct{})}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.tokens = append(a.tokens, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		a.headers = r.Header.Clone()
		a.mu.Unlock()
		switch r.URL.Path {
		case "/api/slow":
			a.entered <- struct{}{}
			<-a.release
		case "/api/refused":
			if token := r.Header.Get("Authorization"); a.refuse(token) {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
		case "/live/socket":
			echo(w, r)
			return
		case "/live/events":
			tick(w, r)
			return
		case "/hang/":
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"authorized":%v}`, r.Header.Get("Authorization") != "")
	}))
	tb.Cleanup(a.Close)
	return a
}

// refuse reports whether token is the first token that it was called with.
func (a *api) refuse(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = cmp.Or(a.refused, token)
	return token == a.refused
}

// last returns the header of the last request.
func (a *api) last() http.Header {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.headers
}

// seen returns the tokens that the API received.
func (a *api) seen() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.tokens...)
}

// parsed returns a valid configuration, which a test may change.
func parsed(tb testing.TB) config.Config {
	tb.Helper()
	cfg, err := config.Load([]byte(`
public_url: http://localhost:8080
listen: localhost:0
admin: {listen: "localhost:0", hosts: [example.com]} # as httptest.NewRequest writes it
provider: {issuer: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI", client_id: c, client_secret: some-secret}
session: {keys: [MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY=]}
storage: {bucket: files, region: us-east-1}
api: {routes: [{path: /api/, upstream: "http://localhost:1"}]}
`), "test.yaml", nil, config.Machine{ReadFile: os.ReadFile})
	if err != nil {
		tb.Fatal(err)
	}
	return cfg
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
