package app

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
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

const (
	// queueTime is how long no connection must come before the listener closes: then
	// nothing waits in the system's queue, and load balancers have taken note of
	// /readyz. Between the last look and the closing one can still come, and is
	// reset; nothing but their not coming any more helps against that.
	queueTime = 50 * time.Millisecond
	// queueLooks is how often in a row: on a machine that stood still the time is
	// over before the first look.
	queueLooks = 2
	// lastCall is when it closes although they keep coming: most load balancers look
	// at /readyz every second or two.
	lastCall = 2 * time.Second
)

// gate is a listener that can end in order. Closing one resets the connections
// that the system has completed and nobody has accepted; on a busy machine they
// are many, and their requests are already sent.
type gate struct {
	net.Listener

	ending atomic.Bool
}

// Accept implements [net.Listener]. After finish it returns the connections that
// wait, then [net.ErrClosed].
func (g *gate) Accept() (net.Conn, error) {
	for quiet := 0; quiet < queueLooks; {
		ending, until := g.ending.Load(), time.Now().Add(queueTime)
		if ending {
			g.wake(until)
		}
		conn, err := g.Listener.Accept()
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
		if ending && !time.Now().Before(until) { // not what finish woke
			quiet++
		}
	}
	_ = g.Close()
	return nil, net.ErrClosed
}

// finish lets Accept come to an end.
func (g *gate) finish() {
	g.ending.Store(true)
	g.wake(time.Now())
}

// wake lets an Accept that waits return at that time.
func (g *gate) wake(at time.Time) {
	if listener, ok := g.Listener.(interface{ SetDeadline(at time.Time) error }); ok {
		_ = listener.SetDeadline(at)
	}
}

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
	a.gate.finish()
	select {
	case <-public.done:
	case <-time.After(lastCall):
		_ = public.listener.Close()
		<-public.done
	}
	public.newcomers.await(ctx)
	var longLived sync.WaitGroup // sockets, which net/http does not know of, and streams, which it would wait for
	longLived.Go(func() { a.api.Drain(ctx) })
	defer longLived.Wait()
	if err := public.server.Shutdown(ctx); err != nil {
		a.log.WarnContext(ctx, "requests were cut off", "after", a.shutdown.drain.String())
		_ = public.server.Close()
	}
}
