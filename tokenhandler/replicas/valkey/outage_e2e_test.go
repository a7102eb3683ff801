//go:build e2e

package valkey_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/valkey-io/valkey-go"

	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// bound is how long a call may take on a busy machine. On an idle one it takes 250 ms at most.
const bound = 400 * time.Millisecond

// isOut waits until the replica has noticed the outage, and checks that calls then fail without waiting.
func isOut(t *testing.T, r *replica, why string) {
	t.Helper()
	eventually(t, "the outage is noticed", func() bool { return !r.DenyListCurrent() })
	eventually(t, "it says "+why, func() bool {
		err := r.Ready()
		return err != nil && strings.Contains(err.Error(), why)
	})
	const calls = 20
	testkit.Fast(t, calls*10*time.Millisecond, "40 calls in an outage", func() time.Duration {
		begun := time.Now()
		for range calls {
			if got, err := r.Claim(t.Context(), id, 1, lease); err == nil {
				t.Fatalf("claimed %+v in an outage", got)
			}
			if err := r.Publish(t.Context(), id, "", refresh.Result{Generation: 2}, time.Minute); err == nil {
				t.Fatal("published in an outage")
			}
		}
		return time.Since(begun)
	})
}

// isBack waits until all replicas are ready, and checks that all operations work again and that every replica denies the user who
// was revoked during the outage.
func isBack(t *testing.T, stores []*replica) {
	t.Helper()
	for _, r := range stores {
		eventually(t, "the store is back", func() bool { return r.Ready() == nil })
	}
	for _, r := range stores {
		eventually(t, "what was revoked meanwhile is delivered", func() bool { return r.denies("user") })
	}
	got := claim(t, stores[0], 1)
	if got.Lease == "" {
		t.Fatalf("claimed %+v", got)
	}
	publish(t, stores[0], got.Lease, 2)
	if got := claim(t, stores[1], 1); string(got.Sealed) != "sealed" {
		t.Errorf("claimed %+v", got)
	}
}

func TestStoreStopsAndComesBack(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	stores := settled(t, server.URL(), 2)
	server.Stop()
	isOut(t, stores[0], "the connection failed")
	revoke(t, stores[0], subject("user"))
	if !stores[0].denies("user") {
		t.Error("a revocation must count at once where it was made")
	}
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	isBack(t, stores)
}

func TestStoreComesLate(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	server.Stop()
	stores := []*replica{start(t, server.URL()), start(t, server.URL())}
	isOut(t, stores[0], "the connection failed")
	revoke(t, stores[0], subject("user"))
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	isBack(t, stores)
}

// TestStoreHangs: connections stay open and nothing is answered. Calls made at the same time must not wait one after the other.
func TestStoreHangs(t *testing.T) {
	server := serve(t, redislocal.Options{})
	stores := settled(t, server.URL(), 2)
	server.Hang()
	var all sync.WaitGroup
	var longest atomic.Int64
	for range 1100 { // more than the client's queue holds
		all.Go(func() {
			begun := time.Now()
			if got, err := stores[0].Claim(t.Context(), id, 1, lease); err == nil {
				t.Errorf("claimed %+v", got)
			}
			for took := int64(time.Since(begun)); ; {
				if was := longest.Load(); took <= was || longest.CompareAndSwap(was, took) {
					return
				}
			}
		})
	}
	all.Wait()
	if took := time.Duration(longest.Load()); took > 20*time.Second { // 250 ms by itself, and minutes if they waited for each other
		t.Errorf("the longest call took %s", took)
	}
	eventually(t, "the idle replica notices", func() bool { return !stores[1].DenyListCurrent() })
	isOut(t, stores[0], "no answer in time")
	revoke(t, stores[0], subject("user"))
	server.Wake()
	isBack(t, stores)
}

