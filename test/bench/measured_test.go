//go:build e2e

package bench_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"cognito-token-handler/test/cognitotest"
)

const (
	publicURL = "http://localhost:8080"
	bodySize  = 1024
)

// startService starts the measured process with a route to upstream, and logs in.
// limits are further keys of the route, each with a comma before it.
func startService(t *testing.T, upstream, limits string) (at served, cookies string) {
	t.Helper()
	pool := cognitotest.New(t, cognitotest.Options{CallbackURLs: []string{publicURL + "/auth/callback"}})
	at = startMeasured(t, configure(pool, "", fmt.Sprintf("api: {streams_per_session: %d, routes: [{path: /api/, upstream: %q%s}]}", eventStreams, upstream, limits)))
	return at, login(t, at.Ours)
}

// configure returns a configuration. session are further keys of the session, each with
// a comma before it, and more are further lines.
func configure(pool *cognitotest.Server, session, more string) string {
	return fmt.Sprintf(`
public_url: %s
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
provider: {kind: cognito, issuer: %q, client_id: %q, client_secret: %q, max_requests_per_second: 1000}
session: {keys: ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY="]%s}
limits: {exempt: [127.0.0.0/8]} # all load comes from here
%s
`, publicURL, pool.Issuer(), pool.ClientID(), pool.Secret(), session, more)
}

func ask(t *testing.T, control string) (u usage) {
	t.Helper()
	if err := json.Unmarshal(get(t, "http://"+control), &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// get returns the body of a response, and closes the connection.
func get(t *testing.T, address string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s answered %d: %v", address, answer.StatusCode, err)
	}
	return body
}

// startMeasured starts the process that is measured.
func startMeasured(t *testing.T, text string) (at served) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(program)
	child.Env = append(os.Environ(), configEnv+"="+text)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = child.Wait() })
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&at); err != nil {
		t.Fatalf("the measured process did not start: %v", err)
	}
	return at
}
