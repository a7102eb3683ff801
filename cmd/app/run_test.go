package app_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/secret"
)

// TestStopsAfterTheRequestsUnderWay: on SIGTERM a request that runs gets its
// answer; new ones do not get in.
func TestStopsAfterTheRequestsUnderWay(t *testing.T) {
	t.Parallel()
	s := start(t, cognitotest.Options{})
	ua := s.login()
	answered := make(chan int)
	go func() { answered <- ua.Fetch(http.MethodGet, "/api/slow", "").Status }()
	<-s.api.entered
	stopped := make(chan error)
	go func() { stopped <- s.stop() }()
	testkit.Eventually(s.tb, "closed", func() bool {
		conn, err := net.Dial("tcp", s.at.Public)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if status, body := s.admin("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"ready":false`) || !strings.Contains(body, `"shutdown":"`) {
		t.Errorf("readyz while requests are finished: %d %s", status, body)
	}
	if status, _ := s.admin("/healthz"); status != http.StatusOK {
		t.Errorf("healthz while requests are finished: %d", status)
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped before the request was answered: %v", err)
	default:
	}
	close(s.api.release)
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the request under way got %d", status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestGoesOnServingAfterSIGTERM: for shutdown.delay new connections are served while
// /readyz answers 503. After SIGINT there is no delay.
func TestGoesOnServingAfterSIGTERM(t *testing.T) {
	t.Parallel()
	entered, release := make(chan time.Duration, 1), make(chan struct{})
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{CallbackURLs: []string{publicURL + "/auth/callback"}}), api: newAPI(t), log: &testkit.Log{}}
	s.built = func(a *app.App) {
		app.Pause(a, func(_ context.Context, d time.Duration) {
			entered <- d
			<-release
		})
	}
	s.run(s.pool.Issuer(), "shutdown: {delay: 7s}")
	ua := s.login()
	s.terminate()
	if d := testkit.Receive(t, entered, "the delay"); d != 7*time.Second {
		t.Errorf("the delay is %s", d)
	}
	if status, body := s.admin("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"shutdown":"`) {
		t.Errorf("readyz during the delay: %d %s", status, body)
	}
	for range 3 { // on a new connection each
		ua.SetTransport(s.transport())
		if r := ua.Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusOK {
			t.Errorf("a request during the delay got %d", r.Status)
		}
	}
	close(release)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", s.at.Public); err == nil {
		_ = conn.Close()
		t.Error("it still takes connections")
	}

	other := &service{tb: t, pool: s.pool, api: newAPI(t), log: &testkit.Log{}}
	other.built = func(a *app.App) {
		app.Pause(a, func(context.Context, time.Duration) { t.Error("a delay after SIGINT") })
	}
	other.run(s.pool.Issuer())
	if err := other.stop(); err != nil {
		t.Error(err)
	}
}

// TestServesWhatItAccepted: a request that comes on a connection from before the
// end is answered. Load balancers send none twice that may have been executed.
func TestServesWhatItAccepted(t *testing.T) {
	t.Parallel()
	s := start(t, cognitotest.Options{})
	conn, err := net.Dial("tcp", s.at.Public)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	s.browser().Fetch(http.MethodGet, "/auth/session", "") // accepted after the other one
	stopped := make(chan error)
	go func() { stopped <- s.stop() }()
	testkit.Eventually(s.tb, "closed", func() bool {
		other, err := net.Dial("tcp", s.at.Public)
		if err == nil {
			_ = other.Close()
		}
		return err != nil
	})
	if _, err := conn.Write([]byte("GET /auth/session HTTP/1.1\r\nHost: app\r\nX-CSRF: 1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("the request was dropped: %v", err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK || !answer.Close {
		t.Errorf("status %d, closes %v", answer.StatusCode, answer.Close)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestAcceptsWhatWaits: connections that nobody had accepted yet when the service
// was told to end are served, too. Closing the listener would reset them.
func TestAcceptsWhatWaits(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const waiting = 20
	for range waiting {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	ending, accepted := app.Finished(listener), 0
	for {
		conn, err := ending.Accept()
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		accepted++
		_ = conn.Close()
	}
	if accepted != waiting {
		t.Errorf("%d of %d connections were accepted", accepted, waiting)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("it still takes connections")
	}
}

// TestShutdownIsBounded: neither a request nor a refresh that hangs keeps the
// service until it is killed.
func TestShutdownIsBounded(t *testing.T) {
	if app.ShutdownTimeout > 27*time.Second {
		t.Errorf("a shutdown takes %s, and the log a second more; Kubernetes kills after 30 seconds", app.ShutdownTimeout)
	}
	if longest := config.MaxShutdownDelay; longest > app.DrainTimeout-time.Second {
		t.Errorf("requests have %s, and shutdown.delay may take %s of them", app.DrainTimeout, longest)
	}
	if left := app.ShutdownTimeout - app.DrainTimeout; left < app.ProviderTimeout {
		t.Errorf("the last request's refresh has %s, one call to the provider may take %s", left, app.ProviderTimeout)
	}
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{CallbackURLs: []string{publicURL + "/auth/callback"}}), api: newAPI(t), log: &testkit.Log{}}
	s.built = func(a *app.App) { app.ShutdownTimes(a, 200*time.Millisecond, 100*time.Millisecond) }
	s.run(s.pool.Issuer())
	ua := s.login()
	s.pool.Break(cognitotest.TokenRefresh, cognitotest.Hang(), 0)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer close(s.api.release)
	clients.Go(func() { ua.Fetch(http.MethodGet, "/api/slow", "") })
	clients.Go(func() { ua.Fetch(http.MethodPost, "/auth/refresh", "") })
	<-s.api.entered
	testkit.Eventually(s.tb, "refreshing", func() bool { return s.pool.Count(cognitotest.TokenRefresh) > 0 })
	if err := s.stop(); err != nil { // the API never answers, and the refresh would take 10 seconds
		t.Error(err)
	}
	for _, line := range []string{"requests were cut off", "refreshes were cut off", "stopped"} {
		if !s.log.Contains(`"msg":"` + line + `"`) {
			t.Errorf("the log does not say: %s", line)
		}
	}
}

// TestStartsWithoutItsProviderAndHeals: not ready, 503 with Retry-After for a
// login, and all good when the provider is there.
func TestStartsWithoutItsProviderAndHeals(t *testing.T) {
	pool := cognitotest.Options{CallbackURLs: []string{publicURL + "/auth/callback"}}
	s := &service{tb: t, pool: cognitotest.New(t, pool), api: newAPI(t), log: &testkit.Log{}}
	s.pool.Break(cognitotest.Discovery, cognitotest.Text("503", http.StatusServiceUnavailable, "text/plain", "down"), 0)
	s.run(s.pool.Issuer())
	if status, body := s.admin("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"ready":false`) {
		t.Errorf("readyz: %d %s", status, body)
	}
	if status, body := s.admin("/healthz"); status != http.StatusOK || body != `{"status":"ok"}` {
		t.Errorf("healthz: %d %s", status, body)
	}
	r := s.browser().Navigate("/auth/login")
	wantProblem(t, r, 503, "provider_unavailable")
	if r.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.pool.Mend(cognitotest.Discovery)
	s.login()
}

// TestFaultsAtStartNameTheKey: what only the machine can tell.
func TestFaultsAtStartNameTheKey(t *testing.T) {
	taken, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for key, change := range map[string]func(*config.Config){
		"listen:":       func(c *config.Config) { c.Listen = taken.Addr().String() },
		"admin.listen:": func(c *config.Config) { c.Admin.Listen = taken.Addr().String() },
		"spa.dir":       func(c *config.Config) { c.SPA.Dir = t.TempDir() },
		"tls.cert_file": func(c *config.Config) { c.TLS.CertFile, c.TLS.KeyFile = "missing", "missing" },
	} {
		cfg := parsed(t)
		change(&cfg)
		a, err := app.New(t.Context(), cfg, discard())
		if err == nil {
			err = a.Run(t.Context(), nil)
		}
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

var update = flag.Bool("update", false, "rewrite the table of metrics")

const metricsPage = "../../config/monitoring/README.md"

// TestMetricsTableIsTrue compares the documented metrics with the registry:
// every one is exported, none is undocumented, names, labels and meaning agree.
func TestMetricsTableIsTrue(t *testing.T) {
	cfg := parsed(t)
	cfg.Session.Store = secret.New("redis://localhost:6379") // its metrics, too
	a, err := app.New(t.Context(), cfg, discard())
	if err != nil {
		t.Fatal(err)
	}
	table := app.MetricsTable(a)
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(page), "<!-- table -->\n")
	_, tail, _ := strings.Cut(rest, "<!-- end -->")
	want := head + "<!-- table -->\n" + table + "<!-- end -->" + tail
	if *update {
		if err := os.WriteFile(metricsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(page) {
		t.Errorf("%s is not true; run: go test ./cmd/app -run Metrics -update", metricsPage)
	}
	if n := strings.Count(table, "\n"); n < 15 {
		t.Errorf("only %d lines of metrics", n)
	}
}

// TestMetricsMove drives outcomes and finds them on /metrics.
func TestMetricsMove(t *testing.T) {
	s := start(t, cognitotest.Options{})
	ua := s.login()
	ua.Fetch(http.MethodGet, "/api/me", "")
	ua.Fetch(http.MethodGet, "/down/x", "")
	ua.Fetch(http.MethodPost, "/auth/refresh", "")
	ua.FetchFrom("https://evil.example", http.MethodGet, publicURL+"/api/me", "")
	ua.Fetch(http.MethodPost, "/storage/uploads", `{"key":"a","content_type":"text/plain","size":1}`, jsonBody)
	ua.Fetch(http.MethodPost, "/auth/logout", "")
	ua.Navigate("/auth/callback?error=access_denied")
	_, body := s.admin("/metrics")
	values := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "} "); ok {
			values[name+"}"] = value
		} else if name, value, ok := strings.Cut(lines.Text(), " "); ok {
			values[name] = value
		}
	}
	for name, want := range map[string]string{
		`tokenhandler_logins_total{outcome="ok"}`:                                 "1",
		`tokenhandler_logins_total{outcome="unknown_state"}`:                      "1",
		`tokenhandler_logouts_total`:                                              "1",
		`tokenhandler_sessions_ended_total{cause="logout"}`:                       "1",
		`tokenhandler_requests_total{part="storage",status="2xx"}`:                "1",
		`tokenhandler_requests_total{part="api",status="2xx"}`:                    "2",
		`tokenhandler_requests_total{part="api",status="4xx"}`:                    "1",
		`tokenhandler_requests_total{part="api",status="5xx"}`:                    "1",
		`tokenhandler_requests_total{part="auth",status="4xx"}`:                   "1",
		`tokenhandler_request_duration_seconds_count{part="storage"}`:             "1",
		`tokenhandler_rate_limited_total{limit="session_requests"}`:               "0",
		`tokenhandler_revocations_total{outcome="ok"}`:                            "1",
		`tokenhandler_refreshes_total{outcome="ok"}`:                              "1",
		`tokenhandler_cross_site_requests_total`:                                  "1",
		`tokenhandler_proxy_requests_total{route="/api/",status="200"}`:           "1",
		`tokenhandler_proxy_requests_total{route="/down/",status="502"}`:          "1",
		`tokenhandler_proxy_upstream_errors_total{kind="connect",route="/down/"}`: "1",
		`tokenhandler_session_cookie_bytes_count`:                                 "2",
		`tokenhandler_storage_requests_total{operation="upload",outcome="ok"}`:    "1",
		`tokenhandler_provider_requests_total{endpoint="token",outcome="ok"}`:     "2",
	} {
		if values[name] != want {
			t.Errorf("%s is %q, want %s", name, values[name], want)
		}
	}
	if strings.Contains(body, "demo@example.com") || strings.Contains(body, s.pool.User("demo").Sub) {
		t.Error("a user is named in a label")
	}
}

// TestCountersExistFromTheStart: every counter, and every outcome that the documentation
// of a counter names, is there at 0 before the first request.
func TestCountersExistFromTheStart(t *testing.T) {
	cfg := parsed(t)
	cfg.Session.Store = secret.New("redis://localhost:6379")
	a, err := app.New(t.Context(), cfg, discard())
	if err != nil {
		t.Fatal(err)
	}
	counters, text := countersOf(a), ""
	for series := range counters {
		text += series + "\n"
	}
	for line := range strings.Lines(app.MetricsTable(a)) {
		cells := strings.Split(line, "|")
		name := strings.Trim(cells[1], " `")
		if !strings.HasSuffix(name, "_total") {
			continue
		}
		if !strings.Contains(text, name) {
			t.Errorf("%s has no series", name)
		}
		// What stands in parentheses explains an outcome.
		_, outcomes, found := strings.Cut(regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(cells[3], ""), "outcome: ")
		if !found {
			continue
		}
		for outcome := range strings.SplitSeq(strings.TrimRight(strings.TrimSpace(outcomes), "."), ", ") {
			if outcome = strings.Fields(outcome)[0]; outcome != "or" && !regexp.MustCompile(name+`\{.*outcome="`+outcome+`"`).MatchString(text) {
				t.Errorf("%s lacks the outcome %s", name, outcome)
			}
		}
	}
	if len(counters) < 100 {
		t.Errorf("only %d counters", len(counters))
	}
}
