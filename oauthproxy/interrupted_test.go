package oauthproxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"cognito-token-handler/test/testkit"
)

// If the upstream dies between the head of its response and the first byte of the body, the
// client gets the head. Browsers send a request again if a connection that they have used
// before ends without one byte of a response, and a POST would be executed twice.
func TestHeadArrivesBeforeTheBreak(t *testing.T) {
	const created = "HTTP/1.1 200 OK\r\nX-Order: 7\r\n"
	for name, text := range map[string]string{
		"length":       created + "Content-Length: 500\r\n\r\n",
		"some bytes":   created + "Content-Length: 500\r\n\r\nsome",
		"chunked":      created + "Transfer-Encoding: chunked\r\n\r\n",
		"a bad chunk":  created + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		"event stream": created + "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		for protocol, newProxy := range map[string]protocol{"HTTP/1": overHTTP1, "HTTP/2": overHTTP2} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				var posts atomic.Int32
				p := newProxy.newProxy(t, api(t, tcpServer(t, func(conn net.Conn) {
					for requests := bufio.NewReader(conn); ; {
						r, err := http.ReadRequest(requests)
						if err != nil {
							return
						}
						_, _ = io.Copy(io.Discard, r.Body)
						if r.Method == http.MethodPost {
							posts.Add(1)
							_, _ = io.WriteString(conn, text)
							return
						}
						_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
					}
				})))
				p.get(t, "/api/x")                                                                         // the connection is used before
				response := p.open(t, p.request(t, http.MethodPost, "/api/x", strings.NewReader("order"))) //nolint:bodyclose // open does
				body, err := io.ReadAll(response.Body)
				if err == nil || response.StatusCode != http.StatusOK || response.Header.Get("X-Order") != "7" || !strings.HasPrefix("some", string(body)) {
					t.Errorf("answered %d %v, read %q to the end %v", response.StatusCode, response.Header, body, err)
				}
				if got := response.Header["Set-Cookie"]; len(got) != 1 || got[0] != sessionCookie {
					t.Errorf("Set-Cookie %q", got)
				}
				if n := posts.Load(); n != 1 {
					t.Errorf("the upstream saw the POST %d times", n)
				}
				p.Close()
				wantInterrupted(t, p, http.StatusOK, "upstream", "WARN")
			})
		}
	}
}

// wantInterrupted asserts that the last record of a request says who broke its response off.
func wantInterrupted(t *testing.T, p *proxy, status int, by, level string) {
	t.Helper()
	records := p.log.RecordsOf(t, "request")
	if len(records) == 0 {
		t.Fatal("nothing was logged")
	}
	last := records[len(records)-1]
	if last["interrupted_by"] != by || last["status"] != float64(status) || last["level"] != level {
		t.Errorf("logged %v, want status %d, interrupted by %s, at %s", last, status, by, level)
	}
}

// A client that leaves is not a fault of the upstream, and a response that was never begun
// has no status.
func TestRecordOfAClientThatLeft(t *testing.T) {
	arrived := make(chan struct{}, 1)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/stream" {
			_ = http.NewResponseController(w).Flush()
		}
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	for target, status := range map[string]int{"/api/waiting": 0, "/api/stream": http.StatusOK} {
		p := newProxy(t, api(t, up.URL))
		conn := p.conn(t)
		_, _ = io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: same-origin\r\n\r\n")
		testkit.Receive(t, arrived, "the request")
		if target == "/api/stream" { // its status is sent
			if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil { //nolint:bodyclose // the connection is closed
				t.Fatal(err)
			}
		}
		_ = conn.Close()
		p.log.Wait(t, `"msg":"request"`, 1)
		wantInterrupted(t, p, status, "client", "INFO")
	}
}
