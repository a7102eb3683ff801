package app

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// newcomerTime is how long a connection that was accepted before the end may
	// take to bring its request: a load balancer sends it at once.
	newcomerTime = time.Second
	// newcomerPoll is how often is looked whether there are any. A request that has
	// just been read is on its way to the handler within it.
	newcomerPoll = 10 * time.Millisecond
)

// newcomers are the connections that have not brought a request yet.
type newcomers struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

// watch is the server's [http.Server.ConnState].
func (n *newcomers) watch(conn net.Conn, state http.ConnState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if state == http.StateNew {
		n.conns[conn] = true
	} else {
		delete(n.conns, conn)
	}
}

func (n *newcomers) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

// await returns when there were none for a moment, or newcomerTime is over.
func (n *newcomers) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, newcomerTime)
	defer cancel()
	ticks := time.NewTicker(newcomerPoll)
	defer ticks.Stop()
	for quiet := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		none := n.count() == 0
		if none && quiet {
			return
		}
		quiet = none
	}
}

// publicSide is the public server while it runs.
type publicSide struct {
	server    *http.Server
	listener  net.Listener
	newcomers *newcomers
	// done is closed when no more connections are accepted.
	done chan struct{}
}

// drain lets the requests under way end, and those on connections that were
// accepted a moment ago. [http.Server.Shutdown] alone drops the latter unanswered
// once it has begun, and no load balancer sends them again: it cannot know that
// they were not executed.
func (a *App) drain(ctx context.Context, public publicSide) {
	ctx, cancel := context.WithTimeout(ctx, a.shutdown.drain)
	defer cancel()
	public.server.SetKeepAlivesEnabled(false)
	_ = public.listener.Close()
	<-public.done
	public.newcomers.await(ctx)
	if err := public.server.Shutdown(ctx); err != nil {
		a.log.WarnContext(ctx, "requests were cut off", "after", a.shutdown.drain.String())
		_ = public.server.Close()
	}
}
