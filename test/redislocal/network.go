package redislocal

import (
	"context"
	"net"
	"sync"
	"time"

	"cognito-token-handler/test/devstack/process"
)

// chunk is how much a [Network] carries at once.
const chunk = 32 << 10

// Network stands between clients and a server. It can be slow, swallow everything, or reset its connections.
type Network struct {
	target   string
	listener net.Listener
	work     sync.WaitGroup
	ended    chan struct{}

	mu    sync.Mutex
	delay time.Duration
	dead  bool // nothing arrives
	deaf  bool // no answer arrives
	conns map[net.Conn]bool
}

// NewNetwork returns a network that leads to the server at target. The caller must Close it.
func NewNetwork(target string) (*Network, error) {
	listener, err := process.Listen(0)
	if err != nil {
		return nil, err
	}
	n := &Network{target: target, listener: listener, ended: make(chan struct{}), conns: make(map[net.Conn]bool)}
	n.work.Go(n.accept)
	return n, nil
}

// Addr returns the address that clients connect to.
func (n *Network) Addr() string { return n.listener.Addr().String() }

// SetDelay delays everything that passes through, in each direction, from now on.
func (n *Network) SetDelay(delay time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay = delay
}

// SetDead makes the network drop everything silently, or stop doing so. What was dropped is lost, so the network resets its
// connections when it comes back.
func (n *Network) SetDead(dead bool) {
	n.mu.Lock()
	n.dead = dead
	n.mu.Unlock()
	if !dead {
		n.Reset()
	}
}

// SetDeaf is SetDead for answers only: what clients send still arrives.
func (n *Network) SetDeaf(deaf bool) {
	n.mu.Lock()
	n.deaf = deaf
	n.mu.Unlock()
	if !deaf {
		n.Reset()
	}
}

// Reset closes every connection.
func (n *Network) Reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for conn := range n.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, not a polite end
		}
		_ = conn.Close()
	}
}

// Close ends the network and its connections.
func (n *Network) Close() {
	close(n.ended)
	_ = n.listener.Close()
	n.Reset()
	n.work.Wait()
}

func (n *Network) accept() {
	for {
		client, err := n.listener.Accept()
		if err != nil {
			return
		}
		n.work.Go(func() { n.serve(client) })
	}
}

func (n *Network) serve(client net.Conn) {
	defer n.drop(client)
	n.keep(client)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.target)
	if err != nil {
		return
	}
	defer n.drop(server)
	n.keep(server)
	var both sync.WaitGroup
	for _, d := range []direction{{from: client, to: server}, {from: server, to: client, answers: true}} {
		both.Go(func() {
			n.carry(d)
			_ = d.from.Close()
			_ = d.to.Close()
		})
	}
	both.Wait()
}

func (n *Network) keep(conn net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[conn] = true
	select {
	case <-n.ended:
		_ = conn.Close()
	default:
	}
}

func (n *Network) drop(conn net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, conn)
	_ = conn.Close()
}

// direction is one direction of a connection.
type direction struct {
	from, to net.Conn
	answers  bool
}

// carry copies until either side ends.
func (n *Network) carry(d direction) {
	buffer := make([]byte, chunk)
	for {
		got, err := d.from.Read(buffer)
		if err != nil || !n.wait() {
			return
		}
		n.mu.Lock()
		dead := n.dead || n.deaf && d.answers
		n.mu.Unlock()
		if dead {
			continue
		}
		if _, err := d.to.Write(buffer[:got]); err != nil {
			return
		}
	}
}

// wait waits for the delay, and reports false if the network ended meanwhile.
func (n *Network) wait() bool {
	n.mu.Lock()
	delay := n.delay
	n.mu.Unlock()
	if delay == 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-n.ended:
		return false
	}
}
