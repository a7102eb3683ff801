package app_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
)

// TestAuthoritiesAreReloaded: a route's upstream is trusted by what its file holds now. A
// file that cannot be used changes nothing.
func TestAuthoritiesAreReloaded(t *testing.T) {
	up := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(up.Close)
	right := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: up.Certificate().Raw}))
	other, _ := newPair(t, 1)
	file := filepath.Join(t.TempDir(), "ca.pem")
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{}), api: newAPI(t), log: &testkit.Log{}}
	s.write(file, other)
	s.environ = []string{fmt.Sprintf("TH_API__ROUTES=[{path: /api/, upstream: %q, anonymous: true, upstream_ca_file: %q}]", up.URL, file)}
	s.run(s.pool.Issuer())
	ua := s.browser()
	answers := func(what string, status int) {
		t.Helper()
		testkit.Eventually(t, what, func() bool { return ua.Fetch(http.MethodGet, "/api/x", "").Status == status })
	}
	const label = "upstream_ca:/api/"
	s.gauge(label, 1)
	answers("another authority", http.StatusBadGateway)
	s.write(file, right)
	answers("the right authority", http.StatusTeapot)
	s.write(file, "no certificate")
	s.gauge(label, 0)
	answers("a file that cannot be used", http.StatusTeapot)
	s.write(file, other+right)
	s.gauge(label, 1)
	answers("both", http.StatusTeapot)
	s.write(file, other)
	answers("the right one is gone", http.StatusBadGateway)
}

// TestAppIsReloaded: a deployment that turns a link to the next build needs no restart.
func TestAppIsReloaded(t *testing.T) {
	link := filepath.Join(t.TempDir(), "current")
	first, second := newSPA(t), newSPA(t)
	turn := func(target string) {
		t.Helper()
		if err := os.Symlink(target, link+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".new", link); err != nil {
			t.Fatal(err)
		}
	}
	turn(first)
	s := start(t, cognitotest.Options{}, fmt.Sprintf("spa: {dir: %q}", link))
	s.write(filepath.Join(second, "index.html"), "<!doctype html><title>the next</title>")
	ua := s.browser()
	turn(t.TempDir())
	s.gauge("spa_dir", 0)
	if got := ua.Navigate("/"); string(got.Body) != "<!doctype html>" {
		t.Errorf("without index.html: %d %q", got.Status, got.Body)
	}
	turn(second)
	s.gauge("spa_dir", 1)
	if got := ua.Navigate("/"); string(got.Body) != "<!doctype html><title>the next</title>" {
		t.Errorf("the next build: %d %q", got.Status, got.Body)
	}
}
