package valkey

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// A store that has lost its data does not know which results and leases it had, and one
// that was out for some time lacks the results of leases that have run out. Each
// replica restores its own. How long that takes depends on the replica: it may have
// thousands of results, its network may be slow, and its machine may stand still. So
// every replica reports in the store that it is there, remembers who else is, and tells
// that to a store that has lost its data. Such a store gives no lease until all of these
// have restored theirs, or until the leases that it may have forgotten have run out.

// memberTime is how long after its last report a replica is remembered. No lease is
// longer.
const memberTime = time.Minute

// members are the replicas that share the store, as this process knows them.
type members struct {
	mu sync.Mutex
	// incarnation is that of the store which told of them.
	incarnation string
	heard       map[string]time.Time // replica → when it last reported, by the clock of this process
	// restored is the epoch for which this process has restored its results.
	restored uint64
}

// learn notes which replicas an incarnation of the store knows. told are pairs of a
// name and the milliseconds since its last report.
func (m *members) learn(incarnation string, told []string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.incarnation, m.heard = incarnation, make(map[string]time.Time, len(told)/2)
	for i := 0; i+1 < len(told); i += 2 {
		if ago, err := strconv.ParseInt(told[i+1], 10, 64); err == nil {
			m.heard[told[i]] = now.Add(-time.Duration(ago) * time.Millisecond)
		}
	}
}

// arguments returns what the beat script is told of the replicas.
func (m *members) arguments(now time.Time) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	told := []string{m.incarnation}
	for name, at := range m.heard {
		told = append(told, name, milliseconds(now.Sub(at)))
	}
	return told
}

// Restored notes that everything which this process had when the epoch began has been
// published since, or is not of use. A store that has lost its data waits for that. It
// implements [refresh.Replicas].
func (s *Store) Restored(epoch uint64) {
	s.members.mu.Lock()
	defer s.members.mu.Unlock()
	s.members.restored = epoch
}

// firstEpoch is the epoch of the first incarnation that a process sees.
const firstEpoch = 2

// nothingYet stands for the incarnation that the store is about to name: a process that
// has seen none has nothing to restore.
const nothingYet = "*"

// restoredIn returns the incarnation of the store in which this process has restored its
// leases and its results, or "".
func (s *Store) restoredIn() string {
	s.members.mu.Lock()
	restored := s.members.restored
	s.members.mu.Unlock()
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	switch st := &s.state; {
	case st.incarnation == "":
		return nothingYet
	case st.epoch == firstEpoch, st.read == st.incarnation && restored == st.epoch:
		return st.incarnation
	}
	return ""
}

// Leave tells the store that this process ends, and has handed over what it had: a store
// that loses its data later does not wait for it. It is called last. Without it, the
// store waits in vain, as after a crash.
func (s *Store) Leave(ctx context.Context) {
	s.left.Store(true)
	_, _ = s.call(ctx, s.scripts.leave, []string{membersKey}, s.name) // best effort
}
