package valkey

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// settle is how long a store that may have lost something gives out no lease:
// long enough for every replica to come back (at most [retryMost] later), to take
// its leases again at once, and to publish its results again (half a second).
const settle = 2 * time.Second

// How often a claim looks whether another replica is done: a refresh takes some
// 100 ms, so few waits are prolonged much, and few questions are asked.
const (
	pollFirst = 10 * time.Millisecond
	pollMost  = 50 * time.Millisecond
)

// Claim implements refresh.Replicas. It ends with ctx, or with the first failure
// of the store.
func (s *Store) Claim(ctx context.Context, id session.Name, generation uint64, lease time.Duration) (refresh.Claim, error) {
	name, wait := freshName(), pollFirst
	for {
		ends := s.now().Add(lease)
		answer, err := s.call(ctx, s.scripts.claim, []string{leaseKey(id), resultKey(id)},
			padded(generation), name, milliseconds(lease), milliseconds(settle))
		if err == nil && !known(answer) {
			err = errAnswer
		}
		if err != nil {
			s.leases.abandon(id, name, ends) // it may have been given all the same
			return refresh.Claim{}, fmt.Errorf("claiming a refresh: %w", err)
		}
		switch answer[0] {
		case "result":
			return readResult(answer)
		case "lease":
			s.leases.hold(id, name, ends)
			return refresh.Claim{Lease: name}, nil
		}
		if wait == pollFirst {
			s.metrics.LeaseWaits.Inc()
		}
		if err := pause(ctx, wait); err != nil {
			return refresh.Claim{}, fmt.Errorf("claiming a refresh: %w", err)
		}
		wait = min(wait*3/2, pollMost)
	}
}

// known reports whether the answer to a claim is one of the three.
func known(answer []string) bool {
	switch {
	case len(answer) == 1:
		return answer[0] == "lease" || answer[0] == "busy"
	case len(answer) == 3:
		return answer[0] == "result"
	}
	return false
}

func readResult(answer []string) (refresh.Claim, error) {
	generation, err := strconv.ParseUint(answer[1], 10, 64)
	if err != nil || padded(generation) != answer[1] {
		return refresh.Claim{}, fmt.Errorf("claiming a refresh: %w", errAnswer)
	}
	result := refresh.Result{Generation: generation}
	if answer[2] != "" {
		result.Sealed = []byte(answer[2])
	}
	return refresh.Claim{Result: result}, nil
}

// Publish implements refresh.Replicas.
func (s *Store) Publish(ctx context.Context, id session.Name, lease string, result refresh.Result, keep time.Duration) error {
	s.leases.drop(id, lease)
	_, err := s.call(ctx, s.scripts.publish, []string{leaseKey(id), resultKey(id)},
		padded(result.Generation), string(result.Sealed), milliseconds(keep), lease)
	if err != nil {
		return fmt.Errorf("publishing a refresh: %w", err)
	}
	return nil
}

// Release implements refresh.Replicas.
func (s *Store) Release(ctx context.Context, id session.Name, lease string) error {
	s.leases.drop(id, lease)
	if _, err := s.call(ctx, s.scripts.release, []string{leaseKey(id)}, lease); err != nil {
		return fmt.Errorf("releasing a refresh: %w", err)
	}
	return nil
}

// padded is a generation that scripts can compare as text.
func padded(generation uint64) string { return fmt.Sprintf("%020d", generation) }

// milliseconds is at least one: a key cannot live shorter.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}

func freshName() string { return rand.Text() }

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leases are those that this process has, or may have without knowing.
type leases struct {
	mu   sync.Mutex
	held map[session.Name]heldLease // session → its lease
	lost []lostLease
}

type heldLease struct {
	name string
	ends time.Time
}

// lostLease may be in the store, and nobody wants it.
type lostLease struct {
	heldLease

	id session.Name
}

// maxLost bounds the leases to be given back after an outage. The others run out
// by themselves.
const maxLost = 10_000

func (l *leases) hold(id session.Name, name string, ends time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[id] = heldLease{name: name, ends: ends}
}

// drop forgets a lease; an empty name is none.
func (l *leases) drop(id session.Name, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[id].name == name {
		delete(l.held, id)
	}
}

func (l *leases) abandon(id session.Name, name string, ends time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lost) < maxLost {
		l.lost = append(l.lost, lostLease{id: id, heldLease: heldLease{name: name, ends: ends}})
	}
}

// takeLost returns some abandoned leases that have not ended, and forgets them.
func (l *leases) takeLost(now time.Time) []lostLease {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := slices.DeleteFunc(l.lost, func(l lostLease) bool { return !now.Before(l.ends) })
	count := min(len(lost), sendCount)
	l.lost = slices.Clone(lost[count:])
	return lost[:count]
}

// live returns the leases held that have not ended, and forgets the others.
func (l *leases) live(now time.Time) map[session.Name]heldLease {
	l.mu.Lock()
	defer l.mu.Unlock()
	live := make(map[session.Name]heldLease)
	for id, held := range l.held {
		if now.Before(held.ends) {
			live[id] = held
		} else {
			delete(l.held, id)
		}
	}
	return live
}

func (l *leases) has(id session.Name, name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[id].name == name
}

// restoreLeases takes this process's leases again in a store that may have lost
// them, before that gives out any: their holders are still at work.
func (s *Store) restoreLeases(ctx context.Context) error {
	now := s.now()
	for id, held := range s.leases.live(now) {
		_, err := s.call(ctx, s.scripts.restore, []string{leaseKey(id)}, held.name, milliseconds(held.ends.Sub(now)))
		if err != nil {
			return err
		}
		if !s.leases.has(id, held.name) { // given up meanwhile, perhaps before it was restored
			if _, err := s.call(ctx, s.scripts.release, []string{leaseKey(id)}, held.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// releaseLost gives back the leases of claims that failed: else their sessions
// could not be refreshed until they run out.
func (s *Store) releaseLost(ctx context.Context) error {
	for {
		lost := s.leases.takeLost(s.now())
		if len(lost) == 0 {
			return nil
		}
		var keys, names []string
		for _, l := range lost {
			keys, names = append(keys, leaseKey(l.id)), append(names, l.name)
		}
		if _, err := s.call(ctx, s.scripts.release, keys, names...); err != nil {
			for _, l := range lost {
				s.leases.abandon(l.id, l.name, l.ends)
			}
			return err
		}
	}
}

var _ refresh.Replicas = (*Store)(nil)
