package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// shared is a store that replicas share, in the memory of the test. It keeps
// the promises of refresh.Replicas, and breaks down on demand.
type shared struct {
	mu      sync.Mutex
	results map[session.Name]sharedResult
	leases  map[session.Name]sharedLease
	leased  int
	epoch   uint64
	settled time.Time // before it no lease is given
	down    bool      // nothing works
	full    bool      // nothing is written
}

type sharedResult struct {
	refresh.Result

	until time.Time
}

type sharedLease struct {
	name  string
	until time.Time
}

var errStoreDown = errors.New("the store is down")

func newShared() *shared {
	s := &shared{}
	s.lose()
	s.settled = time.Time{}
	return s
}

// lose forgets everything, as a restart without data does.
func (s *shared) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results, s.leases = make(map[session.Name]sharedResult), make(map[session.Name]sharedLease)
	s.epoch++
	s.settled = time.Now().Add(2 * time.Second)
}

func (s *shared) set(down, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.full = down, full
}

func (s *shared) Claim(ctx context.Context, name session.Name, generation uint64, lease time.Duration) (refresh.Claim, error) {
	for {
		claim, done, err := s.try(name, generation, lease)
		if done || err != nil {
			return claim, err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return refresh.Claim{}, ctx.Err()
		}
	}
}

func (s *shared) try(name session.Name, generation uint64, lease time.Duration) (claim refresh.Claim, done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.down || s.full {
		return claim, false, errStoreDown
	}
	if known, ok := s.results[name]; ok && now.Before(known.until) && known.Generation > generation {
		return refresh.Claim{Result: known.Result}, true, nil
	}
	if now.Before(s.settled) || now.Before(s.leases[name].until) {
		return claim, false, nil
	}
	s.leased++
	mine := fmt.Sprint("lease ", s.leased)
	s.leases[name] = sharedLease{mine, now.Add(lease)}
	return refresh.Claim{Lease: mine}, true, nil
}

func (s *shared) Publish(_ context.Context, name session.Name, lease string, result refresh.Result, keep time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.down || s.full {
		return errStoreDown
	}
	if known, ok := s.results[name]; !ok || !now.Before(known.until) || known.Generation < result.Generation {
		s.results[name] = sharedResult{result, now.Add(keep)}
	}
	s.release(name, lease)
	return nil
}

func (s *shared) Release(_ context.Context, name session.Name, lease string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errStoreDown
	}
	s.release(name, lease)
	return nil
}

func (s *shared) release(name session.Name, lease string) {
	if s.leases[name].name == lease {
		delete(s.leases, name)
	}
}

func (s *shared) Epoch() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

var _ refresh.Replicas = (*shared)(nil)
