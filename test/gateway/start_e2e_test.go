//go:build e2e

package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/devstack/process"
)

// startPoll is the pause between two attempts to connect to a new gateway.
const startPoll = 20 * time.Millisecond

// places are the files and addresses of a test that replace those of the examples.
type places struct {
	dir              string // with the app's files, and the gateway's own
	port             string // of the gateway
	certificate, key string
	handler, api     string // host:port
}

// place is a text of an example and its replacement in a test.
type place struct{ old, now string }

// startGateway runs the gateway with its example, in which only the places are
// replaced. It has its own folder and port, so that one of the system is not touched.
func (w *world) startGateway(ctx context.Context, g gateway, edit []place) {
	t := w.t
	t.Helper()
	repo, err := process.RepoDir()
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join(repo, "config/examples", g.example))
	if err != nil {
		t.Fatal(err)
	}
	upstream, err := url.Parse(w.api.URL)
	if err != nil {
		t.Fatal(err)
	}
	w.tls = freePort(t)
	at := places{dir: t.TempDir(), handler: w.listens, api: upstream.Host}
	_, at.port, _ = net.SplitHostPort(w.tls)
	at.certificate, at.key = w.makeCertificate(at.dir)
	write(t, filepath.Join(at.dir, "index.html"), "<!doctype html><title>app</title>")
	config := string(example)
	for _, p := range append(g.places(t, at), edit...) {
		if !strings.Contains(config, p.old) {
			t.Fatalf("the example has no %q", p.old)
		}
		config = strings.ReplaceAll(config, p.old, p.now)
	}
	spec := g.run(at.dir, write(t, filepath.Join(at.dir, filepath.Base(g.example)), config))
	spec.Name, spec.Path, spec.Dir = g.name, find(t, g.name), at.dir
	child, err := process.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		child.Stop(stopGrace)
		w.inspect(g.name, child.Output())
	})
	w.awaitGateway(ctx, child)
}

// find looks for a program in PATH and in /usr/sbin, where Debian installs nginx.
func find(t *testing.T, name string) string {
	t.Helper()
	for _, name := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed (run `make tools`)", name)
	return ""
}

func (w *world) awaitGateway(ctx context.Context, child *process.Process) {
	w.t.Helper()
	ticker := time.NewTicker(startPoll)
	defer ticker.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.tls)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-child.Done():
			w.t.Fatal(child.Err())
		case <-ctx.Done():
			w.t.Fatalf("the gateway does not listen: %v", err)
		case <-ticker.C:
		}
	}
}

// makeCertificate writes a certificate for the app's host.
func (w *world) makeCertificate(dir string) (certificate, key string) {
	t := w.t
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app.example.com"}, DNSNames: []string{"app.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	w.roots = x509.NewCertPool()
	w.roots.AddCert(parsed)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate = write(t, filepath.Join(dir, "app.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return certificate, write(t, filepath.Join(dir, "app.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
}
