//go:build e2e

package gateway_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
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
	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

const (
	appURL       = "https://app.example.com"
	verifySecret = "planted-verify-secret-0123456789"
	// stopGrace is how long a child process may take to end.
	stopGrace = 5 * time.Second
)

// world is a gateway in front of an API, and the token handler that the gateway asks.
type world struct {
	t       *testing.T
	pool    *cognitotest.Server
	api     *api
	handler *process.Process
	// listens is the address of the token handler, tls that of the gateway.
	listens, tls string
	roots        *x509.CertPool // of the gateway's certificate
}

// newWorld starts all processes. edit makes further replacements in the example.
func newWorld(t *testing.T, g gateway, pool cognitotest.Options, edit ...place) *world {
	t.Helper()
	pool.CallbackURLs, pool.LogoutURLs = []string{appURL + "/auth/callback"}, []string{appURL + "/"}
	w := &world{t: t, pool: cognitotest.New(t, pool), api: newAPI(t)}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	defer cancel()
	w.startHandler(ctx)
	w.startGateway(ctx, g, edit)
	return w
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return process.Addr(port)
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func (w *world) startHandler(ctx context.Context) {
	t := w.t
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	dir, admin := t.TempDir(), freePort(t)
	w.listens = freePort(t)
	app := t.TempDir()
	write(t, filepath.Join(app, "index.html"), "<!doctype html><title>app</title>")
	config := write(t, filepath.Join(dir, "tokenhandler.yaml"), fmt.Sprintf(`
public_url: %s
listen: %s
admin: {listen: %q}
shutdown: {delay: 0s}
trusted_proxies: [127.0.0.1, "::1"]
provider: {kind: cognito, issuer: %q, client_id: %q, client_secret: %q}
session: {keys: [%q], refresh_before: 1s}
auth: {verify_secret_file: %q}
api: {routes: [{path: /api/, upstream: %q, websocket: true}]}
spa: {dir: %q}
log: {level: debug}
`, appURL, w.listens, admin, w.pool.Issuer(), w.pool.ClientID(), w.pool.Secret(),
		base64.StdEncoding.EncodeToString(key), write(t, filepath.Join(dir, "verify_secret"), verifySecret+"\n"), w.api.URL, app))
	repo, err := process.RepoDir()
	if err != nil {
		t.Fatal(err)
	}
	w.handler, err = process.Start(process.Spec{
		Name: "token handler", Path: cmp.Or(os.Getenv("TOKENHANDLER_BINARY"), filepath.Join(repo, ".build", "tokenhandler")),
		Args: []string{"--config", config}, Env: process.Environment(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.handler.Stop(stopGrace)
		w.inspect("token handler", w.handler.Output())
	})
	if err := w.handler.AwaitOK(ctx, "http://"+admin+"/readyz"); err != nil {
		t.Fatal(err)
	}
}

// inspect looks for secrets in what a child wrote.
func (w *world) inspect(name, log string) {
	w.t.Helper()
	for _, secret := range []string{verifySecret, "eyJ", "DATA RACE"} {
		if strings.Contains(log, secret) {
			w.t.Errorf("the %s's log holds %.6s…", name, secret)
		}
	}
	if w.t.Failed() {
		w.t.Logf("the %s's log:\n%s", name, log)
	}
}

// browser returns a browser that reaches the app at the gateway and trusts its
// certificate.
func (w *world) browser() *useragent.UA {
	w.t.Helper()
	ua := useragent.New(w.t, appURL)
	ua.SetTransport(w.transport())
	return ua
}

// transport returns a transport that reaches the app at the gateway and trusts its
// certificate.
func (w *world) transport() *http.Transport {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "app.example.com:443" {
				address = w.tls
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{RootCAs: w.roots},
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// login is a whole login through the gateway.
func (w *world) login() *useragent.UA {
	w.t.Helper()
	ua := w.browser()
	res := ua.Click("/auth/login?return_to=/projects")
	if _, in := ua.Cookie(sessionCookie); !in || res.URL != appURL+"/projects" || res.Status != http.StatusOK {
		w.t.Fatalf("the login ended at %s: %d %v %s", res.URL, res.Status, res.Err, res.Body)
	}
	return ua
}

// api is the upstream. It records the requests that it receives.
type api struct {
	*httptest.Server

	mu   sync.Mutex
	last http.Header
	hits int
	// events are sent by /api/events, one by one; parts receives what is sent to /api/parts.
	events, parts chan string
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{events: make(chan string), parts: make(chan string)}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.last, a.hits = r.Header.Clone(), a.hits+1
		a.mu.Unlock()
		w.Header().Set("Set-Cookie", "__Host-Http-session=forged; Secure; Path=/")
		w.Header().Set("Cache-Control", "public, max-age=600")
		switch r.URL.Path {
		case "/api/refused":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "the API's own")
		case "/api/events":
			a.sendEvents(w, r)
		case "/api/parts":
			a.takeParts(r)
		case "/api/socket":
			a.echo(w, r)
		case "/api/broken":
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "the API's own")
		default:
			body, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, body)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// seen returns the header of the last request and the number of requests.
func (a *api) seen() (http.Header, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last, a.hits
}

func (a *api) sendEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case event := <-a.events:
			_, _ = io.WriteString(w, "data: "+event+"\n\n")
		case <-r.Context().Done():
			return
		}
	}
}

func (a *api) takeParts(r *http.Request) {
	part := make([]byte, 100)
	for {
		n, err := r.Body.Read(part)
		if n > 0 {
			a.parts <- string(part[:n])
		}
		if err != nil {
			return
		}
	}
}

func (*api) echo(w http.ResponseWriter, r *http.Request) {
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer func() { _ = socket.CloseNow() }()
	for {
		kind, message, err := socket.Read(r.Context())
		if err != nil || socket.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}
