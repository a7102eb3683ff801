package replicastest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// Fake is a store of leases and results in the memory of a test, for all its replicas. It can be told to fail. It uses the time of
// the bubble that the test runs in.
type Fake struct {
	mu       sync.Mutex
	results  map[session.Name]fakeResult
	leases   map[session.Name]fakeLease
	leased   int       // leases given so far
	epoch    uint64    // 1 and more
	restored uint64    // the last epoch that a process has restored
	noLeases time.Time // until then no lease is given
	down     bool      // nothing works
	full     bool      // nothing is written
}

type fakeResult struct {
	refresh.Result

	ends time.Time
}

type fakeLease struct {
	name string
	ends time.Time
}

// ErrDown is the error of a [Fake] that was told to fail.
var ErrDown = errors.New("the store is down")

// settleTime is how long a store that has lost its memory gives no lease by default.
const settleTime = 2 * time.Second

// NewFake returns an empty store that works and gives leases at once.
func NewFake() *Fake {
	return &Fake{results: make(map[session.Name]fakeResult), leases: make(map[session.Name]fakeLease), epoch: 1}
}

// Forget empties the store, as a restart without data does. It gives no lease for [settleTime].
func (f *Fake) Forget() { f.ForgetFor(settleTime) }

// ForgetFor is Forget with the time for which no lease is given.
func (f *Fake) ForgetFor(settle time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.results)
	clear(f.leases)
	f.epoch++
	f.noLeases = time.Now().Add(settle)
}

// SetOutage makes all methods fail if down, all that write if full, and none if neither.
func (f *Fake) SetOutage(down, full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down, f.full = down, full
}

// pollEvery is how often a claim asks whether the lease is free.
const pollEvery = 5 * time.Millisecond

// Claim implements [refresh.Replicas].
func (f *Fake) Claim(ctx context.Context, name session.Name, generation uint64, lease time.Duration) (refresh.Claim, error) {
	for {
		claim, done, err := f.TryClaim(name, generation, lease)
		if done || err != nil {
			return claim, err
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return refresh.Claim{}, ctx.Err()
		}
	}
}

// TryClaim is Claim without waiting. It reports false while the lease is another's.
func (f *Fake) TryClaim(name session.Name, generation uint64, lease time.Duration) (claim refresh.Claim, done bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.down || f.full {
		return claim, false, ErrDown
	}
	if known, ok := f.results[name]; ok && now.Before(known.ends) && known.Generation > generation {
		return refresh.Claim{Result: known.Result}, true, nil
	}
	if now.Before(f.noLeases) || now.Before(f.leases[name].ends) {
		return claim, false, nil
	}
	f.leased++
	held := fmt.Sprint("lease ", f.leased)
	f.leases[name] = fakeLease{held, now.Add(lease)}
	return refresh.Claim{Lease: held, Ends: now.Add(lease)}, true, nil
}

// Publish implements [refresh.Replicas].
func (f *Fake) Publish(_ context.Context, name session.Name, lease string, result refresh.Result, keep time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.down || f.full {
		return ErrDown
	}
	known, ok := f.results[name]
	refused := known.Generation == result.Generation && len(known.Sealed) == 0
	if !ok || !now.Before(known.ends) || known.Generation < result.Generation || refused && len(result.Sealed) > 0 {
		f.results[name] = fakeResult{result, now.Add(keep)}
	}
	f.release(name, lease)
	return nil
}

// Release implements [refresh.Replicas].
func (f *Fake) Release(_ context.Context, name session.Name, lease string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down || f.full {
		return ErrDown
	}
	f.release(name, lease)
	return nil
}

func (f *Fake) release(name session.Name, lease string) {
	if f.leases[name].name == lease {
		delete(f.leases, name)
	}
}

// Epoch implements [refresh.Replicas].
func (f *Fake) Epoch() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.epoch
}

// Restored implements [refresh.Replicas].
func (f *Fake) Restored(epoch uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.restored = epoch
}

// RestoredIn returns the last epoch for which a process said Restored.
func (f *Fake) RestoredIn() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.restored
}

// Result returns the sealed result that the store has for a session, or nil.
func (f *Fake) Result(name session.Name) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.results[name].Sealed
}

// Copy stores the result of one session as that of another, as somebody who can write to the store could.
func (f *Fake) Copy(from, to session.Name) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.results[to] = f.results[from]
}

var _ refresh.Replicas = (*Fake)(nil)
