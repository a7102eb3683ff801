package valkey

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"

	"github.com/valkey-io/valkey-go"
)

// linkConnections is how many connections a link may open: one for commands and
// one that waits on the stream. It never replaces one: a new connection may lead
// to another server, so whatever was known of the old one ends with the link.
const linkConnections = 2

var errLinkOver = errors.New("the link is over")

// link is the connections to one server, from connecting to the first failure.
type link struct {
	client valkey.Client
	// fail ends the link with the reason.
	fail context.CancelCauseFunc
	// done is closed when the link is over.
	done <-chan struct{}

	mu     sync.Mutex
	conns  []net.Conn
	dialed int
	over   bool
}

// connect opens a link. It ends with the returned context, which ends with ctx.
func connect(ctx context.Context, options valkey.ClientOption) (*link, context.Context, error) {
	ctx, fail := context.WithCancelCause(ctx)
	l := &link{fail: fail, done: ctx.Done()}
	context.AfterFunc(ctx, l.hangUp)
	options.DialCtxFn = func(dialing context.Context, address string, dialer *net.Dialer, secure *tls.Config) (net.Conn, error) {
		dialing, cancel := context.WithCancel(dialing)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		return l.dial(dialing, address, dialer, secure)
	}
	client, err := valkey.NewClient(options)
	l.client = client
	if err != nil {
		l.close()
		return nil, nil, err
	}
	return l, ctx, nil
}

func (l *link) dial(ctx context.Context, address string, dialer *net.Dialer, secure *tls.Config) (net.Conn, error) {
	l.mu.Lock()
	l.dialed++
	refuse := l.over || l.dialed > linkConnections
	l.mu.Unlock()
	if refuse {
		return nil, errLinkOver
	}
	var conn net.Conn
	var err error
	if secure != nil {
		conn, err = (&tls.Dialer{NetDialer: dialer, Config: secure}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = dialer.DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		_ = conn.Close()
		return nil, errLinkOver
	}
	l.conns = append(l.conns, conn)
	return conn, nil
}

// hangUp closes the connections, which frees every call that waits on them. The
// library's own closing waits for a server that hangs.
func (l *link) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for _, conn := range l.conns {
		_ = conn.Close()
	}
}

// close ends the link and gives back what it holds.
func (l *link) close() {
	l.fail(errLinkOver)
	l.hangUp()
	if l.client != nil {
		l.client.Close()
	}
}
