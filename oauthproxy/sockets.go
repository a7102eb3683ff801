package oauthproxy

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// sockets are all that are open.
type sockets struct {
	mu       sync.Mutex
	all      map[*socket]struct{}
	draining bool
}

// add takes up a socket. While sockets are drained it is ended at once.
func (s *sockets) add(one *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[*socket]struct{})
	}
	s.all[one] = struct{}{}
	if s.draining {
		go one.goAway()
	}
}

// remove forgets a socket whose connections are closed.
func (s *sockets) remove(one *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, one)
	close(one.done)
}

// drain returns those that are open, and has later ones ended.
func (s *sockets) drain() []*socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	return slices.Collect(maps.Keys(s.all))
}

func (s *socket) goAway() { s.end(codeGoingAway, "going away") }

// Drain ends all WebSockets with the close code 1001 (going away), and the ones
// to come, too: they are not net/http's to wait for. It returns when they are
// closed; when ctx ends, those that are left are cut off.
func (h *Handler) Drain(ctx context.Context) {
	open := h.sockets.drain()
	for _, s := range open {
		go s.goAway() // each waits for a write under way
	}
	defer context.AfterFunc(ctx, func() {
		for _, s := range open {
			s.hangUp()
		}
	})()
	for _, s := range open {
		<-s.done
	}
}
