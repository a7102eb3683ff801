package oauthproxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cognito-token-handler/oauthproxy"
)

// RFC 6455 §1.3 has this key and what it is answered.
const (
	socketKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	socketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// socketRoute is a route that lets WebSockets pass.
func socketRoute(tb testing.TB, upstream string) oauthproxy.Route {
	tb.Helper()
	route := api(tb, upstream)
	route.WebSocket = true
	return route
}

// echo sends every message back; it ends with its client. closed is told why.
func echo(closed chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			InsecureSkipVerify: true, Subprotocols: []string{"chat.v2", "chat.v1"}, CompressionMode: websocket.CompressionContextTakeover,
		})
		if err != nil {
			return // Accept has answered
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(-1)
		for {
			kind, message, err := conn.Read(r.Context())
			if err == nil {
				err = conn.Write(r.Context(), kind, message)
			}
			if err != nil {
				if closed != nil {
					closed <- err
				}
				return
			}
		}
	}
}

// dial opens a WebSocket as the app does in a browser that sends no Fetch
// Metadata with a handshake.
func (p *proxy) dial(t *testing.T, target string, options websocket.DialOptions) dialed {
	t.Helper()
	if options.HTTPHeader == nil {
		options.HTTPHeader = http.Header{}
	}
	options.HTTPHeader.Set("Origin", publicOrigin)
	conn, response, err := websocket.Dial(t.Context(), p.URL+target, &options) //nolint:bodyclose // it is the socket
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return dialed{conn, response.Header}
}

// dialed is a socket, and the header of the 101.
type dialed struct {
	*websocket.Conn

	header http.Header
}

// exchange sends a message and wants it back.
func exchange(t *testing.T, conn dialed, kind websocket.MessageType, message []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	sent := make(chan error, 1)
	go func() { sent <- conn.Write(ctx, kind, message) }()
	got, back, err := conn.Read(ctx)
	if err == nil {
		err = <-sent
	}
	if err != nil || got != kind || !bytes.Equal(back, message) {
		t.Errorf("a message of %d bytes came back as %d bytes of kind %v, %v", len(message), len(back), got, err)
	}
}

func TestSocketEchoes(t *testing.T) {
	up := newUpstream(t, echo(nil))
	p := newProxy(t, socketRoute(t, up.URL))
	for name, mode := range map[string]websocket.CompressionMode{
		"plain": websocket.CompressionDisabled, "compressed": websocket.CompressionContextTakeover,
	} {
		t.Run(name, func(t *testing.T) {
			conn := p.dial(t, "/api/socket", websocket.DialOptions{CompressionMode: mode})
			if got := conn.header.Get("Sec-WebSocket-Extensions"); strings.HasPrefix(got, "permessage-deflate") != (name == "compressed") {
				t.Errorf("negotiated %q", got)
			}
			for _, size := range []int{0, 1, 125, 126, 1<<16 - 1, 1 << 16, 1 << 20} {
				message := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
				exchange(t, conn, websocket.MessageText, message)
				exchange(t, conn, websocket.MessageBinary, message)
			}
			fragmented(t, conn)
			pinged(t, conn)
			if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
		})
	}
	if sent := up.requests()[0].Header; sent.Get("Sec-WebSocket-Key") == "" || sent.Get("Upgrade") != "websocket" {
		t.Errorf("the upstream saw %v", sent)
	}
	s := counted(t, p, "tokenhandler_proxy_socket_bytes_total")
	for _, direction := range []string{"to_client", "to_upstream"} {
		if got := s["direction="+direction+" route=/api/"]; got < 2<<20 {
			t.Errorf("counted %v bytes %s", got, direction)
		}
	}
	if got := counted(t, p, "tokenhandler_proxy_requests_total"); got["route=/api/ status=101"] != 2 {
		t.Errorf("counted %v", got)
	}
	if log := p.log.String(); !strings.Contains(log, `"status":101`) {
		t.Errorf("logged %s", log)
	}
}

