package oauthproxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"cognito-token-handler/test/testkit"
)

// handshake returns a valid handshake with changes: "Name" removes a line, "Name: value"
// adds one.
func handshake(changes ...string) []string {
	lines := []string{
		"GET /api/socket HTTP/1.1", "Host: app.example.com", "Connection: keep-alive, Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + socketKey, "Origin: " + publicOrigin,
	}
	for _, change := range changes {
		if strings.Contains(change, ": ") {
			lines = append(lines, change)
			continue
		}
		var kept []string
		for _, line := range lines {
			if !strings.HasPrefix(line, change) {
				kept = append(kept, line)
			}
		}
		lines = kept
	}
	return lines
}

// A page of another site must not open a WebSocket: it would be authorised with the
// user's token, and the page could read what arrives.
func TestSocketOrigin(t *testing.T) {
	up := newUpstream(t, echo(nil))
	p := newProxy(t, socketRoute(t, up.URL))
	for _, tt := range []struct {
		lines  []string
		passes bool
	}{
		{nil, true}, // a browser without Fetch Metadata on handshakes
		{[]string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: websocket", "Sec-Fetch-Dest: empty"}, true},
		{[]string{"Origin", "Origin: " + allowedOrigin}, true},
		{[]string{"Origin", "Origin: " + allowedOrigin, "Sec-Fetch-Site: same-site"}, true},
		{[]string{"Origin"}, false},
		{[]string{"Origin", "X-CSRF: 1"}, false},
		{[]string{"Origin", "Sec-Fetch-Site: same-origin"}, false},
		{[]string{"Origin", "Sec-Fetch-Site: none"}, false},
		{[]string{"Origin", "Origin: https://evil.example"}, false},
		{[]string{"Origin", "Origin: https://evil.example", "X-CSRF: 1"}, false},
		{[]string{"Origin", "Origin: https://evil.example", "Sec-Fetch-Site: same-origin"}, false},
		{[]string{"Origin", "Origin: null"}, false},
		{[]string{"Origin", "Origin: " + publicOrigin + ".evil.example"}, false},
		{[]string{"Origin: https://evil.example"}, false},
		{[]string{"Origin: " + publicOrigin}, false}, // twice
		{[]string{"Sec-Fetch-Site: cross-site"}, false},
		{[]string{"Sec-Fetch-Site: same-site"}, false},
	} {
		t.Run(strings.Join(tt.lines, ", "), func(t *testing.T) {
			p.tokens.calls.Store(0)
			got := p.rawHead(t, handshake(tt.lines...)...)
			if tt.passes {
				if got.StatusCode != http.StatusSwitchingProtocols || got.Header.Get("Sec-WebSocket-Accept") != socketAccept {
					t.Errorf("answered %d %v", got.StatusCode, got.Header)
				}
				up.last(t)
				return
			}
			wantProblem(t, got, http.StatusForbidden, "cross_site_request")
			if len(up.requests()) != 0 || p.tokens.calls.Load() != 0 {
				t.Error("it was forwarded or authorised")
			}
		})
	}
}

// rawHead sends lines as they are and reads the response, or only its header if it is a
// 101. The connection stays open until the test ends.
func (p *proxy) rawHead(t *testing.T, lines ...string) answer {
	t.Helper()
	response, _ := p.rawSocket(t, lines...) //nolint:bodyclose // rawSocket does
	if response.StatusCode == http.StatusSwitchingProtocols {
		return answer{Response: response}
	}
	return readAnswer(t, response)
}

func (p *proxy) rawSocket(t *testing.T, lines ...string) (*http.Response, *bufio.ReadWriter) {
	t.Helper()
	conn := p.conn(t)
	rw := bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
	_, _ = rw.WriteString(strings.Join(lines, "\r\n") + "\r\n\r\n")
	if err := rw.Flush(); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(rw.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response, rw
}

func TestMalformedHandshake(t *testing.T) {
	up := newUpstream(t, echo(nil))
	p := newProxy(t, socketRoute(t, up.URL))
	for _, changes := range [][]string{ // package socket tests all others
		{"Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		{"Upgrade: websocket"}, // twice
		{"Connection"},
		{"POST /api/socket HTTP/1.1"},
		{"HEAD /api/socket HTTP/1.1"},
		{"Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"},
		{"Sec-WebSocket-Key"},
		{"Transfer-Encoding: chunked"},
	} {
		t.Run(strings.Join(changes, ", "), func(t *testing.T) {
			p.tokens.calls.Store(0)
			lines := handshake(changes...)
			if strings.Contains(changes[0], " HTTP/") {
				lines[0] = changes[0]
			}
			got := p.rawBody(t, "5\r\nhello\r\n0\r\n\r\n", append(lines, "Sec-Fetch-Site: same-origin")...)
			if got.StatusCode != http.StatusBadRequest || got.Header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("answered %d %v", got.StatusCode, got.Header)
			}
			if !strings.HasPrefix(lines[0], "HEAD") {
				wantProblem(t, got, http.StatusBadRequest, "invalid_request")
			}
			if len(up.requests()) != 0 || p.tokens.calls.Load() != 0 {
				t.Error("it was forwarded or authorised")
			}
		})
	}
}

// The upstream gets the token and none of our cookies. The client gets the headers of the
// 101 that belong to the handshake, and our cookie.
func TestSocketHeaders(t *testing.T) {
	seen := make(chan http.Header, 1)
	upstream := tcpServer(t, func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		seen <- r.Header
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+socketAccept+
			"\r\nSet-Cookie: __Host-Http-session=evil\r\nServer: inside/1.0\r\nStrict-Transport-Security: max-age=0\r\nX-Inside: 1\r\nCache-Control: public\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	p := newProxy(t, socketRoute(t, upstream))
	got := p.rawHead(t, handshake("Cookie: a=1; __Host-Http-session=sealed; b=2", "Authorization: Bearer forged", "X_Forwarded_For: 1.2.3.4")...)
	sent, underscored := testkit.Receive(t, seen, "the handshake"), "X_Forwarded_For"
	if sent.Get("Authorization") != "Bearer "+accessToken || sent.Get("Cookie") != "a=1; b=2" || sent[underscored] != nil ||
		sent.Get("Origin") != publicOrigin || sent.Get("Sec-WebSocket-Key") != socketKey {
		t.Errorf("the upstream saw %v", sent)
	}
	wantCookie(t, got)
	for _, name := range []string{"Server", "X-Inside"} {
		if got.Header[name] != nil {
			t.Errorf("%s: %v", name, got.Header[name])
		}
	}
	if got.Header.Get("Strict-Transport-Security") == "max-age=0" || got.Header.Get("X-Request-ID") == "" {
		t.Errorf("the client got %v", got.Header)
	}
}

// Any response other than 101 is passed on like all responses.
func TestHandshakeRefusedByTheUpstream(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "evil=1")
		if strings.HasSuffix(r.URL.Path, "/refused") && r.Header.Get("Authorization") == "Bearer another" {
			echo(nil)(w, r)
			return
		}
		status := map[string]int{"/api/426": 426, "/api/404": 404, "/api/200": 200, "/api/302": 302}[r.URL.Path]
		w.WriteHeader(max(status, 0, map[bool]int{true: 401}[status == 0]))
		_, _ = io.WriteString(w, "the upstream's words")
	})
	p := newProxy(t, socketRoute(t, up.URL))
	for _, status := range []int{426, 404, 200, 302, 401} {
		lines := handshake()
		lines[0] = fmt.Sprintf("GET /api/%d HTTP/1.1", status)
		got := p.rawHead(t, lines...)
		if got.StatusCode != status || got.body != "the upstream's words" {
			t.Errorf("answered %d %q, want %d", got.StatusCode, got.body, status)
		}
		wantCookie(t, got)
	}
	p.tokens.renew = func() (string, error) { return "another", nil }
	conn := p.dial(t, "/api/refused", websocket.DialOptions{})
	exchange(t, conn, websocket.MessageText, []byte("hello"))
}

// A 101 that the upstream sends without a handshake, or that does not accept it, must
// not open a tunnel.
func TestUnrequested101(t *testing.T) {
	const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	p := newProxy(t, socketRoute(t, rawUpstream(t, switching+"\r\n")))
	wantProblem(t, p.rawHead(t, handshake()...), http.StatusBadGateway, "upstream_error")
	p = newProxy(t, socketRoute(t, rawUpstream(t, switching+"Sec-WebSocket-Accept: "+socketAccept+"\r\n\r\n")))
	wantProblem(t, p.raw(t, "GET /api/x HTTP/1.1"), http.StatusBadGateway, "upstream_error")
}
