package oauthproxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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
