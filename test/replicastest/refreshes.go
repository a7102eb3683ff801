package replicastest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

const (
	// lease is longer than any case takes.
	lease = time.Minute
	// shortLease is for the cases that wait for its end.
	shortLease = time.Second
	// whileHeld is how long a case waits to see that a claim is not granted.
	whileHeld = 100 * time.Millisecond
)

var one, other = session.Name{1, 2, 3}, session.Name{4, 5, 6} //nolint:gochecknoglobals // constants

func refreshCases() []testCase {
	return []testCase{
		{"OneReplicaRefreshes", oneReplicaRefreshes},
		{"NewestResultIsKept", newestResultIsKept},
		{"ConcurrentResults", concurrentResults},
		{"ResultEnds", resultEnds},
		{"RefusedRefreshIsAResult", refusedRefreshIsAResult},
		{"TokensReplaceARefusal", tokensReplaceARefusal},
		{"ReleasedLeaseIsFree", releasedLeaseIsFree},
		{"OnlyTheHolderEndsItsLease", onlyTheHolderEndsItsLease},
		{"LeaseOfACrashedReplicaEnds", leaseOfACrashedReplicaEnds},
		{"SessionsAreIndependent", sessionsAreIndependent},
		{"ClaimEndsWithItsContext", claimEndsWithItsContext},
	}
}

// persist repeats a call until it succeeds: on a busy machine a store may be too slow for one try.
func persist(t *testing.T, what string, call func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := call(ctx)
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Errorf("%s: in vain for %s: %v", what, patience, err)
			return
		}
	}
}

func (r *Replica) claim(t *testing.T, name session.Name, generation uint64, lease time.Duration) (claim refresh.Claim) {
	t.Helper()
	persist(t, "claiming", func(ctx context.Context) (err error) {
		claim, err = r.Refreshes.Claim(ctx, name, generation, lease)
		return err
	})
	return claim
}

// mustLease claims and fails the test if the answer is not a lease.
func (r *Replica) mustLease(t *testing.T, name session.Name, generation uint64, lease time.Duration) string {
	t.Helper()
	asked := time.Now()
	got := r.claim(t, name, generation, lease)
	if got.Lease == "" || got.Generation != 0 || got.Sealed != nil {
		t.Fatalf("claimed beyond generation %d: %+v, want a lease", generation, got)
	}
	if got.Ends.Before(asked.Add(lease)) || got.Ends.After(time.Now().Add(lease)) {
		t.Fatalf("a lease of %s from %s on ends at %s", lease, asked, got.Ends)
	}
	return got.Lease
}

// mustWait fails the test if a claim is answered within [whileHeld].
func (r *Replica) mustWait(t *testing.T, name session.Name, generation uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), whileHeld)
	defer cancel()
	if got, err := r.Refreshes.Claim(ctx, name, generation, lease); err == nil {
		t.Fatalf("claimed %+v beside the holder of the lease", got)
	}
}

func (r *Replica) publish(t *testing.T, name session.Name, lease string, generation uint64, sealed string) {
	t.Helper()
	result := refresh.Result{Generation: generation, Sealed: []byte(sealed)}
	persist(t, "publishing", func(ctx context.Context) error {
		return r.Refreshes.Publish(ctx, name, lease, result, time.Hour)
	})
}

func (r *Replica) release(t *testing.T, name session.Name, lease string) {
	t.Helper()
	persist(t, "releasing", func(ctx context.Context) error { return r.Refreshes.Release(ctx, name, lease) })
}

// oneReplicaRefreshes: of five replicas that need the same refresh at the same time, one gets the lease and the others its result.
func oneReplicaRefreshes(t *testing.T, s Store) {
	all := s.start(t, 5)
	for generation := uint64(1); generation <= 20; generation++ {
		var leases, working atomic.Int32
		var callers sync.WaitGroup
		for _, r := range all {
			callers.Go(func() {
				got := r.claim(t, one, generation, lease)
				if got.Lease == "" {
					if got.Generation != generation+1 || string(got.Sealed) != "sealed" {
						t.Errorf("result = %d %q, want %d", got.Generation, got.Sealed, generation+1)
					}
					return
				}
				leases.Add(1)
				if working.Add(1) > 1 {
					t.Error("two replicas refresh at once")
				}
				time.Sleep(time.Millisecond)
				working.Add(-1)
				r.publish(t, one, got.Lease, generation+1, "sealed")
			})
		}
		callers.Wait()
		if leases.Load() != 1 {
			t.Fatalf("generation %d: %d leases, want 1", generation, leases.Load())
		}
	}
}

// newestResultIsKept: a result of the same or an earlier generation changes nothing, at any size of the numbers.
func newestResultIsKept(t *testing.T, s Store) {
	all := s.start(t, 2)
	for _, step := range []struct {
		generation uint64
		sealed     string
		want       uint64
		wantSealed string
	}{
		{9, "nine", 9, "nine"},
		{10, "ten", 10, "ten"}, // compared as text without padding, 10 would be before 9
		{9, "late", 10, "ten"},
		{10, "again", 10, "ten"},
		{1 << 53, "large", 1 << 53, "large"},
		{1<<53 + 1, "larger", 1<<53 + 1, "larger"}, // a 64-bit float cannot tell it from 1<<53
		{1<<64 - 1, "largest", 1<<64 - 1, "largest"},
	} {
		all[0].publish(t, one, "", step.generation, step.sealed)
		got := all[1].claim(t, one, 1, lease)
		if got.Lease != "" || got.Generation != step.want || string(got.Sealed) != step.wantSealed {
			t.Errorf("after %d: %d %q, lease %q", step.generation, got.Generation, got.Sealed, got.Lease)
		}
	}
	all[1].mustLease(t, one, 1<<64-1, lease) // a result of the same generation is of no use
}

