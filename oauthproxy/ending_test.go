package oauthproxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

var (
	errLoggedOut = errors.New("logged out")
	errNobody    = web.NewProblem(web.CodeNotAuthenticated, "log in", nil)
)

// readClose reads until the WebSocket is closed, and returns the close code and reason.
func readClose(t *testing.T, conn dialed) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	_, _, err := conn.Read(ctx)
	return closeReason(err)
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

// lateTransport returns a response only when the request's time-out has expired.
type lateTransport struct{ http.RoundTripper }

func (l lateTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.RoundTripper.RoundTrip(r)
	<-r.Context().Done()
	return response, err //nolint:wrapcheck // it is the transport's
}

// The time-out can expire when the upstream has accepted the WebSocket and the proxy has
// not yet stopped the time-out. The WebSocket is open then, and ends with its session.
func TestSocketAcceptedAtTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := overHTTP1.inMemory(t, 200*time.Millisecond, echo(nil))
		p.handler.WrapTransports(func(next http.RoundTripper) http.RoundTripper { return lateTransport{next} })
		conn := p.dial(t, "/api/socket", websocket.DialOptions{HTTPClient: p.Client()})
		exchange(t, conn, websocket.MessageText, []byte("hello"))
		p.tokens.end(errLoggedOut)
		if got := readClose(t, conn); got != "4401 session ended" {
			t.Errorf("closed with %q", got)
		}
	})
}

// Over TLS a browser negotiates HTTP/1.1 to open a WebSocket.
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

// A WebSocket without a session is not closed when a session ends.
func TestSocketWithoutSession(t *testing.T) {
	up := newUpstream(t, echo(nil))
	route := socketRoute(t, up.URL)
	route.Anonymous = true
	p := newProxy(t, route)
	p.tokens.err = errNobody
	conn := p.dial(t, "/api/socket", websocket.DialOptions{})
	p.tokens.end(errLoggedOut)
	exchange(t, conn, websocket.MessageText, []byte("hello"))
}

// A handshake that the upstream answers with a stream ends with its session, like any stream.
func TestHandshakeAnsweredByAStream(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	p := newProxy(t, socketRoute(t, up.URL))
	conn := p.conn(t)
	_, _ = io.WriteString(conn, "GET /api/socket HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: same-origin\r\nOrigin: "+publicOrigin+"\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("answered %v, %v", response, err)
	}
	defer func() { _ = response.Body.Close() }()
	p.tokens.end(errLoggedOut)
	if _, err := io.Copy(io.Discard, response.Body); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it ended with %v", err)
	}
	if got := counted(t, p, "tokenhandler_proxy_ended_total"); got["kind=request route=/api/"] != 1 {
		t.Errorf("counted %v", got)
	}
}

// A stream breaks off when its session ends: the client must not take it for complete.
func TestStreamEndsWithItsSession(t *testing.T) {
	for name, protocol := range protocols {
		for _, contentType := range []string{"text/event-stream", "application/octet-stream"} {
			t.Run(name+" "+contentType, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cancelled := make(chan struct{})
					p := protocol.inMemory(t, within, func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Type", contentType)
						for r.Context().Err() == nil {
							_, _ = io.WriteString(w, "data: tick\n\n")
							_ = http.NewResponseController(w).Flush()
							time.Sleep(10 * time.Millisecond)
						}
						close(cancelled)
					})
					response := p.open(t, p.request(t, http.MethodGet, "/api/events", http.NoBody)) //nolint:bodyclose // open does
					time.AfterFunc(time.Minute, func() { p.tokens.end(errLoggedOut) })
					begun := time.Now()
					if _, err := io.Copy(io.Discard, response.Body); err == nil {
						t.Error("it ended as if it were complete")
					}
					<-cancelled
					if took := time.Since(begun); took < time.Minute || took > time.Minute+time.Second {
						t.Errorf("it ended after %s", took)
					}
					if p.log.Contains("panic recovered") {
						t.Error("logged as a panic")
					}
					p.Close()
					wantInterrupted(t, p, http.StatusOK, "session", "INFO")
				})
			})
		}
	}
}

// Sessions are watched from one second after the start of a request. One that ends before is
// not missed.
func TestStreamOfASessionThatEndedEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := overHTTP1.inMemory(t, within, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		begun := time.Now()
		response := p.open(t, p.request(t, http.MethodGet, "/api/events", http.NoBody)) //nolint:bodyclose // open does
		p.tokens.end(errLoggedOut)
		if _, err := io.Copy(io.Discard, response.Body); err == nil {
			t.Error("it ended as if it were complete")
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// Before the response has begun, its status can say that the session has ended.
func TestUploadEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cancelled := make(chan struct{})
		p := overHTTP2.inMemory(t, within, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			close(cancelled)
		})
		body, feed := io.Pipe()
		stopped := make(chan struct{})
		go func() {
			for err := error(nil); err == nil; _, err = feed.Write(make([]byte, 1000)) { // until the proxy closes the other end
				time.Sleep(time.Second)
			}
			close(stopped)
		}()
		time.AfterFunc(time.Minute, func() { p.tokens.end(errLoggedOut) })
		got := p.do(t, p.request(t, http.MethodPost, "/api/x", body))
		wantProblem(t, got, http.StatusUnauthorized, "session_expired")
		<-cancelled
		<-stopped
		if got := counted(t, p, "tokenhandler_proxy_upstream_errors_total"); len(got) != 0 {
			t.Errorf("blamed on the upstream: %v", got)
		}
	})
}

// Most requests are short, and must not pay for watching their session.
func TestShortRequestsAreNotWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in which no request takes a second
		p := overHTTP1.inMemory(t, within, func(http.ResponseWriter, *http.Request) {})
		for i := range 100 {
			p.get(t, fmt.Sprint("/api/", i))
		}
		if got := p.tokens.watched.Load(); got != 0 {
			t.Errorf("%d were watched", got)
		}
	})
}
