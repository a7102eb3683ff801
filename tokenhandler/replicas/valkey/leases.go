package valkey

import (
	"context"
	"slices"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/session"
)

// leases are those that this process has, and those that it may have without knowing.
type leases struct {
	mu        sync.Mutex
	held      map[session.Name]heldLease // session → its lease
	abandoned []abandonedLease
}

type heldLease struct {
	lease string
	ends  time.Time
	// made is the generation of its holder's result, which the store may not have taken; 0
	// while the holder has none.
	made uint64
}

// abandonedLease is the lease of a claim that failed. The store may have given it, but
// nobody uses it.
type abandonedLease struct {
	heldLease

	name session.Name
}

// maxAbandoned is how many leases are given back after an outage. Further ones end by
// themselves.
const maxAbandoned = 10_000

func (l *leases) hold(name session.Name, lease string, ends time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[name] = heldLease{lease: lease, ends: ends}
}

// finish notes that the holder of a lease has made this generation for the store.
func (l *leases) finish(name session.Name, lease string, made uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if held := l.held[name]; held.lease == lease {
		held.made = made
		l.held[name] = held
	}
}

// unpublished returns the lease whose holder has made this generation, or an earlier one,
// that the store has not taken; else "". With an older generation in the store, another
// replica would still refresh what the holder has refreshed.
func (l *leases) unpublished(name session.Name, generation uint64) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if held := l.held[name]; held.made != 0 && held.made <= generation {
		return held.lease
	}
	return ""
}

// drop forgets a lease. An empty name stands for none.
func (l *leases) drop(name session.Name, lease string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[name].lease == lease {
		delete(l.held, name)
	}
}

func (l *leases) abandon(name session.Name, lease string, ends time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.abandoned) < maxAbandoned {
		l.abandoned = append(l.abandoned, abandonedLease{name: name, heldLease: heldLease{lease: lease, ends: ends}})
	}
}

// takeAbandoned returns some abandoned leases that have not ended, and forgets them.
func (l *leases) takeAbandoned(now time.Time) []abandonedLease {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := slices.DeleteFunc(l.abandoned, func(l abandonedLease) bool { return !now.Before(l.ends) })
	count := min(len(left), batch)
	l.abandoned = slices.Clone(left[count:])
	return left[:count]
}

// live returns the held leases that have not ended, and forgets the others.
func (l *leases) live(now time.Time) map[session.Name]heldLease {
	l.mu.Lock()
	defer l.mu.Unlock()
	live := make(map[session.Name]heldLease)
	for name, held := range l.held {
		if now.Before(held.ends) {
			live[name] = held
		} else {
			delete(l.held, name)
		}
	}
	return live
}

func (l *leases) has(name session.Name, lease string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[name].lease == lease
}

// restoreLeases takes this process's leases again in a store that may have lost them,
// before the store gives new ones: their holders are still at work.
func (s *Store) restoreLeases(ctx context.Context) error {
	now := s.now()
	for name, held := range s.leases.live(now) {
		_, err := s.call(ctx, s.scripts.restore, []string{leaseKey(name)}, held.lease, milliseconds(held.ends.Sub(now)))
		if err != nil {
			return err
		}
		if !s.leases.has(name, held.lease) { // it was given back meanwhile, perhaps before it was restored
			if _, err := s.call(ctx, s.scripts.release, []string{leaseKey(name)}, held.lease); err != nil {
				return err
			}
		}
	}
	return nil
}

// releaseAbandoned gives back the leases of claims that failed. Otherwise their
// sessions could not be refreshed until the leases end.
func (s *Store) releaseAbandoned(ctx context.Context) error {
	for {
		abandoned := s.leases.takeAbandoned(s.now())
		if len(abandoned) == 0 {
			return nil
		}
		var keys, leases []string
		for _, l := range abandoned {
			keys, leases = append(keys, leaseKey(l.name)), append(leases, l.lease)
		}
		if _, err := s.call(ctx, s.scripts.release, keys, leases...); err != nil {
			for _, l := range abandoned {
				s.leases.abandon(l.name, l.lease, l.ends)
			}
			return err
		}
	}
}
