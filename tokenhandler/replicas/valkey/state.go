package valkey

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// patience is how long after the loss of a link calls still wait for the next
// one. It covers a connection that was only reset; in an outage no call waits.
const patience = 100 * time.Millisecond

// state is what is known of the store now.
type state struct {
	mu sync.Mutex
	// link is nil while the store is down.
	link *link
	// up is closed when the next link is there.
	up chan struct{}
	// why the store is down, and since when.
	why  error
	lost time.Time
	// life is the name of the store's life that was seen last, and epoch how many
	// were seen, counted from 1.
	life  string
	epoch uint64
	// read is the life whose deny list has been read, and heard when the stream
	// last answered.
	read  string
	heard time.Time
}

// use returns the link. While there is none it fails with the reason, after
// waiting for what is left of [patience].
func (s *Store) use(ctx context.Context) (*link, error) {
	st := &s.state
	st.mu.Lock()
	l, up, why, left := st.link, st.up, st.why, patience-s.now().Sub(st.lost)
	st.mu.Unlock()
	if l != nil {
		return l, nil
	}
	if left <= 0 {
		return nil, why
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-up:
		st.mu.Lock()
		defer st.mu.Unlock()
		if st.link != nil {
			return st.link, nil
		}
		return nil, st.why
	case <-timer.C:
		return nil, why
	case <-ctx.Done():
		return nil, why
	}
}

// gain makes the link the one that calls use.
func (s *Store) gain(l *link) {
	st := &s.state
	st.mu.Lock()
	defer st.mu.Unlock()
	st.link, st.read = l, ""
	close(st.up)
	s.metrics.Up.Set(1)
}

// lose takes the link out of use and ends it. Only the first reason counts.
func (s *Store) lose(l *link, why error) {
	st := &s.state
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.link == l {
		st.link, st.up = nil, make(chan struct{})
		st.why, st.lost = why, s.now()
		s.metrics.Up.Set(0)
	}
	l.fail(why)
}

// setWhy says why there is still no link.
func (s *Store) setWhy(why error) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.why = why
}

// observe takes up which life of the store an answer came from.
func (s *Store) observe(life string) {
	st := &s.state
	st.mu.Lock()
	defer st.mu.Unlock()
	if life == st.life {
		return
	}
	if st.life != "" {
		s.metrics.Losses.Inc()
	}
	st.life = life
	st.epoch++
}

// unread returns the life whose deny list is still to be read, if any.
func (s *Store) unread() (life string, ok bool) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.life, s.state.life != s.state.read
}

// hear notes that the stream answered; life is whose list has been read to its end.
func (s *Store) hear(life string) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.read, s.state.heard = life, s.now()
}

// Epoch implements refresh.Replicas: it changes when the store may have lost
// what was published. It is never 0.
func (s *Store) Epoch() uint64 {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.epoch
}

// fresh is how old the last answer of the stream may be: it answers at least
// once in [followFor].
const fresh = 2 * time.Second

// Certain reports whether this process's deny list is known to be complete: the
// store is up, takes writes, and its list has been read to the end a moment ago.
func (s *Store) Certain() bool { return s.Ready() == nil }

// Ready says why the store cannot be trusted, or nil.
func (s *Store) Ready() error {
	st := &s.state
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.link == nil:
		return fmt.Errorf("using the shared store: %w", st.why)
	case st.read != st.life:
		return fmt.Errorf("using the shared store: %w", errReading)
	case s.now().Sub(st.heard) > fresh:
		return fmt.Errorf("using the shared store: %w", errTimeout)
	}
	return nil
}
