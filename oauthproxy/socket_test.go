package oauthproxy_test

import (
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
)

// RFC 6455 §1.3 has this key and its answer.
const (
	socketKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	socketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// socketRoute returns a route that allows WebSockets.
func socketRoute(tb testing.TB, upstream string) oauthproxy.Route {
	tb.Helper()
	route := api(tb, upstream)
	route.WebSocket = true
	return route
}

// echo sends every message back until its client is gone. Then it sends the reason to
// closed, unless that is nil.
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

// dial opens a WebSocket as the app does, in a browser that sends no Fetch Metadata
// with handshakes.
func (p *proxy) dial(t *testing.T, target string, options websocket.DialOptions) dialed {
	t.Helper()
	if options.HTTPHeader == nil {
		options.HTTPHeader = http.Header{}
	}
	options.HTTPHeader.Set("Origin", publicOrigin)
	conn, response, err := websocket.Dial(t.Context(), p.URL+target, &options) //nolint:bodyclose // it is the WebSocket
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return dialed{conn, response.Header}
}

// dialed is an open WebSocket with the header of the 101.
type dialed struct {
	*websocket.Conn

	header http.Header
}

// exchange sends a message and expects it back.
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

func TestSocketMessagesPass(t *testing.T) {
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
	p.log.Wait(t, `"status":101`, 2) // when both ends are closed
}

// closeReason returns the code and the reason of a close frame, or the error.
func closeReason(err error) string {
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		return fmt.Sprintf("%d %s", closed.Code, closed.Reason)
	}
	return fmt.Sprint(err)
}

// fragmented sends one message in many frames and expects it back.
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

// pinged sends a ping, which the upstream answers.
func pinged(t *testing.T, conn dialed) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	read := make(chan error, 1)
	go func() { // a pong is noticed only while somebody reads
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

// openSockets returns how many WebSockets are open on the only route.
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
