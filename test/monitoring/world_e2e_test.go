//go:build e2e

package monitoring_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.yaml.in/yaml/v3"

	"cognito-token-handler/test/devstack"
	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

const gatewaySecret = "planted-verify-secret-0123456789"

// world is a stack with all that metrics are about, a second replica that has a
// certificate of its own, and a Prometheus that scrapes both.
type world struct {
	stack      *devstack.Stack
	prometheus *prometheus
	browsers   []*useragent.UA
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	defer cancel()
	store, err := redislocal.Start(ctx, redislocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	w, secure := &world{}, secondReplica(t)
	w.stack, err = devstack.Start(ctx, devstack.Options{
		Binary: os.Getenv("TOKENHANDLER_BINARY"), SPADir: filepath.Join("..", "demo", "spa", "dist"),
		ExtraConfig: func(_ *devstack.Stack, c devstack.Config) {
			c.Set("session.store", store.URL())
			c.Set("auth.verify_secret", gatewaySecret)
			secure.configure(t, c)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.stack.Close()
		if t.Failed() {
			t.Logf("the token handler's log:\n%s", w.stack.HandlerLog())
		}
	})
	secure.start(ctx, t)
	w.prometheus = startPrometheus(t, strings.TrimPrefix(w.stack.AdminURL, "http://"), secure.admin)
	for _, email := range []string{"demo@example.com", "second@example.com"} {
		w.browsers = append(w.browsers, w.login(t, useragent.New(t, w.stack.URL), email))
	}
	return w
}

// replica is a second token handler, which has a certificate.
type replica struct{ dir, public, admin string }

func secondReplica(t *testing.T) *replica {
	t.Helper()
	r := &replica{dir: t.TempDir()}
	for _, address := range []*string{&r.public, &r.admin} {
		port, err := process.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		*address = process.Addr(port)
	}
	return r
}

// configure writes the configuration, which is otherwise that of the stack.
func (r *replica) configure(t *testing.T, stack devstack.Config) {
	t.Helper()
	content, err := yaml.Marshal(stack)
	if err != nil {
		t.Fatal(err)
	}
	config := devstack.Config{}
	if err := yaml.Unmarshal(content, &config); err != nil {
		t.Fatal(err)
	}
	certificate, key := newCertificate(t)
	config["public_url"], config["listen"] = "https://"+r.public, r.public
	config["admin"] = devstack.Config{"listen": r.admin}
	config["tls"] = devstack.Config{"cert_file": filepath.Join(r.dir, "cert.pem"), "key_file": filepath.Join(r.dir, "key.pem")}
	if content, err = yaml.Marshal(config); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"cert.pem": certificate, "key.pem": key, "tokenhandler.yaml": content} {
		if err := os.WriteFile(filepath.Join(r.dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func newCertificate(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 2, 0)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

func (r *replica) start(ctx context.Context, t *testing.T) {
	t.Helper()
	binary, err := filepath.Abs(os.Getenv("TOKENHANDLER_BINARY"))
	if err != nil {
		t.Fatal(err)
	}
	child, err := process.Start(process.Spec{
		Name: "second token handler", Path: binary, Args: []string{"serve", "--config", filepath.Join(r.dir, "tokenhandler.yaml")},
		Env: process.Environment("AWS_ACCESS_KEY_ID=AKIATEST", "AWS_SECRET_ACCESS_KEY=planted-aws-secret-key"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Stop(10 * time.Second) })
	if err := child.AwaitOK(ctx, "http://"+r.admin+"/readyz"); err != nil {
		t.Fatal(err)
	}
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// login logs a user in with the provider's form.
func (w *world) login(t *testing.T, ua *useragent.UA, email string) *useragent.UA {
	t.Helper()
	page := ua.Navigate("/auth/login")
	form := url.Values{"username": {email}, "password": {"Demo-Passw0rd!"}}
	for _, m := range hidden.FindAllStringSubmatch(string(page.Body), -1) {
		form.Set(m[1], m[2])
	}
	ua.SubmitForm(w.stack.Pool.URL+"/oauth2/authorize", form)
	if _, in := ua.Cookie(testkit.Cookies(w.stack.URL).Session); !in {
		t.Fatalf("%s is not logged in: %d %s", email, page.Status, page.Body)
	}
	return ua
}

// use makes requests of every kind: some that fail, and some at the same time.
func (w *world) use(t *testing.T) {
	t.Helper()
	var wg sync.WaitGroup
	for _, ua := range w.browsers {
		wg.Go(func() {
			for range 10 {
				ua.Fetch(http.MethodGet, "/api/me", "")
				ua.Fetch(http.MethodPost, "/api/echo", "hello")
				ua.Fetch(http.MethodGet, "/auth/session", "")
			}
			ua.Fetch(http.MethodPost, "/auth/refresh", "")
			ua.Fetch(http.MethodPost, "/storage/uploads", `{"key":"a.txt","content_type":"text/plain","size":1}`, useragent.FetchOptions{Header: map[string]string{"Content-Type": "application/json"}})
			ua.Fetch(http.MethodGet, "/storage/objects", "")
			ua.Fetch(http.MethodGet, "/storage/objects/missing.txt", "")
			ua.Fetch(http.MethodGet, "/auth/verify", "", useragent.FetchOptions{Header: map[string]string{"X-Auth-Request-Secret": gatewaySecret}})
			ua.FetchFrom("https://evil.example", http.MethodPost, w.stack.URL+"/api/echo", "hello")
			ua.Navigate("/")
			ua.Navigate("/auth/callback?code=made-up&state=made-up")
		})
	}
	wg.Wait()
	w.speak(t, w.browsers[0])
	leaving := useragent.New(t, w.stack.URL)
	w.login(t, leaving, "demo@example.com").Fetch(http.MethodPost, "/auth/logout", "")
}

// speak sends a message through a WebSocket of the demo API.
func (w *world) speak(t *testing.T, ua *useragent.UA) {
	t.Helper()
	cookies := ""
	for _, c := range ua.Cookies() {
		cookies += fmt.Sprintf("%s=%s; ", c.Name, c.Value)
	}
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(w.stack.URL, "http", "ws", 1)+"/api/socket", &websocket.DialOptions{ //nolint:bodyclose // nothing is to be closed after a handshake
		HTTPHeader: http.Header{"Cookie": {cookies}, "Origin": {w.stack.URL}},
	})
	if err != nil {
		t.Fatalf("opening a WebSocket: %v", err)
	}
	defer func() { _ = conn.CloseNow() }()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
}
