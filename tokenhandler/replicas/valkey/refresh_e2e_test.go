//go:build e2e

package valkey_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

var id = session.Name{1, 2, 3}

const lease = 10 * time.Second

// claim claims until the store answers: on a busy machine it may not, in time.
func claim(t *testing.T, r *replica, generation uint64, lease time.Duration) refresh.Claim {
	t.Helper()
	var claim refresh.Claim
	persist(t, func(ctx context.Context) (err error) {
		claim, err = r.Claim(ctx, id, generation, lease)
		return err
	})
	return claim
}

func publish(t *testing.T, r *replica, lease string, generation uint64, sealed string) {
	t.Helper()
	result := refresh.Result{Generation: generation, Sealed: []byte(sealed)}
	persist(t, func(ctx context.Context) error { return r.Publish(ctx, id, lease, result, time.Minute) })
}

func persist(t *testing.T, call func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
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
			t.Errorf("in vain for %s: %v", long, err)
			return
		}
	}
}

func TestOneOfFiveRefreshes(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	stores := settled(t, server.URL(), 5)
	for round := range uint64(20) {
		var leases, working atomic.Int32
		var all sync.WaitGroup
		for _, r := range stores {
			all.Go(func() {
				got := claim(t, r, round+1, lease)
				if got.Lease == "" {
					if got.Generation != round+2 || string(got.Sealed) != "sealed" {
						t.Errorf("result = %d %q", got.Generation, got.Sealed)
					}
					return
				}
				leases.Add(1)
				if working.Add(1) > 1 {
					t.Error("two replicas refresh at once")
				}
				working.Add(-1)
				publish(t, r, got.Lease, round+2, "sealed")
			})
		}
		all.Wait()
		if leases.Load() != 1 {
			t.Fatalf("round %d: %d leases", round, leases.Load())
		}
	}
}

func TestLeaseOfTheDeadEnds(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	stores := settled(t, server.URL(), 2)
	const short = 700 * time.Millisecond
	if claim(t, stores[0], 1, short).Lease == "" {
		t.Fatal("no lease")
	}
	stores[0].stop()
	begun := time.Now()
	if claim(t, stores[1], 1, lease).Lease == "" {
		t.Fatal("no lease after the holder's")
	}
	if waited := time.Since(begun); waited < short-100*time.Millisecond || waited > short+time.Second {
		t.Errorf("the second waited %s for a lease of %s", waited, short)
	}
}

func TestReleasedLeaseIsFree(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	stores := settled(t, server.URL(), 2)
	first := claim(t, stores[0], 1, lease)
	// Another's name releases nothing.
	release := func(r *replica, lease string) {
		persist(t, func(ctx context.Context) error { return r.Release(ctx, id, lease) })
	}
	release(stores[1], "another")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, err := stores[1].Claim(ctx, id, 1, lease); err == nil {
		t.Fatalf("claimed %+v beside the holder", got)
	}
	release(stores[0], first.Lease)
	if claim(t, stores[1], 1, lease).Lease == "" {
		t.Error("no lease after the release")
	}
}

func TestNewerGenerationIsKept(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	r := settled(t, server.URL(), 1)[0]
	for _, step := range []struct {
		generation uint64
		sealed     string
		want       uint64
		wantSealed string
	}{
		{9, "nine", 9, "nine"},
		{10, "ten", 10, "ten"}, // as text without padding, 10 is before 9
		{9, "late", 10, "ten"},
		{10, "again", 10, "ten"},
		{1 << 53, "large", 1 << 53, "large"},
		{1<<53 + 1, "larger", 1<<53 + 1, "larger"}, // a script's numbers are the same
		{1<<64 - 1, "", 1<<64 - 1, ""},             // rejected
	} {
		publish(t, r, "", step.generation, step.sealed)
		got := claim(t, r, 1, lease)
		if got.Lease != "" || got.Generation != step.want || string(got.Sealed) != step.wantSealed {
			t.Errorf("after %d: %d %q %q", step.generation, got.Generation, got.Sealed, got.Lease)
		}
	}
	if got := claim(t, r, 1<<64-1, lease); got.Lease == "" {
		t.Errorf("a result of the same generation is no news: %+v", got)
	}
}

func TestPublishGivesUpOnlyItsOwnLease(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	stores := settled(t, server.URL(), 2)
	held := claim(t, stores[0], 5, lease)
	publish(t, stores[1], "another", 5, "older")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, err := stores[1].Claim(ctx, id, 5, lease); err == nil {
		t.Fatalf("claimed %+v beside the holder", got)
	}
	publish(t, stores[0], held.Lease, 6, "sealed")
	if got := claim(t, stores[1], 6, lease); got.Lease == "" {
		t.Error("the lease outlives the result")
	}
}

// TestLeaseOutlivesTheLossOfTheStore: the holder is still at work when the store
// comes back empty, so nobody else may begin.
func TestLeaseOutlivesTheLossOfTheStore(t *testing.T) {
	t.Parallel()
	for _, forget := range []bool{false, true} {
		server := serve(t, redislocal.Options{})
		stores := settled(t, server.URL(), 2)
		held := claim(t, stores[0], 1, lease)
		epoch := stores[1].Epoch()
		server.Stop()
		if forget {
			if err := server.Forget(); err != nil {
				t.Fatal(err)
			}
		}
		if err := server.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a new epoch", func() bool { return stores[1].Epoch() != epoch })
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // longer than the store settles
		defer cancel()
		got, err := stores[1].Claim(ctx, id, 1, lease)
		for err != nil && ctx.Err() == nil { // the link may not be there yet
			got, err = stores[1].Claim(ctx, id, 1, lease)
		}
		if err == nil {
			t.Fatalf("forget %t: claimed %+v beside the holder", forget, got)
		}
		publish(t, stores[0], held.Lease, 2, "sealed")
		if got := claim(t, stores[1], 1, lease); string(got.Sealed) != "sealed" {
			t.Errorf("forget %t: %+v", forget, got)
		}
	}
}

// TestNewStoreSettles: results are published again before anybody gets a lease.
func TestNewStoreSettles(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	stores := settled(t, server.URL(), 2)
	publish(t, stores[0], "", 2, "sealed")
	epoch := stores[0].Epoch()
	command(t, direct(t, server), "FLUSHALL")
	var claimed sync.WaitGroup
	claimed.Go(func() {
		if got := claim(t, stores[1], 1, lease); string(got.Sealed) != "sealed" {
			t.Errorf("claimed %+v in a store that forgot", got)
		}
	})
	took := eventually(t, "a new epoch", func() bool { return stores[0].Epoch() != epoch })
	if took > time.Second {
		t.Errorf("the loss was noticed after %s", took)
	}
	<-time.After(time.Second) // the other comes back late, and publishes half a second after that
	publish(t, stores[0], "", 2, "sealed")
	claimed.Wait()
}
