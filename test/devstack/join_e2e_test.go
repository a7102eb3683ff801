//go:build e2e

package devstack_test

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"cognito-token-handler/test/devstack"
)

const vite = "http://localhost:5173"

// TestForeignAppJoins: `make run APP=… API=…`. The login page's own test is in test/browser.
func TestForeignAppJoins(t *testing.T) {
	stack := start(t, devstack.Options{
		Apps: []string{vite, "http://localhost:4000"}, LoginURL: "https://192.0.2.7:9443",
		APIs: []devstack.API{{Path: "/api/", URL: "http://localhost:3000"}, {Path: "/graphql/", URL: "http://localhost:3001"}},
	})
	var c struct {
		PublicURL      string   `yaml:"public_url"`
		AllowedOrigins []string `yaml:"allowed_origins"`
		API            struct {
			Routes []struct{ Path, Upstream string }
		}
		Provider struct{ Endpoints map[string]string }
	}
	if err := yaml.Unmarshal([]byte(get(t, stack.URL+"/file")), &c); err != nil {
		t.Fatal(err)
	}
	if c.PublicURL != vite || len(c.AllowedOrigins) != 1 || c.AllowedOrigins[0] != "http://localhost:4000" {
		t.Errorf("public_url %s, allowed_origins %v", c.PublicURL, c.AllowedOrigins)
	}
	if len(c.API.Routes) != 2 || c.API.Routes[0].Upstream != "http://localhost:3000" || c.API.Routes[1].Path != "/graphql/" {
		t.Errorf("routes %+v", c.API.Routes)
	}
	if c.Provider.Endpoints["authorization"] != "https://192.0.2.7:9443/oauth2/authorize" || c.Provider.Endpoints["logout"] != "https://192.0.2.7:9443/logout" {
		t.Errorf("endpoints %v", c.Provider.Endpoints)
	}
	for _, origin := range c.AllowedOrigins {
		wantRegistered(t, stack, origin)
		wantCORS(t, stack, origin)
	}
	wantRegistered(t, stack, vite)
	wantCORS(t, stack, vite)
}

// wantRegistered asserts that users of the app can log out at the pool. TestHostedPages logs in.
func wantRegistered(t *testing.T, stack *devstack.Stack, origin string) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(stack.Pool.URL + "/logout?client_id=" + stack.Pool.ClientID + "&logout_uri=" + origin + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusFound {
		t.Errorf("logging out of %s: %d", origin, response.StatusCode)
	}
}

func wantCORS(t *testing.T, stack *devstack.Stack, origin string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, stack.S3.Endpoint+"/"+stack.S3.Bucket+"/key", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", origin)
	request.Header.Set("Access-Control-Request-Method", http.MethodPut)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if got := response.Header.Get("Access-Control-Allow-Origin"); got != origin {
		t.Errorf("the bucket allows %q, not %s", got, origin)
	}
}

// announced keeps what RunServers prints.
type announced struct {
	bytes.Buffer

	ready chan string // the health URL
}

func (a *announced) Write(b []byte) (int, error) {
	n, err := a.Buffer.Write(b)
	if found := regexp.MustCompile(`(?m)^ready: (\S+)$`).FindSubmatch(b); found != nil {
		a.ready <- string(found[1]) // last: who receives it reads the buffer
	}
	return n, err
}

// TestServersForOtherPeople: `make stack`.
func TestServersForOtherPeople(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	file := filepath.Join(t.TempDir(), "stack", "tokenhandler.yaml")
	screen, ended := &announced{ready: make(chan string, 1)}, make(chan error, 1)
	args := []string{"-config", file, "-cognito-port", "0", "-s3-port", "0", "-redis", "-redis-port", "0", "-app", vite}
	go func() { ended <- devstack.RunServers(ctx, args, screen) }()
	var health string
	select {
	case health = <-screen.ready:
	case err := <-ended:
		t.Fatalf("RunServers ended: %v", err)
	}
	if body := get(t, health); !strings.Contains(body, "ready") {
		t.Errorf("%s: %s", health, body)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wantUsable(t, content)
	for _, want := range []string{string(content), "demo@example.com", "Demo-Passw0rd!", "AWS_ACCESS_KEY_ID=local-tests AWS_SECRET_ACCESS_KEY=", file} {
		if !strings.Contains(screen.String(), want) {
			t.Errorf("the screen has no %s", want)
		}
	}
	interrupt()
	if err := <-ended; err != nil {
		t.Errorf("RunServers = %v", err)
	}
	if response, err := http.Get(health); err == nil {
		_ = response.Body.Close()
		t.Error("the pool still answers")
	}
}

// wantUsable asserts that the token handler accepts the configuration, and that ids and secrets in it are those that never change.
func wantUsable(t *testing.T, content []byte) {
	t.Helper()
	c, err := loadConfig(content, "tokenhandler.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.PublicURL.String() != vite || c.Provider.ClientID != "1demo23456789tokenhandler" {
		t.Errorf("public_url %s, client %s", c.PublicURL, c.Provider.ClientID)
	}
	for _, want := range []string{"client_secret: local-tests-not-a-secret\n", "store: redis://127.0.0.1:", "upstream: http://localhost:3000\n"} {
		if !strings.Contains(string(content), want) {
			t.Errorf("the configuration has no %q:\n%s", want, content)
		}
	}
}
