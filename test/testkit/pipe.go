package testkit

import (
	"context"
	"net"
	"sync"
)

// PipeListener is a [net.Listener] whose connections are made by [net.Pipe]. Servers
// and clients that use it can run in a bubble of testing/synctest, whose clock does
// not stand still while they wait. The connections have no buffer: a write waits
// until the other end has read it.
type PipeListener struct {
	accepting chan net.Conn
	closed    chan struct{}
	once      sync.Once
}

// NewPipeListener returns a listener that is open.
func NewPipeListener() *PipeListener {
	return &PipeListener{accepting: make(chan net.Conn), closed: make(chan struct{})}
}

// DialContext connects to the listener, whatever the address.
func (l *PipeListener) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.accepting <- far:
		return near, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements [net.Listener].
func (l *PipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accepting:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *PipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements [net.Listener].
func (*PipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe:80" }

var _ net.Listener = (*PipeListener)(nil)
