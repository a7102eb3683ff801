package chaos

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"cognito-token-handler/test/cognitotest"
)

// The faults, by their names in the table.
const (
	stopReplica     = "replica stopped (SIGTERM)"
	stopUnshared    = "replica stopped while the store is out"
	killReplica     = "replica killed (SIGKILL)"
	stallReplica    = "replica stands still (SIGSTOP)"
	hangStore       = "store hangs (SIGSTOP)"
	restartStore    = "store restarted with its data"
	wipeStore       = "store restarted without its data"
	slowProvider    = "provider slow"
	brokenProvider  = "provider answers 503"
	limitedProvider = "provider answers 429"
	cutRequests     = "requests cut off"
	lostAnswers     = "answers with a new cookie lost"
)

// allFaults lists the faults in the order of the table.
func allFaults() []string {
	return []string{
		stopReplica, stopUnshared, killReplica, stallReplica, hangStore, restartStore, wipeStore,
		slowProvider, brokenProvider, limitedProvider, cutRequests, lostAnswers,
	}
}

const (
	// apart is how long the store keeps its data after the end of a replica: until each
	// browser has come back for the results of that replica.
	apart = 4 * time.Second
	// republish is how long the replicas take to notice that the store lost its data and
	// to write theirs again: they check twice a second.
	republish = time.Second
	// wellTime is how long the store's recovery may take.
	wellTime = 20 * time.Second
	// storeTimeout is longer than any call to the store: after it, a result was either
	// published or counted as failed.
	storeTimeout = 500 * time.Millisecond
	// heldTime is how long a fault waits for refreshes to interrupt.
	heldTime = 4 * time.Second
	// tries is how often a fault looks for a replica with such refreshes.
	tries = 4
	// leastStall and mostStall bound how long a replica stands still: longer than a store
	// that lost its data waits in any case, and less than a lease lasts without the time
	// that a call needs.
	leastStall = 2 * time.Second
	mostStall  = 6 * time.Second
	// cutAtOnce is how many connections one fault cuts.
	cutAtOnce = 3
)

// script injects the faults. Faults of one kind follow each other, different kinds
// overlap.
type script struct {
	world *world
	// fragile is held by the fault that ends a replica, until browsers have its results,
	// and by the fault that deletes the store's data.
	fragile sync.Mutex
	// running is held by a fault that ends a process, or makes it stand still. It is locked
	// after fragile.
	running sync.Mutex
	// steady is held by a fault that disturbs the store, until the store works again, and
	// by a fault that needs a working store. It is locked last.
	steady sync.Mutex

	mu     sync.Mutex
	counts map[string]int
	events []string
	outs   []window            // when the store was unreachable or not trusted yet
	leases map[string][]window // user → when the lease of a killed replica was in force
}

type window struct{ from, to time.Time }

func (w window) has(at time.Time) bool { return !at.Before(w.from) && at.Before(w.to) }

// play starts the faults of all kinds. Each ends soon after ctx and repairs what it
// broke.
func (s *script) play(ctx context.Context, work *sync.WaitGroup) {
	s.counts, s.leases = make(map[string]int), make(map[string][]window)
	work.Go(func() {
		repeat(ctx, time.Second, 2*time.Second, s.stop, s.stop, s.kill, s.stopUnshared)
	})
	work.Go(func() { repeat(ctx, 2*time.Second, 4*time.Second, s.hang, s.restart, s.wipe) })
	work.Go(func() { repeat(ctx, 3*time.Second, 6*time.Second, s.stall) })
	work.Go(func() {
		repeat(ctx, 2*time.Second, 4*time.Second,
			s.provider(slowProvider, cognitotest.Delay(700*time.Millisecond)),
			s.provider(brokenProvider, cognitotest.Text("json-503", http.StatusServiceUnavailable, "application/json", `{"message":"Service Unavailable"}`)),
			s.provider(limitedProvider, cognitotest.RateExceeded()))
	})
	work.Go(func() { repeat(ctx, 500*time.Millisecond, 1500*time.Millisecond, s.cut, s.loseAnswers) })
}

// repeat injects the given faults in turn, in each round in another order.
func repeat(ctx context.Context, least, most time.Duration, faults ...func(context.Context)) {
	for {
		for _, fault := range shuffled(faults) {
			if !pause(ctx, between(least, most)) {
				return
			}
			fault(ctx)
		}
	}
}

