package oauthproxy

import (
	"context"
	"net"
	"sync"
	"time"
)

// answerGrace is how long a response may take to be read after a write has failed. Until then
// it is in the system's buffers, so reading it takes as long as a busy machine needs.
const answerGrace = time.Second

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// upstreamDial returns dial with what every connection to an upstream needs. A connection that is
// being opened holds the slot of its call: net/http opens it to the end even if the call has
// ended, and if an upstream accepts none, they would pile up behind calls that do not count.
func upstreamDial(dial dialFunc) dialFunc {
	answering := keepAnswers(dial)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if c, ok := ctx.Value(callKey{}).(*call); ok {
			c.slot.hold()
			defer c.slot.release()
		}
		return answering(ctx, network, address)
	}
}

// keepAnswers returns dial for connections that do not lose a response to a failed write.
func keepAnswers(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &answeringConn{Conn: conn, readEnded: make(chan struct{})}, nil
	}
}

// answeringConn is a connection on which a failed write returns only when there is nothing left
// to read. An upstream that refuses a large upload (413) may respond and close the connection
// at once. Then the rest of the upload cannot be written, and net/http would give the response
// up, although it has arrived (RFC 9112 §9.5 and §9.6 ask the client to look for it).
type answeringConn struct {
	net.Conn

	once      sync.Once
	readEnded chan struct{} // closed when a read has failed, or the connection is closed
}

func (c *answeringConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.endRead()
	}
	return n, err
}

func (c *answeringConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		grace := time.NewTimer(answerGrace)
		defer grace.Stop()
		select {
		case <-c.readEnded:
		case <-grace.C:
		}
	}
	return n, err
}

// Close implements [net.Conn].
func (c *answeringConn) Close() error {
	c.endRead()
	return c.Conn.Close()
}

func (c *answeringConn) endRead() { c.once.Do(func() { close(c.readEnded) }) }
