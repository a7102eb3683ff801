package socket_test

import (
	"bufio"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"

	"cognito-token-handler/oauthproxy/socket"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

func TestCheckHandshake(t *testing.T) {
	for _, changes := range [][]string{
		nil,
		{"Upgrade", "Upgrade: WebSocket"},
		{"Connection", "Connection: keep-alive, upgrade"},
		{"Origin", "Origin: https://admin.example.com"},

		{"Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		{"Upgrade", "Upgrade: TLS/1.0"},
		{"Upgrade", "Upgrade: websocket, h2c"},
		{"Upgrade", "Upgrade: h2c, websocket"},
		{"Upgrade: h2c"},
		{"Upgrade: websocket"}, // twice
		{"Upgrade", "Upgrade: websocket/13"},
		{"Upgrade", "Upgrade: xwebsocket"},
		{"Upgrade", "Upgrade: webſocket"}, // equal under Unicode case folding only
		{"Upgrade", "Upgrade: \xa0websocket"},
		{"Connection"},
		{"Connection", "Connection: keep-alive"},
		{"Connection", "Connection: upgrades"},
		{"GET", "POST /api/socket HTTP/1.1"},
		{"GET", "HEAD /api/socket HTTP/1.1"},
		{"GET", "GET /api/socket HTTP/1.0"},
		{"Sec-WebSocket-Version"},
		{"Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"},
		{"Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8"},
		{"Sec-WebSocket-Version: 13"}, // twice
		{"Sec-WebSocket-Key"},
		{"Sec-WebSocket-Key: " + key}, // twice
		{"Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"},
		{"Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="},
		{"Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAB=="}, // the unused bits are not 0
		{"Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"},
		{"Sec-WebSocket-Key", "Sec-WebSocket-Key: ------------------------"},
		{"Content-Length: 5"},
		{"Transfer-Encoding: chunked"},
		{"Origin"},
		{"Origin", "X-CSRF: 1"},
		{"Origin", "Origin: https://evil.example"},
		{"Origin", "Origin: null"},
		{"Origin: " + publicOrigin}, // twice
	} {
		t.Run(strings.Join(changes, ", "), func(t *testing.T) {
			r := parse(t, changes)
			err := socket.CheckHandshake(newSite(), r)
			valid := len(changes) == 0 || strings.HasSuffix(changes[len(changes)-1], "WebSocket") || strings.HasSuffix(changes[len(changes)-1], ", upgrade") ||
				strings.HasSuffix(changes[len(changes)-1], "admin.example.com")
			if valid {
				if err != nil {
					t.Error(err)
				}
				return
			}
			problem, ok := errors.AsType[*web.Problem](err)
			want := web.CodeInvalidRequest
			if strings.HasPrefix(changes[0], "Origin") {
				want = web.CodeCrossSiteRequest
			}
			if !ok || problem.Code != want {
				t.Fatalf("error %v, want %s", err, want)
			}
			if want == web.CodeInvalidRequest && problem.Header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("header %v", problem.Header)
			}
		})
	}
}

// parse returns a valid handshake with changes as net/http reads it: "Name" removes a
// line, "Name: value" adds one, and a request line replaces the first one.
func parse(t *testing.T, changes []string) *http.Request {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(handshake()), "\r\n")
	for _, change := range changes {
		switch {
		case strings.Contains(change, " HTTP/"):
			lines = append([]string{change}, lines...)
		case strings.Contains(change, ": "):
			lines = append(lines, change)
		default:
			var kept []string
			for _, line := range lines {
				if !strings.HasPrefix(line, change) {
					kept = append(kept, line)
				}
			}
			lines = kept
		}
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Join(lines, "\r\n") + "\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// WebSockets over HTTP/2 (RFC 8441) are not supported.
func TestCheckHandshakeOverHTTP2(t *testing.T) {
	r := parse(t, nil)
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	if err := socket.CheckHandshake(newSite(), r); err == nil {
		t.Error("it was accepted")
	}
}

// A 101 that does not accept the handshake must not open a tunnel.
func TestInvalid101(t *testing.T) {
	const head = "HTTP/1.1 101 Switching Protocols\r\n"
	for name, response := range map[string]string{
		"no accept":       head + "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"another accept":  head + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
		"accept twice":    head + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\nSec-WebSocket-Accept: x\r\n\r\n",
		"no upgrade":      head + "Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n",
		"another upgrade": head + "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n",
		"no connection":   head + "Upgrade: websocket\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProxy(t, raw(response, nil))
				if got := p.handshake(t).response; got.StatusCode != http.StatusBadGateway {
					t.Errorf("answered %d", got.StatusCode)
				}
			})
		})
	}
}

// Any response other than 101 is passed on.
func TestRefusedHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t, raw("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", nil))
		if got := p.handshake(t).response; got.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("answered %d", got.StatusCode)
		}
	})
}

// The client gets those of the upstream's headers that belong to the handshake.
func TestAcceptedHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t, raw(strings.Replace(accepted, "Upgrade: websocket", "Upgrade: WebSocket\r\nSet-Cookie: a=1\r\nServer: inside/1.0\r\n"+
			"Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\nCache-Control: public", 1), nil))
		got := p.handshake(t).response
		for name, want := range map[string]string{
			"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept, "Sec-WebSocket-Protocol": "chat",
			"Sec-WebSocket-Extensions": "permessage-deflate", "Cache-Control": "no-store", "Set-Cookie": "", "Server": "",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, got.Header.Get(name), want)
			}
		}
	})
}

func TestSubprotocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t, echo(nil))
		for offered, want := range map[string]string{"chat.v1": "chat.v1", "chat.v1,chat.v2": "chat.v2", "other": "", "": ""} {
			conn := p.dial(t, strings.FieldsFunc(offered, func(r rune) bool { return r == ',' })...)
			if got := conn.Subprotocol(); got != want {
				t.Errorf("offered %q: %q", offered, got)
			}
			_ = conn.CloseNow()
		}
	})
}

// Close codes and reasons pass, whoever closes.
func TestCloseCodesPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan error, 1)
		conn := newProxy(t, echo(closed)).dial(t)
		if err := conn.Close(4000, "from the client"); err != nil {
			t.Error(err)
		}
		if got := closeReason(testkit.Receive(t, closed, "the close frame at the upstream")); got != "4000 from the client" {
			t.Errorf("the upstream got %q", got)
		}
		p := newProxy(t, handler(func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
			if err != nil {
				return
			}
			_ = conn.Write(r.Context(), websocket.MessageText, []byte("last message"))
			closed <- conn.Close(4001, "from the upstream")
		}))
		conn = p.dial(t)
		if _, message, err := conn.Read(t.Context()); err != nil || string(message) != "last message" {
			t.Errorf("%q, %v", message, err)
		}
		_, _, err := conn.Read(t.Context())
		if got := closeReason(err); got != "4001 from the upstream" {
			t.Errorf("the client got %q", got)
		}
		if err := testkit.Receive(t, closed, "the client's close frame"); err != nil {
			t.Errorf("the client did not answer the close frame: %v", err)
		}
	})
}
