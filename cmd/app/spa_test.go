package app_test

import (
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

// TestFormsMayEndAtTheProvidersLogout: a logout by form is redirected there, and
// what a page may do is told when it is loaded, perhaps before the provider can
// be reached.
func TestFormsMayEndAtTheProvidersLogout(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*config.Config)
		want   string
	}{
		"nothing is known": {func(*config.Config) {}, "form-action 'self';"},
		"domain": {
			func(c *config.Config) { c.Provider.Domain = "https://auth.example.com" },
			"form-action 'self' https://auth.example.com;",
		},
		"logout endpoint": {func(c *config.Config) {
			c.Provider.Domain, c.Provider.Endpoints.Logout = "https://auth.example.com", "https://SSO.example.com:443/out?tenant=1"
		}, "form-action 'self' https://sso.example.com;"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := parsed(t)
			cfg.SPA.Dir = newSPA(t)
			tt.change(&cfg)
			a, err := app.New(t.Context(), cfg, discard())
			if err != nil {
				t.Fatal(err)
			}
			rec := httptest.NewRecorder()
			app.Public(a).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
			if policy := rec.Header().Get("Content-Security-Policy"); !strings.Contains(policy, tt.want) {
				t.Errorf("policy %s, want %s", policy, tt.want)
			}
		})
	}
}

func TestFormsMayEndAtTheDiscoveredLogout(t *testing.T) {
	s := start(t, cognitotest.Options{}, "spa: {dir: "+newSPA(t)+"}")
	s.ready()
	r := s.browser().Navigate("/")
	if policy := r.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' "+s.pool.URL+";") {
		t.Errorf("policy %s", policy)
	}
}

func newSPA(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<!doctype html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
