package valkey

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/valkey-io/valkey-go"
)

const (
	// connectTimeout bounds connecting: TCP, TLS and login.
	connectTimeout = time.Second
	// bufferSize is the size of each connection's two buffers. A session has a few KB.
	bufferSize = 32 << 10
	// retryStep is by how much longer the client waits before each further try of a
	// script whose connection broke.
	retryStep = 20 * time.Millisecond
	// maxTries is how often it tries, within [commandTimeout].
	maxTries = 4
)

// clientOptions returns the options that all clients have in common. Commands are
// always pipelined: otherwise a caller that gives up closes the connection.
func clientOptions() valkey.ClientOption {
	return valkey.ClientOption{
		AlwaysPipelining: true, DisableCache: true, PipelineMultiplex: -1,
		// [Store.beat] notices a server that hangs, so no pings are sent.
		Dialer:             net.Dialer{Timeout: connectTimeout, KeepAlive: -1},
		ConnWriteTimeout:   connectTimeout,
		ClientSetInfo:      valkey.DisableClientSetInfo, // Redis 6 does not know it
		ClientName:         "tokenhandler",
		ReadBufferEachConn: bufferSize, WriteBufferEachConn: bufferSize,
		RetryDelay: func(attempts int, _ valkey.Completed, _ error) time.Duration {
			if attempts >= maxTries {
				return -1 // none
			}
			return time.Duration(attempts-1) * retryStep
		},
	}
}

// connection is a client of the store, from connecting until the first failure that
// concerns the store as a whole.
type connection struct {
	client valkey.Client
	// fail closes the client's connections and says why.
	fail context.CancelCauseFunc
	// incarnation is the one whose deny list has been read on this connection, and last
	// is the id of the last record that was read.
	incarnation string
	last        string
}

var errClosed = errors.New("the connection is closed")

// connect makes a client. All its connections are closed when the returned context
// ends, which is when ctx ends or when fail is called. That frees every call, even
// while the server hangs; the client's own Close waits for the server.
func (t *target) connect(ctx context.Context) (*connection, context.Context, error) {
	ctx, fail := context.WithCancelCause(ctx)
	options := t.options
	options.DialCtxFn = func(dialing context.Context, address string, dialer *net.Dialer, secure *tls.Config) (net.Conn, error) {
		dialing, cancel := context.WithCancel(dialing)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		conn, err := dial(dialing, address, dialer, secure)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	}
	if t.iam != nil {
		options.AuthCredentialsFn = t.iam.login(ctx)
	}
	client, err := valkey.NewClient(options)
	if err != nil {
		fail(err)
		return nil, nil, err
	}
	return &connection{client: client, fail: fail}, ctx, nil
}

func dial(ctx context.Context, address string, dialer *net.Dialer, secure *tls.Config) (net.Conn, error) {
	if secure == nil {
		return dialer.DialContext(ctx, "tcp", address)
	}
	return (&tls.Dialer{NetDialer: dialer, Config: secure}).DialContext(ctx, "tcp", address)
}

// close ends the connection and waits until nothing of it is left.
func (c *connection) close() {
	c.fail(errClosed)
	c.client.Close()
}