// fragmented sends one message in many frames.
func fragmented(t *testing.T, conn dialed) {
	t.Helper()
	go func() {
		w, err := conn.Writer(t.Context(), websocket.MessageText)
		if err != nil {
			return
		}
		for range 1000 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1000))
		}
		_ = w.Close()
	}()
	if _, message, err := conn.Read(t.Context()); err != nil || len(message) != 1_000_000 {
		t.Errorf("%d bytes came back, %v", len(message), err)
	}
}

// pinged has a ping answered by the upstream.
func pinged(t *testing.T, conn dialed) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	read := make(chan error, 1)
	go func() { // somebody must read for pongs to be seen
		_, _, err := conn.Read(ctx)
		read <- err
	}()
	if err := conn.Ping(ctx); err != nil {
		t.Error(err)
	}
	_ = conn.Write(ctx, websocket.MessageText, []byte("enough"))
	if err := <-read; err != nil {
		t.Error(err)
	}
}

func TestSocketSubprotocol(t *testing.T) {
	up := newUpstream(t, echo(nil))
	p := newProxy(t, socketRoute(t, up.URL))
	for offered, want := range map[string]string{"chat.v1": "chat.v1", "chat.v1,chat.v2": "chat.v2", "other": "", "": ""} {
		conn := p.dial(t, "/api/socket", websocket.DialOptions{Subprotocols: strings.FieldsFunc(offered, func(r rune) bool { return r == ',' })})
		if got := conn.Subprotocol(); got != want {
			t.Errorf("offered %q: %q", offered, got)
		}
		_ = conn.CloseNow()
	}
}

// A browser's own code and reason pass, whoever closes.
func TestSocketCloseCodesPass(t *testing.T) {
	closed := make(chan error, 1)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/client" {
			echo(closed)(w, r)
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		_ = conn.Write(r.Context(), websocket.MessageText, []byte("last words"))
		closed <- conn.Close(4001, "from the upstream")
	})
	p := newProxy(t, socketRoute(t, up.URL))
	conn := p.dial(t, "/api/client", websocket.DialOptions{})
	if err := conn.Close(4000, "from the client"); err != nil {
		t.Error(err)
	}
	if got := closeOf(wait(t, closed, "the close at the upstream")); got != "4000 from the client" {
		t.Errorf("the upstream saw %q", got)
	}
	conn = p.dial(t, "/api/upstream", websocket.DialOptions{})
	if _, message, err := conn.Read(t.Context()); err != nil || string(message) != "last words" {
		t.Errorf("%q, %v", message, err)
	}
	_, _, err := conn.Read(t.Context())
	if got := closeOf(err); got != "4001 from the upstream" {
		t.Errorf("the client saw %q", got)
	}
	if err := wait(t, closed, "the end of the handshake"); err != nil {
		t.Errorf("the upstream's close was not answered: %v", err)
	}
}

// closeOf is the code and reason that a peer sent, or the error.
func closeOf(err error) string {
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		return fmt.Sprintf("%d %s", closed.Code, closed.Reason)
	}
	return fmt.Sprint(err)
}

func TestSocketOfAnUpstreamThatIsGoneEndsAbnormally(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err == nil {
			_ = conn.Write(r.Context(), websocket.MessageText, []byte("hello"))
			_ = conn.CloseNow()
		}
	})
	p := newProxy(t, socketRoute(t, up.URL))
	conn := p.dial(t, "/api/socket", websocket.DialOptions{})
	if _, message, err := conn.Read(t.Context()); string(message) != "hello" || err != nil {
		t.Errorf("%q, %v", message, err)
	}
	if _, _, err := conn.Read(t.Context()); !errors.Is(err, io.EOF) || websocket.CloseStatus(err) != -1 {
		t.Errorf("%v", err)
	}
}

func TestSocketOfAClientThatIsGoneEnds(t *testing.T) {
	closed := make(chan error, 1)
	up := newUpstream(t, echo(closed))
	p := newProxy(t, socketRoute(t, up.URL))
	conn := p.dial(t, "/api/socket", websocket.DialOptions{})
	exchange(t, conn, websocket.MessageText, []byte("hello"))
	_ = conn.CloseNow()
	if err := wait(t, closed, "the end at the upstream"); websocket.CloseStatus(err) != -1 {
		t.Errorf("%v", err)
	}
	eventually(t, "no socket is open", func() bool { return openSockets(t, p) == 0 })
}

