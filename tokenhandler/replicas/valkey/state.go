package valkey

import (
	"fmt"
	"sync"
	"time"
)

// state is what the process knows about the store now.
type state struct {
	mu sync.Mutex
	// connection is nil during an outage.
	connection *connection
	// reason says why there is no connection.
	reason error
	// incarnation is the incarnation of the store that was seen last, and epoch the
	// number of incarnations seen, counted from 1.
	incarnation string
	epoch       uint64
	// read is the incarnation whose deny list has been read to its end, and heard is
	// when the stream answered last.
	read  string
	heard time.Time
}

// use returns the connection. During an outage it returns the reason at once.
func (s *Store) use() (*connection, error) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if s.state.connection == nil {
		return nil, s.state.reason
	}
	return s.state.connection, nil
}

// connected ends an outage: from now on calls use the connection. It reports false if
// they do so already.
func (s *Store) connected(c *connection) bool {
	st := &s.state
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.connection == c {
		return false
	}
	st.connection, st.read = c, ""
	s.metrics.Up.Set(1)
	return true
}

// lost begins an outage, if calls still use the connection, and ends the connection.
func (s *Store) lost(c *connection, reason error) {
	st := &s.state
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.connection == c {
		st.connection, st.reason = nil, reason
		s.metrics.Up.Set(0)
	}
	c.fail(reason)
}

// setReason says why there is still no connection.
func (s *Store) setReason(reason error) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.reason = reason
}

// observe notes which incarnation of the store has answered.
func (s *Store) observe(incarnation string) {
	st := &s.state
	st.mu.Lock()
	defer st.mu.Unlock()
	if incarnation == st.incarnation {
		return
	}
	if st.incarnation != "" {
		s.metrics.Losses.Inc()
	}
	st.incarnation = incarnation
	st.epoch++
}

// incarnation returns the incarnation of the store that was seen last.
func (s *Store) incarnation() string {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.incarnation
}

// streamRead notes that the deny list of this incarnation has been read to its end.
func (s *Store) streamRead(incarnation string) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.read, s.state.heard = incarnation, s.now()
	s.triedOnce.Do(func() { close(s.tried) })
}

// Epoch returns a number that changes when the store may have lost what was
// published. It is never 0. It implements [refresh.Replicas].
func (s *Store) Epoch() uint64 {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.epoch
}

// maxSilence is how long ago the stream may have answered last. It answers at least
// once every [beatEvery].
const maxSilence = 2 * time.Second

// DenyListCurrent reports whether this process's deny list is known to be complete:
// the store is reached and takes writes, and the process has just read the list to
// its end.
func (s *Store) DenyListCurrent() bool { return s.Ready() == nil }

// Ready returns an error that says why the store cannot be used, or nil.
func (s *Store) Ready() error {
	st := &s.state
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.connection == nil:
		return fmt.Errorf("using the shared store: %w", st.reason)
	case st.read != st.incarnation:
		return fmt.Errorf("using the shared store: %w", errReading)
	case s.now().Sub(st.heard) > maxSilence:
		return fmt.Errorf("using the shared store: %w", errTimeout)
	}
	return nil
}