// TestOnlyTheFirstCallWaits: after a call has waited in vain for a store that hangs, the next ones fail at once.
func TestOnlyTheFirstCallWaits(t *testing.T) {
	server := serve(t, redislocal.Options{})
	r := ready(t, server.URL(), 1)[0]
	release := func() time.Duration {
		begun := time.Now()
		if err := r.Release(t.Context(), id, "lease"); err == nil {
			t.Error("released")
		}
		return time.Since(begun)
	}
	testkit.Fast(t, bound, "the first call and twice the next four", func() time.Duration {
		server.Wake()
		eventually(t, "the store is back", func() bool { return r.Ready() == nil })
		server.Hang()
		return release() + 2*(release()+release()+release()+release())
	})
}

// TestLeaseOfAFailedClaimIsGivenBack: the store gave the lease, but its answer was lost.
func TestLeaseOfAFailedClaimIsGivenBack(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	network := reach(t, server)
	far := settled(t, redislocal.URL(network.Addr(), ""), 1)[0]
	near := ready(t, server.URL(), 1)[0]
	network.SetDeaf(true)
	if got, err := far.Claim(t.Context(), id, 1, time.Hour); err == nil {
		t.Fatalf("claimed %+v", got)
	}
	client := direct(t, server)
	eventually(t, "the lease is taken", func() bool { // on a busy machine the call arrives late
		n, err := client.Do(t.Context(), client.B().Exists().Key("{tokenhandler}:lease:0102030000000000").Build()).AsInt64()
		return err == nil && n == 1
	})
	network.SetDeaf(false)
	if claim(t, near, 1).Lease == "" {
		t.Error("no lease")
	}
}

func reach(t *testing.T, server *redislocal.Server) *redislocal.Network {
	t.Helper()
	network, err := redislocal.NewNetwork(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Close)
	return network
}

func TestStoreIsSlow(t *testing.T) {
	server := serve(t, redislocal.Options{})
	network := reach(t, server)
	stores := settled(t, redislocal.URL(network.Addr(), ""), 2)
	network.SetDelay(20 * time.Millisecond) // slow, and good enough
	const tries = 3                         // on a busy machine the store may not answer in time
	for try := 1; ; try++ {
		begun, user := time.Now(), fmt.Sprint("early ", try)
		revoke(t, stores[0], subject(user))
		took := time.Since(begun)
		eventually(t, "entries travel", func() bool { return stores[1].denies(user) })
		current := stores[0].DenyListCurrent() && stores[1].DenyListCurrent()
		if took >= 40*time.Millisecond && current {
			break
		}
		if try == tries {
			t.Fatalf("the call took %s, and the store counts as answering in time: %t", took, current)
		}
		for _, r := range stores {
			eventually(t, "the store is back", func() bool { return r.Ready() == nil })
		}
	}
	testkit.Fast(t, bound, "a call that is not answered", func() time.Duration {
		network.SetDelay(0)
		eventually(t, "the store is back", func() bool { return stores[0].Ready() == nil })
		network.SetDelay(time.Second)
		begun := time.Now()
		if got, err := stores[0].Claim(t.Context(), id, 1, lease); err == nil {
			t.Errorf("claimed %+v", got)
		}
		return time.Since(begun)
	})
	isOut(t, stores[0], "no answer in time")
	revoke(t, stores[0], subject("user"))
	network.SetDelay(0)
	isBack(t, stores)
}

func TestNetworkIsDead(t *testing.T) {
	server := serve(t, redislocal.Options{})
	network := reach(t, server)
	stores := settled(t, redislocal.URL(network.Addr(), ""), 2)
	network.SetDead(true)
	isOut(t, stores[0], "no answer in time")
	revoke(t, stores[0], subject("user"))
	network.SetDead(false)
	isBack(t, stores)
}

