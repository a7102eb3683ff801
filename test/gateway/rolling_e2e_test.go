//go:build e2e

package gateway_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// rolling is two replicas behind nginx, which knows nothing of their state, and behind a balancer that asks /readyz each second.
type rolling struct {
	*world

	all      [2]*rolled
	balancer *httptest.Server
	turn     atomic.Uint64
}

// rolled is one replica.
type rolled struct {
	spec            process.Spec
	process         *process.Process
	listens, admins string
	ready           atomic.Bool // as the balancer saw last
}

// pollEvery is far less than shutdown.delay, which is real time: a busy machine may be late with a poll.
const pollEvery = 100 * time.Millisecond

func newRolling(t *testing.T) *rolling {
	t.Helper()
	pool := cognitotest.Options{CallbackURLs: []string{appURL + "/auth/callback"}, LogoutURLs: []string{appURL + "/"}, AccessTTL: 3 * time.Second}
	w := &rolling{world: &world{t: t, pool: cognitotest.New(t, pool), api: newAPI(t)}}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	defer cancel()
	for i := range w.all {
		w.all[i] = w.configure()
		w.start(ctx, w.all[i])
	}
	w.listens = w.all[0].listens + " max_fails=0; server " + w.all[1].listens + " max_fails=0" // as the example says
	w.startGateway(ctx, front(), nil)
	w.balance()
	return w
}

func (w *rolling) configure() *rolled {
	t := w.t
	t.Helper()
	r := &rolled{listens: freePort(t), admins: freePort(t)}
	app := t.TempDir()
	write(t, filepath.Join(app, "index.html"), "<!doctype html><title>app</title>")
	config := write(t, filepath.Join(t.TempDir(), "tokenhandler.yaml"), fmt.Sprintf(`
public_url: %s
listen: %s
admin: {listen: %q}
shutdown: {delay: 4s}
trusted_proxies: [127.0.0.1, "::1"]
provider: {issuer: %q, client_id: %q, client_secret: %q}
session: {keys: [%q], refresh_before: 1s}
api: {routes: [{path: /api/, upstream: %q}]}
spa: {dir: %q}
`, appURL, r.listens, r.admins, w.pool.Issuer(), w.pool.ClientID(), w.pool.Secret(), base64.StdEncoding.EncodeToString([]byte("0123456789abcdefABCDEFGHIJKLMNOP")), w.api.URL, app))
	repo, err := process.RepoDir()
	if err != nil {
		t.Fatal(err)
	}
	r.spec = process.Spec{
		Name: "token handler", Path: cmp.Or(os.Getenv("TOKENHANDLER_BINARY"), filepath.Join(repo, ".build", "tokenhandler")),
		Args: []string{"--config", config}, Env: process.Environment(),
	}
	return r
}

func (w *rolling) start(ctx context.Context, r *rolled) {
	w.t.Helper()
	child, err := process.Start(r.spec)
	if err != nil {
		w.t.Fatal(err)
	}
	r.process = child
	w.t.Cleanup(func() { child.Stop(stopGrace); w.inspect("token handler", child.Output()) })
	if err := child.AwaitOK(ctx, "http://"+r.admins+"/readyz"); err != nil {
		w.t.Fatal(err)
	}
}

// balance starts the balancer. It sends each request to a replica that was ready at the last poll, over connections that it keeps.
func (w *rolling) balance() {
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	forward := &httputil.ReverseProxy{Transport: transport, Rewrite: func(p *httputil.ProxyRequest) {
		turn := w.turn.Add(1)
		for i := range w.all {
			r := w.all[(turn+uint64(i))%uint64(len(w.all))]
			if r.ready.Load() {
				p.SetURL(&url.URL{Scheme: "http", Host: r.listens})
				break
			}
		}
		p.Out.Host = p.In.Host
		p.SetXForwarded()
	}}
	ctx, stop := context.WithCancel(context.Background())
	var polling sync.WaitGroup
	for _, r := range w.all {
		r.poll(ctx)
		polling.Go(func() { r.keepPolling(ctx) })
	}
	w.balancer = httptest.NewTLSServer(forward)
	w.t.Cleanup(func() { w.balancer.Close(); stop(); polling.Wait(); transport.CloseIdleConnections() })
}

func (r *rolled) keepPolling(ctx context.Context) {
	ticks := time.NewTicker(pollEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			r.poll(ctx)
		}
	}
}

// poll asks the replica whether it is ready. It waits for an answer: a busy machine is no reason to send requests elsewhere.
func (r *rolled) poll(ctx context.Context) {
	client := &http.Client{Timeout: testkit.Deadline, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admins+"/readyz", http.NoBody)
	if err != nil {
		panic(err) // the address is the test's own
	}
	answer, err := client.Do(request)
	if err == nil {
		_ = answer.Body.Close()
	}
	r.ready.Store(err == nil && answer.StatusCode == http.StatusOK)
}

// behindBalancer returns a browser that reaches the app at the balancer.
func (w *rolling) behindBalancer() *useragent.UA {
	w.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(w.balancer.Certificate())
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "app.example.com:443" {
				address = w.balancer.Listener.Addr().String()
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"},
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	ua := useragent.New(w.t, appURL)
	ua.SetTransport(transport)
	return ua
}

// TestRollingRestart: while each replica is restarted by SIGTERM, no request is lost, GET or POST, behind nginx without any
// check of health and behind a balancer that asks /readyz. The sessions are refreshed meanwhile.
func TestRollingRestart(t *testing.T) {
	w := newRolling(t)
	users := map[string][]*useragent.UA{}
	for range 3 {
		users["nginx"] = append(users["nginx"], w.browser())
		users["the balancer"] = append(users["the balancer"], w.behindBalancer())
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var work sync.WaitGroup
	counts := map[string]*atomic.Int64{}
	for front, all := range users {
		count := new(atomic.Int64)
		counts[front] = count
		for _, ua := range all {
			if res := ua.Click("/auth/login"); res.Status != http.StatusOK {
				t.Fatalf("the login behind %s: %d %s", front, res.Status, res.Body)
			}
			work.Go(func() { use(ctx, t, front, ua, count) })
		}
	}
	logins := w.pool.Count("token")
	for _, r := range w.all {
		for front, count := range counts {
			sent := count.Load()
			testkit.Eventually(t, "requests behind "+front, func() bool { return count.Load() > sent })
		}
		r.process.Signal(syscall.SIGTERM)
		<-r.process.Done()
		w.start(t.Context(), r)
		testkit.Eventually(t, "ready for the balancer", r.ready.Load)
	}
	for front, count := range counts {
		testkit.Eventually(t, "100 requests behind "+front, func() bool { return count.Load() >= 100 })
	}
	stop()
	work.Wait()
	if w.pool.Count("token") == logins {
		t.Error("no session was refreshed")
	}
	t.Logf("%d requests behind nginx, %d behind the balancer", counts["nginx"].Load(), counts["the balancer"].Load())
}

// use sends requests of a user, GET and POST in turn, until ctx ends.
//
//nolint:contextcheck // the user agent's requests end with their time-out
func use(ctx context.Context, t *testing.T, front string, ua *useragent.UA, count *atomic.Int64) {
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		method, body := http.MethodGet, ""
		if n%2 == 1 {
			method, body = http.MethodPost, "body"
		}
		if res := ua.Fetch(method, "/api/me", body); res.Status != http.StatusOK {
			t.Errorf("%s behind %s: %d %v %s", method, front, res.Status, res.Err, res.Body)
		}
		count.Add(1)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
}
