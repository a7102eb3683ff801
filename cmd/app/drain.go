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
	// firstRequestTime is how long a connection that was accepted before the shutdown
	// may take to send its request. A load balancer sends it at once.
	firstRequestTime = time.Second
	// firstRequestPoll is the pause between two counts of the connections without a
	// request. It is long enough for a request that was just read to reach the handler.
	firstRequestPoll = 10 * time.Millisecond
)

const (
	// quietTime is how long no connection must arrive before the listener closes. By
	// then the system's queue is empty, and load balancers have noticed that /readyz
	// answers 503. A connection that arrives between the last Accept and the closing is
	// reset; only load balancers that stop sending in time prevent that.
	quietTime = 50 * time.Millisecond
	// quietRounds is how many such times must pass in a row. After the machine stood
	// still, the first may have passed before Accept was called.
	quietRounds = 2
	// maxAcceptTime is when the listener closes although connections keep arriving. Most
	// load balancers ask /readyz every second or two.
	maxAcceptTime = 2 * time.Second
)

// drainingListener is a listener that can stop without resetting connections. Closing
// a listener resets the connections that the system has completed and nobody has
// accepted. On a busy machine there are many, and their requests are already sent.
type drainingListener struct {
	net.Listener

	ending atomic.Bool
}

// Accept implements [net.Listener]. After finish it returns the connections that are
// still queued, and then [net.ErrClosed].
func (g *drainingListener) Accept() (net.Conn, error) {
	for quiet := 0; quiet < quietRounds; {
		ending, until := g.ending.Load(), time.Now().Add(quietTime)
		if ending {
			g.wake(until)
		}
		conn, err := g.Listener.Accept()
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
		if ending && !time.Now().Before(until) { // and not the deadline that finish set
			quiet++
		}
	}
	_ = g.Close()
	return nil, net.ErrClosed
}

// finish makes Accept return [net.ErrClosed] once no more connections arrive.
func (g *drainingListener) finish() {
	g.ending.Store(true)
	g.wake(time.Now())
}

// wake makes a waiting Accept return at the given time.
func (g *drainingListener) wake(at time.Time) {
	if listener, ok := g.Listener.(interface{ SetDeadline(at time.Time) error }); ok {
		_ = listener.SetDeadline(at)
	}
}

// unusedConns holds the connections on which no request was received yet. It has no
// lock, because every request changes the state of its connection twice.
type unusedConns struct {
	conns sync.Map // of net.Conn
	count atomic.Int64
}

// watch is the server's [http.Server.ConnState].
func (n *unusedConns) watch(conn net.Conn, state http.ConnState) {
	if state == http.StateNew {
		n.conns.Store(conn, true)
		n.count.Add(1)
	} else if n.count.Load() > 0 {
		if _, found := n.conns.LoadAndDelete(conn); found {
			n.count.Add(-1)
		}
	}
}

// await returns when two counts in a row found no such connection, or after
// firstRequestTime.
func (n *unusedConns) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, firstRequestTime)
	defer cancel()
	ticks := time.NewTicker(firstRequestPoll)
	defer ticks.Stop()
	for quiet := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		none := n.count.Load() == 0
		if none && quiet {
			return
		}
		quiet = none
	}
}

// publicSide is the running public server.
type publicSide struct {
	server   *http.Server
	listener net.Listener
	unused   *unusedConns
	// done is closed when the server has stopped accepting connections.
	done chan struct{}
}

// drain waits for the requests in progress, and for those on connections that were
// accepted a moment ago. [http.Server.Shutdown] alone closes the latter without an
// answer, and no load balancer sends their requests again, because it cannot know
// that they were not executed.
func (a *App) drain(ctx context.Context, public publicSide) {
	public.server.SetKeepAlivesEnabled(false)
	a.listener.finish()
	select {
	case <-public.done:
	case <-time.After(maxAcceptTime):
		_ = public.listener.Close()
		<-public.done
	}
	public.unused.await(ctx)
	var longLived sync.WaitGroup // WebSockets, which net/http does not know, and event streams, for which it would wait
	longLived.Go(func() { a.api.Drain(ctx) })
	defer longLived.Wait()
	if err := public.server.Shutdown(ctx); err != nil {
		a.log.WarnContext(ctx, "requests were cut off", "after", a.shutdown.drain.String())
		_ = public.server.Close()
	}
}
