package oauthproxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/test/testkit"
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
	if got := closeOf(testkit.Receive(t, closed, "the close at the upstream")); got != "4000 from the client" {
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
	if err := testkit.Receive(t, closed, "the end of the handshake"); err != nil {
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
	if err := testkit.Receive(t, closed, "the end at the upstream"); websocket.CloseStatus(err) != -1 {
		t.Errorf("%v", err)
	}
	testkit.Eventually(t, "no socket is open", func() bool { return openSockets(t, p) == 0 })
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