// concurrentResults: when replicas publish at the same time, the newest generation stays.
func concurrentResults(t *testing.T, s Store) {
	all := s.start(t, 4)
	const each = 25
	var publishers sync.WaitGroup
	for i, r := range all {
		publishers.Go(func() {
			for n := range each {
				r.publish(t, one, "", uint64(2+n*len(all)+i), "sealed")
			}
		})
	}
	publishers.Wait()
	for _, r := range all {
		if got := r.claim(t, one, 1, lease); got.Generation != uint64(each*len(all)+1) {
			t.Errorf("generation %d, want %d", got.Generation, each*len(all)+1)
		}
	}
}

// resultEnds: a result is kept for the time that was asked for.
func resultEnds(t *testing.T, s Store) {
	all := s.start(t, 2)
	result := refresh.Result{Generation: 2, Sealed: []byte("sealed")}
	persist(t, "publishing", func(ctx context.Context) error {
		return all[0].Refreshes.Publish(ctx, one, "", result, shortLease)
	})
	eventually(t, "the result has ended", func() bool { return all[1].claim(t, one, 1, time.Millisecond).Lease != "" })
}

// refusedRefreshIsAResult: when the provider refused the refresh, the other replicas learn that too.
func refusedRefreshIsAResult(t *testing.T, s Store) {
	all := s.start(t, 2)
	held := all[0].mustLease(t, one, 1, lease)
	all[0].publish(t, one, held, 2, "")
	if got := all[1].claim(t, one, 1, lease); got.Lease != "" || got.Generation != 2 || len(got.Sealed) != 0 {
		t.Errorf("claimed %+v, want the refusal of generation 2", got)
	}
}

// tokensReplaceARefusal: the provider refused the second of two calls with a refresh token, and the first one's answer comes late. A
// refusal never replaces tokens.
func tokensReplaceARefusal(t *testing.T, s Store) {
	all := s.start(t, 2)
	all[0].publish(t, one, "", 2, "")
	all[1].publish(t, one, "", 2, "sealed")
	all[0].publish(t, one, "", 2, "")
	if got := all[0].claim(t, one, 1, lease); got.Generation != 2 || string(got.Sealed) != "sealed" {
		t.Errorf("claimed %+v, want the tokens of generation 2", got)
	}
}

func releasedLeaseIsFree(t *testing.T, s Store) {
	all := s.start(t, 2)
	held := all[0].mustLease(t, one, 1, lease)
	all[1].mustWait(t, one, 1)
	all[0].release(t, one, held)
	next := all[1].mustLease(t, one, 1, lease)
	all[0].release(t, one, held) // once more: that is no error, and the lease of the other stays
	all[0].mustWait(t, one, 1)
	all[1].release(t, one, next)
}

// onlyTheHolderEndsItsLease: another replica can neither release the lease nor end it by publishing.
func onlyTheHolderEndsItsLease(t *testing.T, s Store) {
	all := s.start(t, 2)
	held := all[0].mustLease(t, one, 5, lease)
	all[1].release(t, one, "another")
	all[1].mustWait(t, one, 5)
	all[1].publish(t, one, "another", 5, "older")
	all[1].mustWait(t, one, 5)
	all[0].publish(t, one, held, 6, "sealed")
	all[1].mustLease(t, one, 6, lease)
}

func leaseOfACrashedReplicaEnds(t *testing.T, s Store) {
	next := s.Start(t)
	attempt := byte(0)
	testkit.Fast(t, shortLease+2*time.Second, "the lease after that of a crashed replica", func() time.Duration {
		attempt++
		name := session.Name{7, attempt}
		crashed := s.Start(t)
		begun := time.Now()
		crashed.mustLease(t, name, 1, shortLease)
		granted := time.Now()
		crashed.Crash()
		next.mustLease(t, name, 1, lease)
		if took := time.Since(begun); took < shortLease-50*time.Millisecond {
			t.Errorf("the next lease was given %s after a lease of %s was asked for", took, shortLease)
		}
		return time.Since(granted)
	})
}

func sessionsAreIndependent(t *testing.T, s Store) {
	all := s.start(t, 2)
	held := all[0].mustLease(t, one, 1, lease)
	all[1].mustLease(t, other, 1, lease)
	all[0].publish(t, one, held, 2, "sealed")
	all[0].mustWait(t, other, 1)
}

func claimEndsWithItsContext(t *testing.T, s Store) {
	all := s.start(t, 2)
	all[0].mustLease(t, one, 1, lease)
	testkit.Fast(t, whileHeld+time.Second, "a claim with a context that ends", func() time.Duration {
		begun := time.Now()
		all[1].mustWait(t, one, 1)
		return time.Since(begun)
	})
}
