package oauthproxy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/test/testkit"
)

// limited returns a protocol whose proxy has these limits.
func (p protocol) limited(requests, streams int) protocol {
	p.limits = oauthproxy.Limits{Requests: requests, Streams: streams}
	return p
}

// untilRelease is an API that answers when release is closed, and counts what arrives. Below
// /api/events it answers with a stream.
func untilRelease(arrived *atomic.Int32, release chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		arrived.Add(1)
		if r.URL.Path == "/api/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
}

func wantLimited(t *testing.T, got answer) {
	t.Helper()
	wantProblem(t, got, http.StatusTooManyRequests, "rate_limited")
	wantCookie(t, got)
	if after := got.Header.Get("Retry-After"); after != "1" {
		t.Errorf("Retry-After %q", after)
	}
}

// A session may have so many requests under way and no more. Another session is not affected.
func TestRequestsOfASessionAreLimited(t *testing.T) {
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var arrived atomic.Int32
				release := make(chan struct{})
				p := protocol.limited(3, 1).inMemory(t, within, untilRelease(&arrived, release))
				answers := make(chan answer, 4)
				ask := func() { answers <- p.get(t, "/api/x") }
				for range 3 {
					go ask()
				}
				synctest.Wait()
				wantLimited(t, p.get(t, "/api/x"))
				if got := counted(t, p, "tokenhandler_proxy_limited_total"); got["kind=request route=/api/"] != 1 {
					t.Errorf("counted %v", got)
				}
				p.tokens.session.Store(1)
				go ask()
				synctest.Wait()
				if n := arrived.Load(); n != 4 {
					t.Errorf("%d requests arrived, want 3 and that of another session", n)
				}
				close(release)
				for range 4 {
					if got := <-answers; got.StatusCode != http.StatusOK {
						t.Errorf("answered %d", got.StatusCode)
					}
				}
				p.tokens.session.Store(0)
				if got := p.get(t, "/api/x"); got.StatusCode != http.StatusOK {
					t.Errorf("answered %d when nothing was under way", got.StatusCode)
				}
			})
		})
	}
}

// Event streams last. They have a limit of their own, so they do not keep requests from being
// forwarded, and each of them counts as a request only until its head has arrived.
func TestStreamsAreCountedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var arrived atomic.Int32
		p := overHTTP2.limited(1, 3).inMemory(t, within, untilRelease(&arrived, nil))
		var streams []*http.Response
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodGet} {
			stream := p.open(t, p.request(t, method, "/api/events", http.NoBody)) //nolint:bodyclose // open does
			if stream.StatusCode != http.StatusOK {
				t.Errorf("a stream was answered with %d", stream.StatusCode)
			}
			streams = append(streams, stream) //nolint:bodyclose // open does
		}
		wantLimited(t, p.get(t, "/api/events"))
		ctx, cancel := context.WithCancel(t.Context())
		request := p.request(t, http.MethodGet, "/api/x", http.NoBody).WithContext(ctx)
		go func() { _, _ = p.Client().Transport.RoundTrip(request) }() //nolint:bodyclose // there is no response
		synctest.Wait()
		if n := arrived.Load(); n != 5 {
			t.Errorf("%d requests arrived, want 4 for streams and 1 beside them", n)
		}
		cancel()
		_ = streams[0].Body.Close()
		time.Sleep(2 * time.Second)
		if again := p.open(t, p.request(t, http.MethodGet, "/api/events", http.NoBody)); again.StatusCode != http.StatusOK { //nolint:bodyclose // open does
			t.Errorf("answered %d after a stream had ended", again.StatusCode)
		}
		if got := counted(t, p, "tokenhandler_proxy_limited_total"); got["kind=stream route=/api/"] != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

