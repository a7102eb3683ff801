package app_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
	"cognito-token-handler/test/cognitotest"
)

// TestUpstreamCAFile through the whole service.
func TestUpstreamCAFile(t *testing.T) {
	up := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("over TLS")) }))
	t.Cleanup(up.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: up.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, cognitotest.Options{}, "    - {path: /tls/, upstream: "+up.URL+", upstream_ca_file: "+file+"}", "    - {path: /untrusted/, upstream: "+up.URL+"}")
	ua := s.login()
	if r := ua.Fetch(http.MethodGet, "/tls/", ""); r.Status != http.StatusOK || string(r.Body) != "over TLS" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := ua.Fetch(http.MethodGet, "/untrusted/", ""); r.Status != http.StatusBadGateway {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

func TestBadUpstreamCAFileKeepsTheServiceFromStarting(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"empty.pem": "", "key.pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "missing.pem": ""} {
		file := filepath.Join(dir, name)
		if name != "missing.pem" {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cfg := parsed(t)
		cfg.API.Routes = []config.Route{{Path: "/api/", Upstream: cfg.PublicURL, UpstreamCAFile: file}}
		if _, err := app.New(t.Context(), cfg, discard()); err == nil || !strings.HasPrefix(err.Error(), "api.routes /api/ upstream_ca_file: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