// handshake is one that is good, but for the changes: "Name" removes a line,
// "Name: value" adds one.
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

// Other origins, or none: a page of another site would get a socket with the
// user's token, and read what comes.
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

// rawHead sends lines as they are and reads the answer, of a 101 the header; the
// connection stays open until the test ends.
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
	for _, changes := range [][]string{
		{"Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		{"Upgrade", "Upgrade: TLS/1.0"},
		{"Upgrade", "Upgrade: websocket, h2c"},
		{"Upgrade", "Upgrade: h2c, websocket"},
		{"Upgrade: h2c"},
		{"Upgrade: websocket"}, // twice
		{"Upgrade", "Upgrade: websocket/13"},
		{"Upgrade", "Upgrade: xwebsocket"},
		{"Upgrade", "Upgrade: webſocket"}, // Unicode folds it, ASCII does not
		{"Upgrade", "Upgrade: \xa0websocket"},
		{"Connection"},
		{"Connection", "Connection: keep-alive"},
		{"Connection", "Connection: upgrades"},
		{"POST /api/socket HTTP/1.1"},
		{"HEAD /api/socket HTTP/1.1"},
		{"GET /api/socket HTTP/1.0"},
		{"Sec-WebSocket-Version"},
		{"Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"},
		{"Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8"},
		{"Sec-WebSocket-Version: 13"}, // twice
		{"Sec-WebSocket-Key"},
		{"Sec-WebSocket-Key: " + socketKey}, // twice
		{"Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"},
		{"Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="},
		{"Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAB=="}, // bits that mean nothing
		{"Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"},
		{"Sec-WebSocket-Key", "Sec-WebSocket-Key: ------------------------"},
		{"Content-Length: 5"},
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

// WebSockets over HTTP/2 (RFC 8441) are not offered.
func TestNoSocketOverHTTP2(t *testing.T) {
	up := newUpstream(t, nil)
	p := newHTTP2Proxy(t, socketRoute(t, up.URL))
	r := p.request(t, http.MethodGet, "/api/socket", http.NoBody, "Upgrade", "websocket", "Connection", "Upgrade",
		"Sec-Websocket-Version", "13", "Sec-Websocket-Key", socketKey, "Origin", publicOrigin)
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	if rec := serveDirectly(p, r); rec.Code != http.StatusBadRequest || len(up.requests()) != 0 {
		t.Errorf("answered %d", rec.Code)
	}
}

// The upstream gets the token and none of our cookies; the client gets of a 101
// what belongs to the handshake, and our cookie.
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
	sent, underscored := wait(t, seen, "the handshake"), "X_Forwarded_For"
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
		t.Errorf("told %v", got.Header)
	}
}

// Everything else than a 101 passes as any answer does.
func TestHandshakeThatTheUpstreamRefuses(t *testing.T) {
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

func TestWrong101(t *testing.T) {
	const head = "HTTP/1.1 101 Switching Protocols\r\n"
	for name, text := range map[string]string{
		"no accept":       head + "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"another accept":  head + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
		"accept twice":    head + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + socketAccept + "\r\nSec-WebSocket-Accept: x\r\n\r\n",
		"no upgrade":      head + "Connection: Upgrade\r\nSec-WebSocket-Accept: " + socketAccept + "\r\n\r\n",
		"another upgrade": head + "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + socketAccept + "\r\n\r\n",
		"no connection":   head + "Upgrade: websocket\r\nSec-WebSocket-Accept: " + socketAccept + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, socketRoute(t, rawUpstream(t, text)))
			wantProblem(t, p.rawHead(t, handshake()...), http.StatusBadGateway, "upstream_error")
		})
	}
	p := newProxy(t, socketRoute(t, rawUpstream(t, head+"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+socketAccept+"\r\n\r\n")))
	wantProblem(t, p.raw(t, "GET /api/x HTTP/1.1"), http.StatusBadGateway, "upstream_error") // that asked for nothing
}

// A client in a hurry sends its first frame with the handshake.
func TestFrameThatComesWithTheHandshake(t *testing.T) {
	up := newUpstream(t, echo(nil))
	p := newProxy(t, socketRoute(t, up.URL))
	conn := p.conn(t)
	early := frame(0x81, 5, true)
	_, _ = io.WriteString(conn, strings.Join(handshake(), "\r\n")+"\r\n\r\n"+string(early))
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	back := make([]byte, 7)
	if _, err := io.ReadFull(r, back); err != nil || back[1] != 5 {
		t.Errorf("read %x, %v", back, err)
	}
}

// A client that does not read holds its upstream back, and little is kept.
func TestSocketBackPressure(t *testing.T) {
	const most = 64 << 20 // what a kernel may hold at most, with room
	stuck := make(chan int, 1)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		message, sent := make([]byte, 1<<20), 0
		for sent < 2*most {
			ctx, cancel := context.WithTimeout(r.Context(), time.Second)
			err := conn.Write(ctx, websocket.MessageBinary, message)
			cancel()
			if err != nil {
				break
			}
			sent += len(message)
		}
		stuck <- sent
	})
	p := newProxy(t, socketRoute(t, up.URL))
	p.dial(t, "/api/socket", websocket.DialOptions{})
	if sent := wait(t, stuck, "the upstream to be held back"); sent > most {
		t.Errorf("%d bytes were taken for a client that reads nothing", sent)
	}
}

