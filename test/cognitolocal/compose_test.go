//go:build e2e

package cognitolocal_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/useragent"
)

// composed is config/examples/cognito-local/compose.yaml. The zero value is the same programs without containers.
type composed struct {
	Name     string
	Services map[string]struct {
		Image       string
		Command     []string
		WorkingDir  string                                `yaml:"working_dir"`
		NetworkMode string                                `yaml:"network_mode"`
		DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
		CapDrop     []string                              `yaml:"cap_drop"`
		Environment map[string]string
		Secrets     []string
		Volumes     []string
		Ports       []string
		Healthcheck struct {
			Test     []string
			Interval string
			Retries  int
		}
	}
	Secrets map[string]struct{ Environment string }
}

// pool returns cognito-local's environment, with this port.
func (c composed) pool(port string) []string {
	env := []string{port}
	for name, value := range c.Services["cognito-local"].Environment {
		if name != "PORT" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// handler returns the token handler's environment, with these ports, and the key from the folder.
func (c composed) handler(dir string, app, admin int) []string {
	service, found := c.Services["tokenhandler"]
	if !found {
		return []string{"TH_LISTEN=" + process.Addr(app), "TH_ADMIN__LISTEN=" + process.Addr(admin)}
	}
	replacer := strings.NewReplacer(":8080", fmt.Sprint(":", app), ":9090", fmt.Sprint(":", admin), "/run/secrets", dir)
	var env []string
	for name, value := range service.Environment {
		env = append(env, name+"="+replacer.Replace(value))
	}
	return env
}

// TestComposeFile runs what compose.yaml has in containers, with the same environment and files, on this machine.
func TestComposeFile(t *testing.T) {
	repo, err := process.RepoDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(repo, "config", "examples", "cognito-local")
	file, err := os.Open(filepath.Join(dir, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var c composed
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil {
		t.Fatal(err)
	}
	pool, handler := c.Services["cognito-local"], c.Services["tokenhandler"]
	for _, volume := range slices.Concat(pool.Volumes, handler.Volumes) {
		path, _, _ := strings.Cut(volume, ":")
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			t.Errorf("a volume: %v", err)
		}
	}
	if pool.Environment["HOST"] != "0.0.0.0" || handler.NetworkMode != "service:cognito-local" || len(pool.Ports) != 3 ||
		c.Secrets[handler.Secrets[0]].Environment != "SESSION_KEY" {
		t.Errorf("compose.yaml has %+v", c)
	}
	w := newPlainWith(t, c)
	ua := useragent.New(t, w.url)
	if end := w.login(ua); end.URL != w.url+"/start" {
		t.Fatalf("the login ended at %s: %d %s", end.URL, end.Status, end.Body)
	}
	if r := ua.Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusOK || string(r.Body) != "bearer" {
		t.Errorf("the API: %d %s", r.Status, r.Body)
	}
}
