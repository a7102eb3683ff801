//go:build e2e

package bench_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
)

var (
	rounds      = flag.Int("rounds", 2, "rounds of each proxy")
	duration    = flag.Duration("duration", 300*time.Millisecond, "length of a round")
	connections = flag.Int("connections", 32, "kept connections")
	core        = flag.String("core", "", "pin the measured process to this core")
)

const (
	publicURL = "http://localhost:8080"
	bodySize  = 1024
)

// TestProxyAgainstABareOne prints the comparison. It fails if a request fails.
func TestProxyAgainstABareOne(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte(`{"data":"` + strings.Repeat("x", bodySize-11) + `"}`))
	}))
	t.Cleanup(upstream.Close)
	at, cookies := startService(t, upstream.URL, "")
	head := "GET /api/data HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36\r\n" +
		"Accept: application/json\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\nReferer: " + publicURL + "/\r\n" +
		"Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n"
	request := head + "Cookie: " + cookies + "\r\n\r\n"
	t.Logf("the request's head has %d bytes, %d of them cookies", len(request), len(cookies))

	for _, address := range []string{at.Bare, at.Pooled, at.Ours} { // all are warm before it counts
		measure(t, at.Control, address, request)
	}
	var bare, pooled, ours []sample
	for range *rounds {
		bare = append(bare, measure(t, at.Control, at.Bare, request))
		pooled = append(pooled, measure(t, at.Control, at.Pooled, request))
		ours = append(ours, measure(t, at.Control, at.Ours, request))
	}
	if t.Failed() {
		return
	}
	fmt.Printf("%d rounds of %s each in turn, %d connections\n%s", *rounds, *duration, *connections, table(bare, pooled, ours))
}

// startService starts the measured process before upstream, and logs in. limits
// are further keys of the route, each with a comma before it.
func startService(t *testing.T, upstream, limits string) (at served, cookies string) {
	t.Helper()
	pool := cognitotest.New(t, cognitotest.Options{CallbackURLs: []string{publicURL + "/auth/callback"}})
	at = startMeasured(t, configure(pool, "", fmt.Sprintf("api: {routes: [{path: /api/, upstream: %q%s}]}", upstream, limits)))
	return at, login(t, at.Ours)
}

// configure makes a configuration. session are further keys, each with a comma
// before it, more the lines that every test has of its own.
func configure(pool *cognitotest.Server, session, more string) string {
	return fmt.Sprintf(`
public_url: %s
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
provider: {kind: cognito, issuer: %q, client_id: %q, client_secret: %q, max_requests_per_second: 1000}
session: {keys: ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY="]%s}
%s
`, publicURL, pool.Issuer(), pool.ClientID(), pool.Secret(), session, more)
}

func measure(t *testing.T, control, address, request string) sample {
	t.Helper()
	before := ask(t, control)
	s := load(t, address, request, *connections, *duration)
	after := ask(t, control)
	if s.requests == 0 {
		t.Fatal("no request was answered")
	}
	s.used = usage{CPU: after.CPU - before.CPU, Mallocs: after.Mallocs - before.Mallocs, Bytes: after.Bytes - before.Bytes, RSS: after.RSS}
	return s
}

func ask(t *testing.T, control string) (u usage) {
	t.Helper()
	if err := json.Unmarshal(get(t, "http://"+control), &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// get leaves no connection behind.
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
	args := []string{program}
	if *core != "" {
		args = append([]string{"taskset", "-c", *core}, args...)
	}
	child := exec.Command(args[0], args[1:]...)
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

// login walks through a login and returns the session's cookies.
func login(t *testing.T, address string) string {
	t.Helper()
	begun := visit(t, address, publicURL+"/auth/login", "")
	for deadline := time.Now().Add(20 * time.Second); begun.status != http.StatusFound; begun = visit(t, address, publicURL+"/auth/login", "") {
		if time.Now().After(deadline) { // the provider is connected a moment after the start
			t.Fatalf("the login answers %d", begun.status)
		}
		time.Sleep(10 * time.Millisecond)
	}
	hosted := visit(t, address, begun.location, "")
	done := visit(t, address, hosted.location, begun.cookies)
	if done.status != http.StatusSeeOther || !strings.Contains(done.cookies, "session=") {
		t.Fatalf("the callback answered %d to %s", done.status, done.location)
	}
	return done.cookies
}

// step is one answer of a login: the cookies that it sets as a browser sends them.
type step struct {
	status            int
	location, cookies string
}

func visit(t *testing.T, address, target, cookies string) step {
	t.Helper()
	path, ours := strings.CutPrefix(target, publicURL)
	if ours {
		target = "http://" + address + path
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if ours {
		r.Host = strings.TrimPrefix(publicURL, "http://")
	}
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	var pairs []string
	for _, c := range answer.Cookies() {
		if c.MaxAge >= 0 {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
	}
	return step{answer.StatusCode, answer.Header.Get("Location"), strings.Join(pairs, "; ")}
}
