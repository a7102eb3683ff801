//go:build e2e

package valkey_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

var id = session.Name{1, 2, 3}

const lease = 10 * time.Second

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
	command(t, direct(t, server), "FLUSHALL")
	var claimed sync.WaitGroup
	claimed.Go(func() {
		if got := claim(t, stores[1], 1); string(got.Sealed) != "sealed" {
			t.Errorf("claimed %+v in a store that forgot", got)
		}
	})
	eventually(t, "a new epoch", func() bool { return stores[0].Epoch() != epoch })
	<-time.After(time.Second) // the other comes back late, and publishes half a second after that
	publish(t, stores[0], "", 2)
	claimed.Wait()
}
