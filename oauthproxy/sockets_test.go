package oauthproxy_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cognito-token-handler/test/testkit"
)

// A client that does not read holds its upstream back, and little is kept.
func TestSocketBackPressure(t *testing.T) {
	t.Parallel()
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
	if sent := testkit.Receive(t, stuck, "the upstream to be held back"); sent > most {
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
	testkit.Eventually(t, "all are open", func() bool { return openSockets(t, p) == many })
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
	testkit.Eventually(t, "nothing is left", func() bool {
		return openSockets(t, p) == 0 && runtime.NumGoroutine() <= before+5
	})
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
