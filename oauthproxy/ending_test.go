package oauthproxy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

var (
	errLoggedOut = errors.New("logged out")
	errNobody    = web.NewProblem(web.CodeNotAuthenticated, "log in", nil)
)

// readClose reads on until the socket is closed, and tells how.
func readClose(t *testing.T, conn dialed) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	_, _, err := conn.Read(ctx)
	return closeOf(err)
}

func TestSocketEndsWithItsSession(t *testing.T) {
	closed := make(chan error, 1)
	up := newUpstream(t, echo(closed))
	testkit.Fast(t, time.Second, "the end of a socket", func() time.Duration {
		p := newProxy(t, socketRoute(t, up.URL))
		conn := p.dial(t, "/api/socket", websocket.DialOptions{})
		exchange(t, conn, websocket.MessageText, []byte("hello"))
		begun := time.Now()
		p.tokens.end(errLoggedOut)
		if got := readClose(t, conn); got != "4401 session ended" {
			t.Errorf("closed with %q", got)
		}
		took := time.Since(begun)
		_ = testkit.Receive(t, closed, "the end at the upstream")
		if got := counted(t, p, "tokenhandler_proxy_ended_total"); got["kind=socket route=/api/"] != 1 {
			t.Errorf("counted %v", got)
		}
		// A socket whose session ended before it was open is closed, too.
		if got := readClose(t, p.dial(t, "/api/socket", websocket.DialOptions{})); got != "4401 session ended" {
			t.Errorf("closed with %q", got)
		}
		return took
	})
}

// Over TLS a browser asks for HTTP/1.1 when it opens a WebSocket.
func TestSocketOverTLS(t *testing.T) {
	up := newUpstream(t, echo(nil))
	p := newHTTP2Proxy(t, socketRoute(t, up.URL))
	transport, ok := p.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("not the client that was expected")
	}
	transport = transport.Clone()
	transport.Protocols = &http.Protocols{}
	transport.Protocols.SetHTTP1(true)
	t.Cleanup(transport.CloseIdleConnections)
	conn := p.dial(t, "/api/socket", websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	exchange(t, conn, websocket.MessageBinary, make([]byte, 1<<20))
	p.tokens.end(errLoggedOut)
	if got := readClose(t, conn); got != "4401 session ended" {
		t.Errorf("closed with %q", got)
	}
}

// Whoever has no session, has none that ends.
func TestSocketOfNobody(t *testing.T) {
	up := newUpstream(t, echo(nil))
	route := socketRoute(t, up.URL)
	route.Anonymous = true
	p := newProxy(t, route)
	p.tokens.err = errNobody
	conn := p.dial(t, "/api/socket", websocket.DialOptions{})
	p.tokens.end(errLoggedOut)
	exchange(t, conn, websocket.MessageText, []byte("hello"))
}

// What a client says after the end of its session is not passed on.
func TestSocketIsDeafAfterTheEnd(t *testing.T) {
	t.Parallel()
	heard := make(chan []byte, 1)
	upstream := tcpServer(t, func(conn net.Conn) {
		accept101(conn)
		all, _ := io.ReadAll(conn)
		heard <- all
	})
	p := newProxy(t, socketRoute(t, upstream))
	_, rw := p.rawSocket(t, handshake()...) //nolint:bodyclose // rawSocket does
	testkit.Eventually(t, "it is watched", func() bool { return p.tokens.watched.Load() > 0 })
	p.tokens.end(errLoggedOut)
	bye := make([]byte, 4+len("session ended"))
	if _, err := io.ReadFull(rw, bye); err != nil || string(bye) != "\x88\x0f\x11\x31session ended" {
		t.Fatalf("read %q, %v", bye, err)
	}
	_, _ = rw.Write(frame(0x81, 100, true))
	_ = rw.Flush()
	if _, err := rw.ReadByte(); err == nil {
		t.Error("there was more")
	}
	if got := testkit.Receive(t, heard, "the end at the upstream"); len(got) != 0 {
		t.Errorf("the upstream heard %q", got)
	}
}

// accept101 is an upstream's side of the handshake.
func accept101(conn net.Conn) {
	_, _ = http.ReadRequest(bufio.NewReader(conn))
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+socketAccept+"\r\n\r\n")
}

// A close frame in the middle of another frame would be taken for its payload.
func TestSocketEndsBetweenFrames(t *testing.T) {
	t.Parallel()
	for name, completed := range map[string]bool{"completed": true, "never completed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resume := make(chan struct{})
			whole := frame(0x82, 1000, false)
			upstream := tcpServer(t, func(conn net.Conn) {
				accept101(conn)
				_, _ = conn.Write(whole[:500])
				<-resume
				if completed {
					_, _ = conn.Write(append(whole[500:], frame(0x81, 100, false)...)) // and what comes too late
				}
				_, _ = io.Copy(io.Discard, conn)
			})
			p := newProxy(t, socketRoute(t, upstream))
			_, rw := p.rawSocket(t, handshake()...) //nolint:bodyclose // rawSocket does
			half := make([]byte, 500)
			if _, err := io.ReadFull(rw, half); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, "it is watched", func() bool { return p.tokens.watched.Load() > 0 })
			p.tokens.end(errLoggedOut)
			testkit.Eventually(t, "it is ended", func() bool { return counted(t, p, "tokenhandler_proxy_ended_total")["kind=socket route=/api/"] > 0 })
			close(resume)
			rest, _ := io.ReadAll(rw)
			want := ""
			if completed {
				want = string(whole[500:]) + "\x88\x0f\x11\x31session ended"
			}
			if string(rest) != want {
				t.Errorf("read %q", rest)
			}
		})
	}
}

