//go:build e2e

package valkey_test

import (
	"cmp"
	"context"
	"sync"
	"testing"
	"time"

	driver "github.com/valkey-io/valkey-go"

	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

var id = session.Name{1, 2, 3}

// lease is longer than any test takes. The store waits for as long for a replica that has not
// restored its results.
const lease = time.Minute

// claim repeats a claim until the store answers. On a busy machine it may be too slow for one try.
func claim(t *testing.T, r *replica, generation uint64) refresh.Claim {
	t.Helper()
	var claim refresh.Claim
	persist(t, func(ctx context.Context) (err error) {
		claim, err = r.Claim(ctx, id, generation, lease)
		return err
	})
	return claim
}

func publish(t *testing.T, r *replica, lease string, generation uint64) {
	t.Helper()
	result := refresh.Result{Generation: generation, Sealed: []byte("sealed")}
	persist(t, func(ctx context.Context) error { return r.Publish(ctx, id, lease, result, time.Minute) })
}

// failToPublish is a call that does not reach the store.
func failToPublish(t *testing.T, r *replica, lease string, generation uint64) {
	t.Helper()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Publish(canceled, id, lease, refresh.Result{Generation: generation, Sealed: []byte("sealed")}, time.Minute); err == nil {
		t.Fatal("published by a call that was canceled")
	}
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

// TestLeaseOutlivesTheLossOfTheStore: the holder is still at work when the store
// comes back empty, so nobody else may begin.
func TestLeaseOutlivesTheLossOfTheStore(t *testing.T) {
	t.Parallel()
	for _, forget := range []bool{false, true} {
		server := serve(t, redislocal.Options{})
		stores := settled(t, server.URL(), 2)
		held := claim(t, stores[0], 1)
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
		publish(t, stores[0], held.Lease, 2)
		if got := claim(t, stores[1], 1); string(got.Sealed) != "sealed" {
			t.Errorf("forget %t: %+v", forget, got)
		}
	}
}

// TestNewStoreSettles: results are published again before anybody gets a lease.
func TestNewStoreSettles(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	stores := settled(t, server.URL(), 2)
	publish(t, stores[0], "", 2)
	epoch := stores[0].Epoch()
	stores[0].slow.Store(true)
	command(t, direct(t, server), "FLUSHALL")
	var claimed sync.WaitGroup
	claimed.Go(func() {
		if got := claim(t, stores[1], 1); string(got.Sealed) != "sealed" {
			t.Errorf("claimed %+v in a store that forgot", got)
		}
	})
	eventually(t, "a new epoch", func() bool { return stores[0].Epoch() != epoch })
	<-time.After(time.Second) // the other comes back late
	publish(t, stores[0], "", 2)
	stores[0].slow.Store(false)
	claimed.Wait()
}

// busy checks that nobody gets the lease within the given time, which is longer than the store settles.
func busy(t *testing.T, r *replica, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for ctx.Err() == nil {
		if got, err := r.Claim(ctx, id, 1, lease); err == nil { // else the connection may not be there yet
			t.Fatalf("claimed %+v", got)
		}
	}
}

// TestLossBeforeAResultIsTaken: the store failed when the holder of a lease published its result, and comes back empty. Nobody may
// begin before it has the result. Then the lease is free.
func TestLossBeforeAResultIsTaken(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	stores := settled(t, server.URL(), 2)
	held := claim(t, stores[0], 1)
	server.Stop()
	if err := stores[0].Publish(t.Context(), id, held.Lease, refresh.Result{Generation: 2, Sealed: []byte("sealed")}, time.Minute); err == nil {
		t.Fatal("published in an outage")
	}
	if err := server.Forget(); err != nil {
		t.Fatal(err)
	}
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store is back", func() bool { return stores[0].Ready() == nil && stores[1].Ready() == nil })
	busy(t, stores[1], 4*time.Second)
	publish(t, stores[0], "", 2)
	if got := claim(t, stores[1], 1); string(got.Sealed) != "sealed" {
		t.Errorf("claimed %+v", got)
	}
	begun := time.Now()
	if got := claim(t, stores[1], 2); got.Lease == "" || time.Since(begun) > lease/2 {
		t.Errorf("claimed %+v after %s", got, time.Since(begun))
	}
}

// TestOlderResultKeepsTheLease: while the holder of a lease could not publish what it made, it publishes an older generation, which a
// browser has shown to it. That must not free the lease: the store would give it to a replica whose refresh token is used up.
func TestOlderResultKeepsTheLease(t *testing.T) {
	t.Parallel()
	stores := settled(t, serve(t, redislocal.Options{}).URL(), 2)
	held := claim(t, stores[0], 1)
	failToPublish(t, stores[0], held.Lease, 2)
	publish(t, stores[0], "", 1)
	busy(t, stores[1], time.Second)
	publish(t, stores[0], "", 2)
	if got := claim(t, stores[1], 1); got.Generation != 2 || string(got.Sealed) != "sealed" {
		t.Errorf("claimed %+v", got)
	}
	if got := claim(t, stores[1], 2); got.Lease == "" {
		t.Errorf("claimed %+v, want the lease", got)
	}
}

// TestStoreOutForLongerThanALease: the holder of a lease could not publish what it made before the lease ran out, since no replica
// reached the store. When it is back, nobody may begin before the holder has published.
func TestStoreOutForLongerThanALease(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	stores := settled(t, server.URL(), 2)
	var held refresh.Claim
	persist(t, func(ctx context.Context) (err error) {
		held, err = stores[0].Claim(ctx, id, 1, time.Second)
		return err
	})
	if held.Lease == "" {
		t.Fatalf("claimed %+v", held)
	}
	epoch := stores[0].Epoch()
	failToPublish(t, stores[0], held.Lease, 2) // a server that hangs would take it when it is back
	stores[0].slow.Store(true)
	server.Hang()
	pass(t, 13*time.Second)
	server.Wake()
	eventually(t, "the store is back", func() bool { return stores[0].Ready() == nil && stores[1].Ready() == nil })
	if stores[0].Epoch() == epoch {
		t.Fatal("nobody is asked to publish again")
	}
	busy(t, stores[1], 3*time.Second)
	publish(t, stores[0], "", 2)
	stores[0].slow.Store(false)
	if got := claim(t, stores[1], 1); got.Generation != 2 || string(got.Sealed) != "sealed" {
		t.Errorf("claimed %+v", got)
	}
}

// TestRestartOfAllReplicasIsNoOutage: replicas that leave are not expected to report, however long it takes until others are there.
func TestRestartOfAllReplicasIsNoOutage(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	client := direct(t, server)
	for i, r := range settled(t, server.URL(), 2) {
		leave(t, client, r, 1-i)
	}
	pass(t, 13*time.Second)
	wantSameIncarnation(t, server)
}

// TestCrashOfAllReplicasIsNoOutage: a service manager starts one that has crashed again after some seconds.
func TestCrashOfAllReplicasIsNoOutage(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	for _, r := range settled(t, server.URL(), 2) {
		r.stop()
	}
	pass(t, 6*time.Second)
	wantSameIncarnation(t, server)
}

// wantSameIncarnation checks that a replica which starts now finds a store that gives leases at once: it began long ago.
func wantSameIncarnation(t *testing.T, server *redislocal.Server) {
	t.Helper()
	client := direct(t, server)
	since := func() string {
		since, err := client.Do(t.Context(), client.B().Hget().Key("{tokenhandler}:store").Field("since").Build()).ToString()
		if err != nil {
			t.Fatal(err)
		}
		return since
	}
	before := since()
	r := ready(t, server.URL(), 1)[0]
	if got := claim(t, r, 1); got.Lease == "" || since() != before {
		t.Errorf("claimed %+v; the store began at %s, and before at %s", got, since(), before)
	}
}

// reported waits until so many replicas have reported twice: then each has been told of the
// others, as they were before.
func reported(t *testing.T, client driver.Client, count int) {
	t.Helper()
	for range 2 {
		before := reports(t, client)
		eventually(t, "every replica has reported", func() bool {
			again := 0
			for name, report := range reports(t, client) {
				if report != before[name] {
					again++
				}
			}
			return again >= count
		})
	}
}

// reports returns the last report of each replica.
func reports(t *testing.T, client driver.Client) map[string]string {
	t.Helper()
	reports, err := client.Do(t.Context(), client.B().Hgetall().Key("{tokenhandler}:replicas").Build()).AsStrMap()
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

// leave ends a replica that leaves, of which rest remain. On a busy machine the store may learn
// that later than the call ends.
func leave(t *testing.T, client driver.Client, r *replica, rest int) {
	t.Helper()
	r.Leave(t.Context())
	eventually(t, "it has left", func() bool { return len(reports(t, client)) == rest })
	r.stop()
}

// pass lets time pass for a server, whose clock a test cannot set.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// TestNewStoreWaitsForEveryReplica: a replica that restores its results slowly, or whose machine stands still, holds up all leases,
// until it is done, or for as long as a lease lasts. One that has left does not.
func TestNewStoreWaitsForEveryReplica(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*testing.T, *redislocal.Server, driver.Client){
		"emptied": func(t *testing.T, _ *redislocal.Server, client driver.Client) {
			t.Helper()
			command(t, client, "FLUSHALL")
		},
		"restarted": func(t *testing.T, server *redislocal.Server, _ driver.Client) {
			t.Helper()
			server.Stop()
			if err := server.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, redislocal.Options{})
			network := reach(t, server)
			near := settled(t, server.URL(), 1)[0]
			far := ready(t, redislocal.URL(network.Addr(), ""), 1)[0]
			client := direct(t, server)
			reported(t, client, 2)
			far.slow.Store(true)
			network.SetDead(true) // as if it stood still
			forget(t, server, client)
			busy(t, near, 4*time.Second)
			network.SetDead(false)
			eventually(t, "the slow replica is back", func() bool { return far.Ready() == nil })
			busy(t, near, 2*time.Second)
			far.slow.Store(false)
			begun := time.Now()
			got := claim(t, near, 1)
			if got.Lease == "" || time.Since(begun) > lease/2 {
				t.Errorf("claimed %+v after %s", got, time.Since(begun))
			}
		})
	}
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		server := serve(t, redislocal.Options{})
		near := settled(t, server.URL(), 1)[0]
		crashed, left := ready(t, server.URL(), 1)[0], ready(t, server.URL(), 1)[0]
		client := direct(t, server)
		reported(t, client, 3)
		leave(t, client, left, 2)
		for i, wait := range []time.Duration{0, 5 * time.Second} {
			reported(t, client, 2) // the others know who has left
			if wait != 0 {
				crashed.stop()
			}
			begun := time.Now()
			command(t, client, "FLUSHALL")
			persist(t, func(ctx context.Context) error {
				claim, err := near.Claim(ctx, session.Name{8, byte(i)}, 1, cmp.Or(wait, lease))
				if err == nil && claim.Lease == "" {
					t.Errorf("claimed %+v", claim)
				}
				return err
			})
			if took := time.Since(begun); took < max(wait-100*time.Millisecond, time.Second) || took > wait+lease/2 {
				t.Errorf("it took %s, with %s for those that do not come back", took, wait)
			}
		}
	})
}
