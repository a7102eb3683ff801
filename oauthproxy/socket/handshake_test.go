package socket_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
		{"Upgrade", "Upgrade: websockex"},
		{"Upgrade", "Upgrade: webſocket"}, // equal under Unicode case folding only
		{"Upgrade", "Upgrade: \xa0websocket"},
		{"Connection"},
		{"Connection", "Connection: keep-alive"},
		{"Connection", "Connection: upgrades"},
		{"Connection", "Connection: upgradx"},
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

// A base64 decoder skips line breaks, but they would be forwarded.
func TestCheckHandshakeRefusesLineBreaks(t *testing.T) {
	r := parse(t, nil)
	r.Header.Set("Sec-WebSocket-Key", key[:10]+"\n"+key[10:])
	if err := socket.CheckHandshake(newSite(), r); err == nil {
		t.Error("it was accepted")
	}
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

// answerBody is the body of an answer. It notes that it was closed.
type answerBody struct {
	io.Reader

	closed bool
}

func (*answerBody) Write(p []byte) (int, error) { return len(p), nil }

func (b *answerBody) Close() error {
	b.closed = true
	return nil
}

// connect sends a handshake to an upstream that answers 101 with this body, and with a valid
// header after these changes: "Name" removes a field, "Name: value" adds one.
func connect(t *testing.T, body io.ReadCloser, changes ...string) (*socket.Upstream, error) {
	t.Helper()
	header := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {accept}}
	for _, change := range changes {
		if name, value, adds := strings.Cut(change, ": "); adds {
			header.Add(name, value)
		} else {
			header.Del(name)
		}
	}
	out := parse(t, []string{"Connection", "Upgrade"})                                             // as the proxy makes it: hop-by-hop headers are not copied
	upstream, response, err := socket.Connect(out, func(r *http.Request) (*http.Response, error) { //nolint:bodyclose // the tests look whether it is
		if r.Header.Get("Connection") != "Upgrade" || r.Header.Get("Upgrade") != "websocket" {
			t.Errorf("sent %v", r.Header)
		}
		return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: body, Header: header}, nil
	})
	if response != nil {
		t.Errorf("answered %d", response.StatusCode)
	}
	return upstream, err
}

// A 101 that does not accept the handshake opens no tunnel, and does not keep its connection open.
func TestRefused101IsClosed(t *testing.T) {
	good := &answerBody{}
	if _, err := connect(t, good); err != nil || good.closed {
		t.Errorf("%v, closed: %v", err, good.closed)
	}
	for _, changes := range [][]string{
		{"Upgrade"},
		{"Upgrade: h2c"},
		{"Upgrade", "Upgrade: websockex"},
		{"Connection"},
		{"Connection", "Connection: close"},
		{"Sec-WebSocket-Accept"},
		{"Sec-WebSocket-Accept: x"},
		{"Sec-WebSocket-Accept", "Sec-WebSocket-Accept: x"},
	} {
		body := &answerBody{}
		if _, err := connect(t, body, changes...); err == nil || !body.closed {
			t.Errorf("%v: %v, closed: %v", changes, err, body.closed)
		}
	}
	readOnly := &answerBody{}
	if _, err := connect(t, struct{ io.ReadCloser }{readOnly}); err == nil || !readOnly.closed {
		t.Errorf("a connection that cannot be written: %v, closed: %v", err, readOnly.closed)
	}
}

func TestUpstreamOutOfReach(t *testing.T) {
	refused := errors.New("refused")
	upstream, response, err := socket.Connect(parse(t, nil), func(*http.Request) (*http.Response, error) { return nil, refused }) //nolint:bodyclose // there is none
	if upstream != nil || response != nil || !errors.Is(err, refused) {
		t.Errorf("%v %v %v", upstream, response, err)
	}
}

// A client whose connection cannot be taken over gets no WebSocket, and that to the upstream is
// for the caller to close.
func TestAcceptWithoutAConnection(t *testing.T) {
	body := &answerBody{}
	upstream, err := connect(t, body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := upstream.Accept(httptest.NewRecorder(), time.Now, socket.NewMetrics(nil), "/api/"); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("accepted with %v", err)
	}
	if upstream.Close(); !body.closed {
		t.Error("the connection to the upstream is open")
	}
}

// halfConn is a connection that can be closed for writing only.
type halfConn struct {
	net.Conn

	half chan struct{}
}

func (c halfConn) CloseWrite() error {
	close(c.half)
	return nil
}

func (c halfConn) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return c, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), nil
}

// When the upstream has ended, the client's connection is first closed for writing, so that the
// client gets all that was written.
func TestHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		upstream, err := connect(t, &answerBody{Reader: strings.NewReader("\x81\x03bye")})
		if err != nil {
			t.Fatal(err)
		}
		client, served := net.Pipe()
		half := halfConn{served, make(chan struct{})}
		conn, err := upstream.Accept(struct {
			http.ResponseWriter
			http.Hijacker
		}{httptest.NewRecorder(), half}, time.Now, socket.NewMetrics(nil), "/api/")
		if err != nil {
			t.Fatal(err)
		}
		go conn.Run()
		if _, err := io.ReadFull(client, make([]byte, 5)); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		select {
		case <-half.half:
		default:
			t.Error("the client is not told that nothing more comes")
		}
		_ = client.Close()
	})
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
