package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

const publicURL = "http://localhost:8080"

// configuration returns the configuration of a service with one API route to upstream.
func configuration(pool *cognitotest.Server, upstream string) string {
	return fmt.Sprintf(`
public_url: %s
listen: localhost:0
admin: {listen: "localhost:0"}
provider: {kind: cognito, issuer: %q, client_id: %q, client_secret: %q}
session: {keys: [MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY=]}
log: {level: debug}
shutdown: {delay: 0s}
api: {routes: [{path: /api/, upstream: %q}]}
`, publicURL, pool.Issuer(), cognitotest.DefaultClientID, cognitotest.DefaultSecret, upstream)
}

func newPool(t *testing.T) *cognitotest.Server {
	t.Helper()
	return cognitotest.New(t, cognitotest.Options{CallbackURLs: []string{publicURL + "/auth/callback"}})
}

// login returns a browser that is logged in. The browser connects to the program's
// listener when it opens publicURL.
func (s *service) login() *useragent.UA {
	s.t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "localhost:8080" {
			address = s.public
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	s.t.Cleanup(transport.CloseIdleConnections)
	ua := useragent.New(s.t, publicURL)
	ua.SetTransport(transport)
	testkit.Eventually(s.t, "ready", func() bool { status, _ := s.get("http://" + s.admin + "/readyz"); return status == http.StatusOK })
	ua.Navigate("/auth/login?return_to=/nowhere")
	if _, in := ua.Cookie(testkit.Cookies(publicURL).Session); !in {
		s.t.Fatal("not logged in")
	}
	return ua
}

// get sends a GET request without cookies. The status is 0 if there is no response.
func (s *service) get(address string) (status int, body string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := (&http.Client{Timeout: testkit.Deadline}).Do(r)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Error(err)
	}
	return answer.StatusCode, string(content)
}

// unsolicitedUpstream answers one request. When arrived is closed, it sends a second
// response on the idle connection, without a request, which echoes the Authorization
// header. The returned channel receives the echoed token once the service has closed
// the connection.
func unsolicitedUpstream(t *testing.T, arrived <-chan struct{}) (address string, echoed <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	done := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		<-arrived
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Echo: "+r.Header.Get("Authorization")+"\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
		done <- strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}()
	return "http://" + listener.Addr().String(), done
}

// TestUnsolicitedResponsesAreNotLogged: net/http writes what an upstream sends on an
// idle connection to the standard logger. Here that is an access token.
func TestUnsolicitedResponsesAreNotLogged(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	upstream, echoed := unsolicitedUpstream(t, arrived)
	s := serve(t, configuration(newPool(t), upstream))
	ua := s.login()
	if r := ua.Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusOK {
		t.Fatalf("answered %d %s", r.Status, r.Body)
	}
	close(arrived)
	token := <-echoed
	if len(token) < 100 {
		t.Fatalf("the upstream was given no token but %q", token)
	}
	s.out.Wait(t, "messages of the standard library were withheld", 1)
	s.signal(syscall.SIGTERM)
	if err := s.end(); err != nil {
		t.Error(err)
	}
	for part := range strings.SplitSeq(token, ".") {
		if s.out.Contains(part) {
			t.Errorf("the program wrote %.12s… of the token", part)
		}
	}
	if s.out.Contains("Unsolicited response") {
		t.Error("the program wrote the message of net/http")
	}
}

// TestSecondSignalEndsAtOnce: a second signal ends the program although a request is
// still being answered.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			entered, release := make(chan struct{}), make(chan struct{})
			upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				close(entered)
				<-release
			}))
			t.Cleanup(upstream.Close)
			s := serve(t, configuration(newPool(t), upstream.URL))
			ua := s.login()
			var client sync.WaitGroup
			t.Cleanup(client.Wait)
			t.Cleanup(func() { close(release) })
			client.Go(func() { ua.Fetch(http.MethodGet, "/api/slow", "") })
			<-entered
			s.signal(signal)
			testkit.Eventually(t, "shutting down", func() bool {
				_, body := s.get("http://" + s.admin + "/readyz")
				return strings.Contains(body, "shutdown")
			})
			select {
			case err := <-s.ended:
				t.Fatalf("the first signal ended the program: %v", err)
			default:
			}
			s.signal(signal)
			err := s.end()
			status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !ok || !status.Signaled() || status.Signal() != signal {
				t.Errorf("the program was not ended by the second signal: %v", err)
			}
		})
	}
}

// TestHangupReloads: SIGHUP does not end the program, but makes it read its files again.
func TestHangupReloads(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	keys := filepath.Join(t.TempDir(), "keys")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(keys, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const key, newKey = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY=\n", "QUJDREVGMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk=\n"
	write(key)
	s := serve(t, configuration(pool, "http://localhost:1"), "TH_SESSION__KEYS_FILE="+keys)
	write(newKey + key)
	s.signal(syscall.SIGHUP)
	s.out.Wait(t, `"msg":"files read again on request"`, 1)
	if !s.out.Contains(`"msg":"file reloaded","file":"session_keys"`) {
		t.Error("the new keys are not in use")
	}
	s.login()
	s.signal(syscall.SIGTERM)
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

// TestDelayIsForSIGTERMOnly: load balancers need a moment after SIGTERM, nobody after
// SIGINT.
func TestDelayIsForSIGTERMOnly(t *testing.T) {
	t.Parallel()
	config := strings.Replace(configuration(newPool(t), "http://localhost:1"), "delay: 0s", "delay: 15s", 1)
	s := serve(t, config)
	s.signal(syscall.SIGTERM)
	s.out.Wait(t, "not ready from now on, but new requests are still served", 1)
	if status, _ := s.get("http://" + s.public + "/auth/session"); status != http.StatusForbidden { // it lacks the headers of a request of the app
		t.Errorf("a request during the delay: %d", status)
	}
	s.signal(syscall.SIGTERM) // ends it at once
	_ = s.end()
	s = serve(t, config)
	s.signal(syscall.SIGINT)
	if err := s.end(); err != nil || s.out.Contains("still served") {
		t.Errorf("after SIGINT: %v", err)
	}
}

// TestSpansOnTheConsole checks that spans are written as one JSON object per line, that
// none is lost at the shutdown, and that they hold no query.
func TestSpansOnTheConsole(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "console")
	s := serve(t, configuration(newPool(t), "http://localhost:1"))
	if status, _ := s.get("http://" + s.public + "/api/me?q=planted"); status != http.StatusForbidden { // it lacks the headers of a request of the app
		t.Errorf("answered %d", status)
	}
	s.signal(syscall.SIGTERM)
	if err := s.end(); err != nil {
		t.Error(err)
	}
	found := false
	for line := range strings.Lines(s.out.String()) {
		var span struct{ Name string }
		found = found || json.Unmarshal([]byte(line), &span) == nil && span.Name == "GET /api/"
	}
	if !found || s.out.Contains("planted") {
		t.Errorf("there is no span, or the query was written:\n%s", s.out.String())
	}
}
