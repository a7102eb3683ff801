//go:build e2e

package devstack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/devstack"
)

func start(t *testing.T, options devstack.Options) *devstack.Stack {
	t.Helper()
	options.Binary, options.Log = os.Args[0], t.Output()
	begun := time.Now()
	stack, err := devstack.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the stack was up after %s", time.Since(begun))
	t.Cleanup(stack.Close)
	return stack
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s = %d, %v", url, response.StatusCode, err)
	}
	return string(body)
}

func TestStackIsUpAndGoesDown(t *testing.T) {
	t.Setenv("AWS_PROFILE", "of-the-developer")
	t.Setenv("TH_LISTEN", "of-the-developer")
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	stack := start(t, devstack.Options{
		AccessTokenTTL: time.Minute,
		ExtraConfig: func(stack *devstack.Stack, config devstack.Config) {
			config.Set("session.idle_timeout", "2m")
			config.Set("api.routes", []devstack.Config{{"path": "/other/", "upstream": stack.APIURL}})
		},
	})
	file := get(t, stack.URL+"/file")
	for _, want := range []string{
		"public_url: " + stack.URL, "issuer: " + stack.Pool.Issuer, "endpoint: " + stack.S3.Endpoint, "idle_timeout: 2m",
		"path: /other/", "upstream: " + stack.APIURL,
	} {
		if !strings.Contains(file, want) {
			t.Errorf("the configuration has no %q:\n%s", want, file)
		}
	}
	if strings.Contains(file, stack.Pool.ClientSecret) || strings.Contains(file, stack.S3.SecretKey) {
		t.Error("a secret stands in the configuration itself")
	}
	var env []string
	if err := json.Unmarshal([]byte(get(t, stack.URL+"/env")), &env); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(env, "AWS_ACCESS_KEY_ID="+stack.S3.AccessKey) || strings.Contains(strings.Join(env, " "), "of-the-developer") {
		t.Errorf("the token handler's environment is %q", env)
	}
	if err := stack.RestartHandler(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log := stack.HandlerLog(); strings.Count(log, "standing in at") != 2 || strings.Count(log, "asked to stop") != 1 {
		t.Errorf("HandlerLog = %q", log)
	}
	stack.Close()
	for _, url := range []string{stack.URL, stack.AdminURL, stack.APIURL, stack.Pool.URL, stack.Pool.BackendURL(), stack.S3.Endpoint} {
		if response, err := http.Get(url); err == nil {
			_ = response.Body.Close()
			t.Errorf("%s still answers", url)
		}
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestHandlerThatRefusesItsConfiguration(t *testing.T) {
	_, err := devstack.Start(t.Context(), devstack.Options{
		Binary:      os.Args[0],
		ExtraConfig: func(_ *devstack.Stack, config devstack.Config) { config.Set("session.no_such_key", true) },
	})
	if err == nil || !strings.Contains(err.Error(), "tokenhandler stopped: exit status 1") || !strings.Contains(err.Error(), "no_such_key") {
		t.Errorf("err = %v", err)
	}
}

// screen keeps what Run prints. It may be read while Run runs.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	up   chan struct{} // closed once the welcome is there
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.text.Write(b)
	if strings.Contains(string(b), "The local stack is up") {
		close(s.up)
	}
	return n, err
}

func (s *screen) url(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(s.text.String()) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "Open" {
			return fields[1]
		}
	}
	t.Fatalf("no address on the screen: %q", s.text.String())
	return ""
}

func run(t *testing.T, ctx context.Context) (s *screen, ended chan error) { //nolint:revive // t goes first in a helper
	t.Helper()
	s, ended = &screen{up: make(chan struct{})}, make(chan error, 1)
	args := []string{"-binary", os.Args[0], "-spa", "", "-port", "0", "-admin-port", "0", "-cognito-port", "0", "-s3-port", "0"}
	go func() { ended <- devstack.Run(ctx, args, s) }()
	select {
	case <-s.up:
	case err := <-ended:
		t.Fatalf("Run ended: %v", err)
	}
	return s, ended
}

func TestRunUntilInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	s, ended := run(t, ctx)
	for _, want := range []string{"demo@example.com", "second@example.com", "Demo-Passw0rd!", "the issuer http://localhost:", "the client 1demo"} {
		if !strings.Contains(s.text.String(), want) {
			t.Errorf("the screen has no %s", want)
		}
	}
	get(t, s.url(t)+"/env")
	if file := get(t, s.url(t)+"/file"); !strings.Contains(file, "error_path: /") {
		t.Errorf("the demo's own page for failed logins is not used:\n%s", file)
	}
	interrupt()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestRunInterruptedWhileStarting(t *testing.T) {
	ctx, interrupt := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer interrupt()
	args := []string{"-binary", os.Args[0], "-spa", "", "-port", "0", "-admin-port", "0", "-cognito-port", "0", "-s3-port", "0"}
	if err := devstack.Run(ctx, args, io.Discard); err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestRunFailsWithTheLastWordsOfADeadChild(t *testing.T) {
	s, ended := run(t, t.Context())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url(t)+"/die", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		_ = response.Body.Close()
	}
	err = <-ended
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.HasSuffix(err.Error(), "these are my last words") {
		t.Errorf("Run = %v", err)
	}
}