// record adds an event to the report. A count that is not empty names the fault of
// which it was one.
func (s *script) record(count, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, fmt.Sprintf("%8s  ", s.world.since(time.Now()))+fmt.Sprintf(format, args...))
	if count != "" {
		s.counts[count]++
	}
}

func (s *script) any() *replica { return s.world.replicas[roll(replicas)] }

// hang makes the store hang for a while.
func (s *script) hang(ctx context.Context) {
	s.steady.Lock()
	defer s.steady.Unlock()
	if ctx.Err() != nil {
		return
	}
	begun := time.Now()
	s.record(hangStore, "the store hangs")
	s.world.store.Hang()
	pause(ctx, between(time.Second, 4*time.Second))
	s.world.store.Wake()
	s.recover(context.WithoutCancel(ctx), begun)
}

// restart restarts the store with its data.
func (s *script) restart(ctx context.Context) {
	s.steady.Lock()
	defer s.steady.Unlock()
	if ctx.Err() != nil {
		return
	}
	s.again(ctx, restartStore, func() error { return nil })
}

// wipe restarts the store without its data.
func (s *script) wipe(ctx context.Context) {
	s.fragile.Lock()
	defer s.fragile.Unlock()
	s.steady.Lock()
	defer s.steady.Unlock()
	if ctx.Err() != nil {
		return // the pause after a replica's end was cut short
	}
	s.again(ctx, wipeStore, s.world.store.Forget)
}

func (s *script) again(ctx context.Context, name string, meanwhile func() error) {
	begun := time.Now()
	s.record(name, "the store is stopped")
	s.world.store.Stop()
	err := meanwhile()
	pause(ctx, between(200*time.Millisecond, 1500*time.Millisecond))
	if err == nil {
		err = s.world.resume(context.WithoutCancel(ctx))
	}
	if err != nil {
		s.world.fault("%v", err)
	}
	s.record("", "%s", name)
	s.recover(context.WithoutCancel(ctx), begun)
}

// recover waits until every replica reaches the store again.
func (s *script) recover(ctx context.Context, begun time.Time) {
	if !until(ctx, wellTime, func() bool { return s.well(ctx) }) {
		s.world.fault("the replicas are not well with the store %s after it came back", wellTime)
	}
	pause(ctx, republish)
	s.record("", "the store is well")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outs = append(s.outs, window{begun, time.Now()})
}

// awaitWell waits for that, at most wellTime.
func (s *script) awaitWell(ctx context.Context) bool {
	return until(ctx, heldTime, func() bool { return s.well(ctx) })
}

// well reports whether every running replica reaches the store.
func (s *script) well(ctx context.Context) bool {
	for _, r := range s.world.replicas {
		l := r.current()
		select {
		case <-l.child.Done():
			continue
		default:
		}
		if !l.storeOK(ctx) {
			return false
		}
	}
	return true
}

// provider makes every refresh fail in the given way for a second.
func (s *script) provider(name string, outage cognitotest.Outage) func(context.Context) {
	return func(ctx context.Context) {
		s.record(name, "%s", name)
		s.world.pool.Break(cognitotest.TokenRefresh, outage, 0)
		pause(ctx, time.Second)
		s.world.pool.Mend(cognitotest.TokenRefresh)
	}
}

// cut cuts connections of requests in progress.
func (s *script) cut(ctx context.Context) {
	until(ctx, heldTime, func() bool {
		n := s.world.balancer.cut(cutAtOnce)
		if n > 0 {
			s.record(cutRequests, "%d requests are cut off", n)
		}
		return n > 0
	})
}

// loseAnswers drops the next answers that renew a session.
func (s *script) loseAnswers(ctx context.Context) {
	b := s.world.balancer
	b.lose.Store(cutAtOnce)
	until(ctx, heldTime, func() bool { return b.lose.Load() <= 0 })
	if lost := cutAtOnce - max(b.lose.Swap(0), 0); lost > 0 {
		s.record(lostAnswers, "%d answers are lost", lost)
	}
}

// steadyAt reports whether a refresh call arrived while the store worked and no lease
// of a killed replica was in force for its session.
func (s *script) steadyAt(c call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, out := range append(s.outs, s.leases[c.user]...) {
		if out.has(c.at) {
			return false
		}
	}
	return true
}
