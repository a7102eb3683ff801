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

// nginxPoll is how often a new nginx is asked whether it listens.
const nginxPoll = 20 * time.Millisecond

// findNginx: Debian puts it where only root's PATH leads.
func findNginx(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("nginx is not installed (run `make tools`)")
	return ""
}

// startNginx runs nginx with the example, in which only the places are others.
// It has its own folder, port and pid file: an nginx that the system runs is not
// touched. edit are further pairs of what to replace by what.
func (w *world) startNginx(ctx context.Context, edit []string) {
	t := w.t
	t.Helper()
	repo, err := process.RepoDir()
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join(repo, "config/examples/gateways/nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w.tls = freePort(t)
	_, port, _ := net.SplitHostPort(w.tls)
	upstream, err := url.Parse(w.api.URL)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key := w.makeCertificate(dir)
	write(t, filepath.Join(dir, "index.html"), "<!doctype html><title>app</title>")
	include := write(t, filepath.Join(dir, "verify_secret.conf"), `proxy_set_header X-Auth-Request-Secret "`+verifySecret+`";`)
	var own strings.Builder // where nginx writes by default
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		own.WriteString("    " + kind + "_temp_path " + filepath.Join(dir, kind) + ";\n")
	}
	config := string(example)
	for _, place := range append([][2]string{
		{"http {\n", "http {\n    access_log /dev/stderr;\n" + own.String()},
		{"listen 443 ssl;", "listen 127.0.0.1:" + port + " ssl; listen [::1]:" + port + " ssl;"},
		{"/etc/nginx/tls/app.crt", certificate},
		{"/etc/nginx/tls/app.key", key},
		{"/etc/nginx/verify_secret.conf", include},
		{"/srv/app", dir},
		{"server 127.0.0.1:8080;", "server " + w.listens + ";"},
		{"server 127.0.0.1:3000;", "server " + upstream.Host + ";"},
	}, pairs(edit)...) {
		if strings.Count(config, place[0]) != 1 {
			t.Fatalf("the example has %q %d times", place[0], strings.Count(config, place[0]))
		}
		config = strings.Replace(config, place[0], place[1], 1)
	}
	w.nginx, err = process.Start(process.Spec{
		Name: "nginx", Path: findNginx(t), Dir: dir, Env: process.Environment(),
		Args: []string{
			"-p", dir, "-c", write(t, filepath.Join(dir, "nginx.conf"), config), "-e", "stderr",
			"-g", "daemon off; user root; worker_processes 1; pid " + filepath.Join(dir, "nginx.pid") + ";",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.nginx.Stop(stopGrace)
		w.inspect("nginx", w.nginx.Output())
	})
	w.awaitNginx(ctx)
}

func pairs(flat []string) [][2]string {
	var out [][2]string
	for i := 0; i+1 < len(flat); i += 2 {
		out = append(out, [2]string{flat[i], flat[i+1]})
	}
	return out
}

func (w *world) awaitNginx(ctx context.Context) {
	w.t.Helper()
	ticker := time.NewTicker(nginxPoll)
	defer ticker.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.tls)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-w.nginx.Done():
			w.t.Fatal(w.nginx.Err())
		case <-ctx.Done():
			w.t.Fatalf("nginx does not listen: %v", err)
		case <-ticker.C:
		}
	}
}

// makeCertificate writes one for the app's host.
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