// 200 sockets at once, each with its own messages; then nothing is left of them.
func TestManySockets(t *testing.T) {
	const many = 200
	up := newUpstream(t, echo(nil))
	p := newProxy(t, socketRoute(t, up.URL))
	before := runtime.NumGoroutine()
	conns := make([]dialed, many)
	var open sync.WaitGroup
	for i := range conns {
		open.Go(func() { conns[i] = p.dial(t, "/api/socket", websocket.DialOptions{}) })
	}
	open.Wait()
	if got := openSockets(t, p); got != many {
		t.Errorf("%v sockets are open", got)
	}
	for i, conn := range conns {
		open.Go(func() {
			for n := range 10 {
				exchange(t, conn, websocket.MessageText, fmt.Appendf(nil, "socket %d message %d", i, n))
			}
			if i%2 == 0 {
				_ = conn.Close(websocket.StatusNormalClosure, "")
			}
			_ = conn.CloseNow()
		})
	}
	open.Wait()
	eventually(t, "nothing is left", func() bool {
		return openSockets(t, p) == 0 && runtime.NumGoroutine() <= before+5
	})
}

// A shutdown tells the clients, so that they come back to another replica.
func TestDrainEndsSockets(t *testing.T) {
	up := newUpstream(t, echo(nil))
	p := newProxy(t, socketRoute(t, up.URL))
	var conns []dialed
	for range 5 {
		conn := p.dial(t, "/api/socket", websocket.DialOptions{})
		exchange(t, conn, websocket.MessageText, []byte("hello"))
		conns = append(conns, conn)
	}
	drained := make(chan struct{})
	go func() {
		p.handler.Drain(t.Context())
		close(drained)
	}()
	late := func() {
		conn := p.dial(t, "/api/socket", websocket.DialOptions{})
		conns = append(conns, conn)
	}
	for i := 0; i < len(conns); i++ {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		if _, _, err := conns[i].Read(ctx); closeOf(err) != "1001 going away" {
			t.Errorf("socket %d: %s", i, closeOf(err))
		}
		cancel()
		if i == 4 {
			wait(t, drained, "the end of all sockets")
			late()
		}
	}
}

// A client that does not answer the close frame is cut off, sooner if the drain
// has no time left.
func TestDrainCutsOff(t *testing.T) {
	up := newUpstream(t, echo(nil))
	p := newProxy(t, socketRoute(t, up.URL))
	_, rw := p.rawSocket(t, handshake()...) //nolint:bodyclose // rawSocket does
	eventually(t, "it is open", func() bool { return openSockets(t, p) == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begun := time.Now()
	p.handler.Drain(ctx)
	if took := time.Since(begun); took > oauthproxy.CloseGrace/2 {
		t.Errorf("it took %s", took)
	}
	_, _ = io.Copy(io.Discard, rw)
}

// openSockets is the gauge of the only route.
func openSockets(t *testing.T, p *proxy) float64 {
	t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "tokenhandler_proxy_sockets" {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return 0
}

// eventually polls for what another goroutine does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(within)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
