package oauthproxy

import (
	"context"
	"maps"
	"sync"

	"cognito-token-handler/oauthproxy/socket"
)

// longLived is a connection that does not end by itself: a WebSocket or an event
// stream.
type longLived interface {
	// goAway closes the connection in an orderly way, without waiting for that.
	goAway()
	// abort cuts the connection off.
	abort()
}

// openConnections is the registry of the open long-lived connections.
type openConnections struct {
	mu       sync.Mutex
	closed   map[longLived]chan struct{} // open connection → closed when it has ended
	draining bool
}

// add registers a connection that has begun. After drain it is closed at once.
func (o *openConnections) add(connection longLived) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed == nil {
		o.closed = make(map[longLived]chan struct{})
	}
	o.closed[connection] = make(chan struct{})
	if o.draining {
		connection.goAway()
	}
}

// remove removes a connection that has ended.
func (o *openConnections) remove(connection longLived) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if closed, ok := o.closed[connection]; ok {
		close(closed)
		delete(o.closed, connection)
	}
}

// drain returns the open connections, each with a channel that is closed when the
// connection has ended. Connections that are added later are closed at once.
func (o *openConnections) drain() map[longLived]chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.draining = true
	return maps.Clone(o.closed)
}

// Drain closes all WebSockets, with the close code 1001 (going away), and all event
// streams, so that their clients connect again to another replica. Those that are
// opened later are closed at once. Drain returns when all are closed; when ctx ends,
// those that are left are cut off. It cannot cut off a stream on an HTTP/2
// connection from which the client reads nothing: the caller must close that
// connection.
func (h *Handler) Drain(ctx context.Context) {
	open := h.open.drain()
	for connection := range open {
		connection.goAway()
	}
	defer context.AfterFunc(ctx, func() {
		for connection := range open {
			connection.abort()
		}
	})()
	for _, closed := range open {
		<-closed
	}
}

// webSocket is a WebSocket in the registry of open connections.
type webSocket struct{ *socket.Conn }

// goAway runs Close in a goroutine of its own, because Close may wait for a write.
func (s webSocket) goAway() { go s.Close(socket.StatusGoingAway, "going away") }

func (s webSocket) abort() { s.Abort() }