// TestResetConnectionsFailNoCall: when a load balancer closes the connections, calls succeed over new ones.
func TestResetConnectionsFailNoCall(t *testing.T) {
	server := serve(t, redislocal.Options{})
	network := reach(t, server)
	stores := settled(t, redislocal.URL(network.Addr(), ""), 4)
	epoch := stores[0].Epoch()
	const tries = 3 // on a busy machine the next connection may be late
	for try := 1; ; try++ {
		network.Reset()
		var all sync.WaitGroup
		var failed atomic.Int32
		for _, r := range stores {
			all.Go(func() {
				if err := r.Release(t.Context(), id, "lease"); err != nil {
					failed.Add(1)
				}
			})
		}
		all.Wait()
		for _, r := range stores {
			eventually(t, "the store is ready", func() bool { return r.Ready() == nil })
		}
		if failed.Load() == 0 {
			break
		}
		if try == tries {
			t.Fatalf("%d of %d calls failed", failed.Load(), len(stores))
		}
	}
	if stores[0].Epoch() != epoch {
		t.Error("a lost connection is no loss of the store")
	}
}

func TestStoreIsFull(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{Args: []string{"--maxmemory-policy", "noeviction"}})
	stores := settled(t, server.URL(), 2)
	client := direct(t, server)
	command(t, client, "CONFIG", "SET", "maxmemory", "1")
	isOut(t, stores[0], "the server is full")
	revoke(t, stores[0], subject("user"))
	command(t, client, "CONFIG", "SET", "maxmemory", "0")
	isBack(t, stores)
}

func TestStoreBecomesAReplica(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	stores := settled(t, server.URL(), 2)
	client := direct(t, server)
	command(t, client, "REPLICAOF", "127.0.0.1", "1") // nobody is there
	isOut(t, stores[0], "the server is a read-only replica")
	revoke(t, stores[0], subject("user"))
	command(t, client, "REPLICAOF", "NO", "ONE")
	isBack(t, stores)
}

func TestPasswordIsChanged(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{Password: "one"})
	stores := settled(t, server.URL(), 2)
	client := direct(t, server)
	command(t, client, "CONFIG", "SET", "requirepass", "two")
	command(t, client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	isOut(t, stores[0], "the server does not take the user and password")
	revoke(t, stores[0], subject("user"))
	command(t, client, "CONFIG", "SET", "requirepass", "one")
	isBack(t, stores)
}

// TestCallerMayLeave: a caller that gives up does not close the connection, which others use.
func TestCallerMayLeave(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	network := reach(t, server)
	r := settled(t, redislocal.URL(network.Addr(), ""), 1)[0]
	client := direct(t, server)
	const tries = 3 // on a busy machine the store may count as out meanwhile
	for try := 1; ; try++ {
		eventually(t, "the store is ready", func() bool { return r.Ready() == nil })
		connections := connected(t, client)
		network.SetDelay(20 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		got, err := r.Claim(ctx, id, 1, lease)
		left := ctx.Err() != nil
		if err == nil {
			t.Errorf("claimed %+v", got)
		}
		cancel()
		network.SetDelay(0)
		persist(t, func(ctx context.Context) error { return r.Release(ctx, id, "another") })
		now := connected(t, client)
		if left && now == connections {
			return
		}
		if try == tries {
			t.Fatalf("%s connections since the start, %s before; the caller left: %t, %v", now, connections, left, err)
		}
	}
}

// connected is how many connections the server has had.
func connected(t *testing.T, client driver.Client) string {
	t.Helper()
	info, err := client.Do(t.Context(), client.B().Info().Section("stats").Build()).ToString()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(info, "total_connections_received:")
	count, _, _ := strings.Cut(rest, "\r")
	if !found || count == "" {
		t.Fatalf("the server tells nothing: %s", info)
	}
	return count
}

func TestRunLeavesNothing(t *testing.T) {
	server := serve(t, redislocal.Options{})
	before := runtime.NumGoroutine()
	r := ready(t, server.URL(), 1)[0]
	r.stop()
	eventually(t, "every goroutine is gone", func() bool { return runtime.NumGoroutine() <= before })
	r = ready(t, server.URL(), 1)[0]
	server.Hang()
	begun := time.Now()
	r.stop()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("stopping took %s while the store hangs", took)
	}
	eventually(t, "every goroutine is gone", func() bool { return runtime.NumGoroutine() <= before })
}