// WebSockets are streams from the beginning.
func TestSocketsAreStreams(t *testing.T) {
	up := newUpstream(t, echo(nil))
	p := newLimitedProxy(t, oauthproxy.Limits{Requests: 1, Streams: 1}, nil, socketRoute(t, up.URL))
	p.Start()
	t.Cleanup(p.Close)
	conn := p.dial(t, "/api/socket", websocket.DialOptions{})
	exchange(t, conn, websocket.MessageText, []byte("hello"))
	got := p.rawBody(t, "", "GET /api/socket HTTP/1.1", "Host: h", "Sec-Fetch-Site: same-origin", "Origin: "+publicOrigin, "Connection: Upgrade",
		"Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
	wantLimited(t, got)
	if got := p.get(t, "/api/x"); got.StatusCode == http.StatusTooManyRequests {
		t.Error("a request was refused because of a WebSocket")
	}
}

// Streams that an HTTP/2 client opens and resets at once reach the upstream only at a bounded
// rate (rapid reset, CVE-2023-44487), with a session or without.
func TestRapidReset(t *testing.T) {
	for name, err := range map[string]error{"with a session": nil, "without": errNobody} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const limit, seconds = 5, 3
				var arrived atomic.Int32
				protocol := overHTTP2.limited(limit, 1)
				protocol.anonymous, protocol.peer = true, "192.0.2.1:1234"
				p := protocol.inMemory(t, within, untilRelease(&arrived, nil))
				p.tokens.err = err
				begun := time.Now()
				for time.Since(begun) < seconds*time.Second {
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
					response, err := p.Client().Transport.RoundTrip(p.request(t, http.MethodGet, "/api/x", http.NoBody).WithContext(ctx))
					if err == nil {
						_ = response.Body.Close()
						time.Sleep(10 * time.Millisecond)
					}
					cancel()
				}
				if n := arrived.Load(); n < limit || n > limit*(seconds+1) {
					t.Errorf("%d requests arrived in %d seconds, the limit is %d", n, seconds, limit)
				}
			})
		})
	}
}

// A connection that is being opened counts, although its request has gone.
func TestConnectionsBeingOpenedCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 5
		p := overHTTP2.limited(limit, 1).inMemory(t, within, func(http.ResponseWriter, *http.Request) {})
		var opening, most atomic.Int32
		p.handler.DialUpstreams(func(context.Context, string, string) (net.Conn, error) { // accepts nobody
			most.Store(max(most.Load(), opening.Add(1)))
			defer opening.Add(-1)
			time.Sleep(5 * time.Second)
			return nil, fmt.Errorf("dialing: %w", context.DeadlineExceeded)
		})
		for range 200 {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			if response, err := p.Client().Transport.RoundTrip(p.request(t, http.MethodGet, "/api/x", http.NoBody).WithContext(ctx)); err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				time.Sleep(50 * time.Millisecond)
			}
			cancel()
		}
		if n := most.Load(); n > limit {
			t.Errorf("%d connections were being opened at a time, the limit is %d", n, limit)
		}
		time.Sleep(time.Minute)
	})
}

// Behind a proxy that is trusted, the users' requests share its connections: without a
// session there is no limit.
func TestUsersOfATrustedProxyAreNotLimitedTogether(t *testing.T) {
	var arrived atomic.Int32
	release := make(chan struct{})
	up := newUpstream(t, untilRelease(&arrived, release))
	route := api(t, up.URL)
	route.Anonymous = true
	p := newLimitedProxy(t, oauthproxy.Limits{Requests: 1, Streams: 1}, nil, route)
	p.EnableHTTP2 = true
	p.StartTLS()
	t.Cleanup(p.Close)
	p.tokens.err = errNobody
	answers := make(chan answer, 2)
	for i := range 2 {
		go func() { answers <- p.get(t, "/api/x", "X-Forwarded-For", fmt.Sprint("192.0.2.", i)) }()
	}
	testkit.Eventually(t, "both requests at the upstream", func() bool { return arrived.Load() == 2 })
	close(release)
	for range 2 {
		if got := testkit.Receive(t, answers, "an answer"); got.StatusCode != http.StatusOK {
			t.Errorf("answered %d", got.StatusCode)
		}
	}
}

// A call counts once as long as somebody holds its slot, also if a connection begins to be
// opened for it when it has ended.
func TestSlotCountsOnceAsLongAsItIsHeld(t *testing.T) {
	for _, c := range []struct {
		steps string
		want  []int
	}{
		{"take, hold, release, release", []int{1, 1, 1, 0}},
		{"take, release, hold, hold, release, release", []int{1, 0, 1, 1, 1, 0}}, //nolint:dupword // held twice
		{"hold, release", []int{0, 0}},                                           // it is not bounded
	} {
		if got := oauthproxy.SlotRequests(strings.Split(c.steps, ", ")...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.steps, got, c.want)
		}
	}
}
