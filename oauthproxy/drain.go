package oauthproxy

import (
	"context"
	"maps"
	"sync"
)

// lasting is what lasts until somebody ends it, and is told when the service
// does: a WebSocket, an event stream.
type lasting interface {
	// goAway lets it come to an end in order, soon. It does not wait for that.
	goAway()
	// hangUp cuts it off.
	hangUp()
}

// lastings are all that there are now.
type lastings struct {
	mu       sync.Mutex
	all      map[lasting]chan struct{} // closed when it is over
	draining bool
}

// add takes up one that has begun. While they are drained it is ended at once.
func (l *lastings) add(one lasting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = make(map[lasting]chan struct{})
	}
	l.all[one] = make(chan struct{})
	if l.draining {
		one.goAway()
	}
}

// remove forgets one that is over.
func (l *lastings) remove(one lasting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if over, there := l.all[one]; there {
		close(over)
		delete(l.all, one)
	}
}

// drain returns those that there are, and has later ones ended.
func (l *lastings) drain() map[lasting]chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.draining = true
	return maps.Clone(l.all)
}

// Drain ends all WebSockets, with the close code 1001 (going away), and all event
// streams, and the ones to come, too: their clients connect again, to another
// replica. It returns when they are over; when ctx ends, those that are left are
// cut off. A stream on an HTTP/2 connection that nobody reads cannot be: that one the
// caller has to close.
func (h *Handler) Drain(ctx context.Context) {
	open := h.lastings.drain()
	for one := range open {
		one.goAway()
	}
	defer context.AfterFunc(ctx, func() {
		for one := range open {
			one.hangUp()
		}
	})()
	for _, over := range open {
		<-over
	}
}
