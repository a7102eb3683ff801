package oauthproxy_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"cognito-token-handler/oauthproxy/socket"
	"cognito-token-handler/test/testkit"
)

// A shutdown closes WebSockets with 1001, so that their clients connect to another
// replica.
func TestDrainEndsSockets(t *testing.T) {
	up := newUpstream(t, echo(nil))
	p := newProxy(t, socketRoute(t, up.URL))
	var conns []dialed
	for range 5 {
		conn := p.dial(t, "/api/socket", websocket.DialOptions{})
		exchange(t, conn, websocket.MessageText, []byte("hello"))
		conns = append(conns, conn)
	}
	drained := drain(t.Context(), p)
	late := func() {
		conn := p.dial(t, "/api/socket", websocket.DialOptions{})
		conns = append(conns, conn)
	}
	for i := 0; i < len(conns); i++ {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		if _, _, err := conns[i].Read(ctx); closeReason(err) != "1001 going away" {
			t.Errorf("socket %d: %s", i, closeReason(err))
		}
		cancel()
		if i == 4 {
			testkit.Receive(t, drained, "the end of all sockets")
			late()
		}
	}
}

// A client that does not answer the close frame is cut off, and at once if the drain has
// no time left.
func TestDrainCutsOff(t *testing.T) {
	up := newUpstream(t, echo(nil))
	testkit.Fast(t, socket.CloseTimeout/2, "a drain without time", func() time.Duration {
		p := newProxy(t, socketRoute(t, up.URL))
		_, rw := p.rawSocket(t, handshake()...) //nolint:bodyclose // rawSocket does
		testkit.Eventually(t, "it is open", func() bool { return openSockets(t, p) == 1 })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		p.handler.Drain(ctx)
		took := time.Since(begun)
		_, _ = io.Copy(io.Discard, rw)
		return took
	})
}

// proxy returns a proxy in front of up.
func (p protocol) proxy(t *testing.T, up *upstream) *proxy {
	t.Helper()
	return p.newProxy(t, api(t, strings.Replace(up.URL, "http", p.scheme, 1)))
}

// drain starts a drain of p and returns a channel that is closed at its end.
func drain(ctx context.Context, p *proxy) <-chan struct{} {
	drained := make(chan struct{})
	go func() {
		p.handler.Drain(ctx)
		close(drained)
	}()
	return drained
}

// A shutdown ends event streams as if they were complete, whether they are idle or not,
// so that their clients connect to another replica.
func TestDrainEndsEventStreams(t *testing.T) {
	for name, protocol := range protocols {
		for contentType, busy := range map[string]bool{"text/event-stream": false, "Text/Event-Stream ;charset=utf-8": true} {
			t.Run(name+" "+contentType, func(t *testing.T) {
				cancelled := make(chan struct{}, 10)
				up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", contentType)
					_, _ = io.WriteString(w, "data: first\n\n")
					for err := http.NewResponseController(w).Flush(); busy && err == nil; err = http.NewResponseController(w).Flush() {
						_, _ = io.WriteString(w, "data: in the middle\n")
					}
					<-r.Context().Done()
					cancelled <- struct{}{}
				})
				p := protocol.proxy(t, up)
				ctx, cancel := context.WithTimeout(t.Context(), within)
				defer cancel()
				request := p.request(t, http.MethodGet, "/api/events", http.NoBody).WithContext(ctx)
				var bodies []*bufio.Reader
				for range 3 {
					response := p.open(t, request) //nolint:bodyclose // open does
					body := bufio.NewReader(response.Body)
					if line, err := body.ReadString('\n'); line != "data: first\n" {
						t.Fatalf("read %q, %v", line, err)
					}
					bodies = append(bodies, body)
				}
				drained := drain(t.Context(), p)
				for _, body := range bodies {
					if _, err := io.Copy(io.Discard, body); err != nil {
						t.Errorf("it broke off: %v", err)
					}
					testkit.Receive(t, cancelled, "the end at the upstream")
				}
				testkit.Receive(t, drained, "the end of all streams")
				// Streams that begin during the shutdown are ended as well.
				if got := p.do(t, request); got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != contentType {
					t.Errorf("answered %d %v", got.StatusCode, got.Header)
				}
				testkit.Receive(t, cancelled, "the end at the upstream")
				if got := counted(t, p, "tokenhandler_proxy_ended_total"); len(got) != 0 {
					t.Errorf("no session ended, but counted is %v", got)
				}
			})
		}
	}
}

// Responses that end by themselves, or that a client would not request again, are left
// alone.
func TestDrainLeavesOtherAnswers(t *testing.T) {
	const first, last = "data: first\n\n", "data: last\n\n"
	release := make(chan struct{})
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		switch r.URL.Path {
		case "/api/download":
			w.Header().Set("Content-Type", "application/octet-stream")
		case "/api/length":
			w.Header().Set("Content-Length", "25")
		case "/api/error":
			w.WriteHeader(http.StatusConflict)
		}
		_, _ = io.WriteString(w, first)
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, last)
	})
	p := newProxy(t, api(t, up.URL))
	bodies := map[string]io.Reader{}
	for path, method := range map[string]string{
		"/api/download": http.MethodGet, "/api/length": http.MethodGet, "/api/error": http.MethodGet, "/api/answer": http.MethodPost,
	} {
		bodies[path] = p.open(t, p.request(t, method, path, http.NoBody)).Body //nolint:bodyclose // open does
		if _, err := io.ReadFull(bodies[path], make([]byte, len(first))); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Receive(t, drain(t.Context(), p), "the end of the drain")
	close(release)
	for path, body := range bodies {
		if rest, err := io.ReadAll(body); string(rest) != last || err != nil {
			t.Errorf("%s: read %q, %v", path, rest, err)
		}
	}
}

// A client that reads nothing delays a drain until the time for closing is over, or
// until the drain has no time left.
func TestDrainOfStalledEventStreams(t *testing.T) {
	for name, c := range map[string]struct {
		protocol

		left, took time.Duration
	}{
		"the time for closing": {overHTTP1, within, socket.CloseTimeout},
		"a second left":        {overHTTP1, time.Second, time.Second},
		"no time left":         {overHTTP1, 0, 0},
		"no time left, HTTP/2": {overHTTP2, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gone := make(chan struct{})
				p := c.inMemory(t, within, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					for r.Context().Err() == nil {
						_, _ = io.WriteString(w, "data: "+strings.Repeat("x", 32<<10)+"\n\n")
					}
					close(gone)
				})
				p.open(t, p.request(t, http.MethodGet, "/api/events", http.NoBody)) //nolint:bodyclose // open does
				synctest.Wait()                                                     // until nothing moves
				ctx, cancel := context.WithTimeout(t.Context(), c.left)
				defer cancel()
				begun := time.Now()
				p.handler.Drain(ctx)
				if took := time.Since(begun); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
				<-gone
			})
		})
	}
}

// Streams may end by themselves during a drain. The writer of a response that has ended
// must not be used (net/http would panic).
func TestDrainOfStreamsThatEnd(t *testing.T) {
	const streams = 100
	release := make(chan struct{})
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-release
	})
	p := newHTTP2Proxy(t, api(t, up.URL))
	for range streams {
		p.open(t, p.request(t, http.MethodGet, "/api/events", http.NoBody)) //nolint:bodyclose // open does
	}
	close(release)
	testkit.Receive(t, drain(t.Context(), p), "the end of the drain")
}