// A client that takes nothing does not keep its socket.
func TestSocketOfAStuckClientEnds(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	upstream := tcpServer(t, func(conn net.Conn) {
		accept101(conn)
		for _, err := conn.Write(frame(0x82, 1<<16-1, false)); err == nil; {
			_, err = conn.Write(frame(0x82, 1<<16-1, false))
		}
		close(gone)
	})
	p := newProxy(t, socketRoute(t, upstream))
	p.rawSocket(t, handshake()...) //nolint:bodyclose // rawSocket does
	last := -1.0
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for now := 0.0; now != last; <-tick.C { // until nothing moves
		last, now = now, counted(t, p, "tokenhandler_proxy_socket_bytes_total")["direction=to_client route=/api/"]
	}
	p.tokens.end(errLoggedOut)
	testkit.Receive(t, gone, "the end at the upstream")
	testkit.Eventually(t, "no socket is open", func() bool { return openSockets(t, p) == 0 })
}

// The client must see that the stream broke off, and did not end.
func TestStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	for name, newProxy := range map[string]func(testing.TB, ...oauthproxy.Route) *proxy{"HTTP/1": newProxy, "HTTP/2": newHTTP2Proxy} {
		for _, contentType := range []string{"text/event-stream", "application/octet-stream"} {
			t.Run(name+" "+contentType, func(t *testing.T) {
				t.Parallel()
				testkit.Fast(t, time.Second, "the end of a stream", func() time.Duration { return endStream(t, newProxy, contentType) })
			})
		}
	}
}

// endStream measures how long a stream goes on after its session has ended.
func endStream(t *testing.T, newProxy func(testing.TB, ...oauthproxy.Route) *proxy, contentType string) time.Duration {
	t.Helper()
	cancelled := make(chan struct{})
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "data: tick\n\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
		close(cancelled)
	})
	p := newProxy(t, api(t, up.URL))
	response := p.open(t, p.request(t, http.MethodGet, "/api/events", http.NoBody)) //nolint:bodyclose // open does
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, response.Body)
		ended <- err
	}()
	testkit.Eventually(t, "it is watched", func() bool { return p.tokens.watched.Load() > 0 })
	begun := time.Now()
	p.tokens.end(errLoggedOut)
	if err := testkit.Receive(t, ended, "the end of the stream"); err == nil {
		t.Error("it ended as if it were whole")
	}
	took := time.Since(begun)
	testkit.Receive(t, cancelled, "the end at the upstream")
	if strings.Contains(p.log.String(), "panic recovered") {
		t.Error("logged as a panic")
	}
	return took
}

// A logout in the first second of a stream is not missed.
func TestStreamOfASessionThatEndedEarly(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	testkit.Fast(t, 2*time.Second, "the end of a stream", func() time.Duration {
		p := newProxy(t, api(t, up.URL))
		begun := time.Now()
		response := p.open(t, p.request(t, http.MethodGet, "/api/events", http.NoBody)) //nolint:bodyclose // open does
		p.tokens.end(errLoggedOut)
		if _, err := io.Copy(io.Discard, response.Body); err == nil {
			t.Error("it ended as if it were whole")
		}
		return time.Since(begun)
	})
}

// Before the answer there is still a way to say it.
func TestUploadEndsWithItsSession(t *testing.T) {
	t.Parallel()
	cancelled := make(chan struct{})
	up := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(cancelled)
	})
	p := newHTTP2Proxy(t, api(t, up.URL))
	body, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	go func() {
		for { // until the proxy closes the other end
			if _, err := feed.Write(make([]byte, 1000)); err != nil {
				return
			}
			<-time.After(time.Millisecond)
		}
	}()
	go func() {
		for p.tokens.watched.Load() == 0 {
			<-time.After(time.Millisecond)
		}
		p.tokens.end(errLoggedOut)
	}()
	got := p.do(t, p.request(t, http.MethodPost, "/api/x", body))
	wantProblem(t, got, http.StatusUnauthorized, "session_expired")
	testkit.Receive(t, cancelled, "the end at the upstream")
	if got := counted(t, p, "tokenhandler_proxy_upstream_errors_total"); len(got) != 0 {
		t.Errorf("blamed on the upstream: %v", got)
	}
}

// Most requests are short: they must not pay for this.
func TestShortRequestsAreNotWatched(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	for i := range 100 {
		p.get(t, fmt.Sprint("/api/", i))
	}
	if got := p.tokens.watched.Load(); got != 0 {
		t.Errorf("%d were watched", got)
	}
}

// frame makes one as RFC 6455 §5.2 draws it; a mask is one of zeros.
func frame(first byte, size int, masked bool) []byte {
	f := []byte{first}
	switch {
	case size < 126:
		f = append(f, byte(size))
	case size < 1<<16:
		f = binary.BigEndian.AppendUint16(append(f, 126), uint16(size))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 127), uint64(size))
	}
	if masked {
		f[1] |= 0x80
		f = append(f, 0, 0, 0, 0)
	}
	return append(f, bytes.Repeat([]byte{0x88}, size)...)
}
