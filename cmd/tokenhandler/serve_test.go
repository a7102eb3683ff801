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
	"strings"
	"sync"
	"syscall"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

const publicURL = "http://localhost:8080"

// configuration is that of a service in front of an upstream.
func configuration(pool *cognitotest.Server, upstream string) string {
	return fmt.Sprintf(`
public_url: %s
listen: localhost:0
admin: {listen: "localhost:0"}
provider: {kind: cognito, issuer: %q, client_id: %q, client_secret: %q}
session: {keys: [MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY=]}
log: {level: debug}
api: {routes: [{path: /api/, upstream: %q}]}
`, publicURL, pool.Issuer(), cognitotest.DefaultClientID, cognitotest.DefaultSecret, upstream)
}

func newPool(t *testing.T) *cognitotest.Server {
	t.Helper()
	return cognitotest.New(t, cognitotest.Options{CallbackURLs: []string{publicURL + "/auth/callback"}})
}

// login returns a browser that is logged in, and that finds publicURL at the
// program's listener.
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
	if _, in := ua.Cookie("__Host-Http-session"); !in {
		s.t.Fatal("not logged in")
	}
	return ua
}

// get asks without a browser. The status is 0 if nobody answers.
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

// lateUpstream answers every request and, when it is told that the answer has
// arrived, echoes the request's Authorization as an answer that nobody asked
// for. The channel tells what it echoed, once the connection was closed for it.
func lateUpstream(t *testing.T, arrived <-chan struct{}) (address string, echoed <-chan string) {
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

// TestLateAnswersAreNotWritten: net/http quotes what an upstream sends on an
// idle connection to the standard logger, and with it the token that is echoed.
func TestLateAnswersAreNotWritten(t *testing.T) {
	arrived := make(chan struct{})
	upstream, echoed := lateUpstream(t, arrived)
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
	if s.out.Contains("Unsolicited") {
		t.Error("the program wrote what net/http says")
	}
}

// TestSecondSignalEndsAtOnce: who presses Ctrl-C twice does not want to wait for
// the requests under way.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
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
				t.Fatalf("the first signal ended it: %v", err)
			default:
			}
			s.signal(signal)
			err := s.end()
			status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !ok || !status.Signaled() || status.Signal() != signal {
				t.Errorf("ended otherwise than by the second signal: %v", err)
			}
		})
	}
}

// TestSpansOnTheConsole: one JSON object a line, the last ones at the end.
func TestSpansOnTheConsole(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "console")
	s := serve(t, configuration(newPool(t), "http://localhost:1"))
	if status, _ := s.get("http://" + s.public + "/api/me?q=planted"); status != http.StatusForbidden { // no page of ours
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
		t.Errorf("no span in, or a secret:\n%s", s.out.String())
	}
}
