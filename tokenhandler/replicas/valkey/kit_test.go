//go:build e2e

package valkey_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/valkey-io/valkey-go"

	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/replicas/valkey"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// long is how long a test waits for an event.
const long = testkit.Deadline

func serve(t *testing.T, options redislocal.Options) *redislocal.Server {
	t.Helper()
	options.Log = t.Output()
	server, err := redislocal.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// replica is one process's store.
type replica struct {
	*valkey.Store

	local *memory.List
	stop  func()
	// slow tells that it does not restore its results after a loss of the store.
	slow atomic.Bool
}

// start runs a store until the test ends or stop is called, which waits for it.
func start(t *testing.T, url string) *replica {
	t.Helper()
	local := memory.New(time.Now)
	store, err := valkey.New(valkey.Config{
		URL: secret.New(url), Local: local, Now: time.Now, Sealer: sealer(t, 'k'),
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{Store: store, local: local}
	ctx, cancel := context.WithCancel(t.Context())
	var restoring sync.WaitGroup
	restoring.Go(func() { r.restore(ctx) })
	stop := run(t, store)
	r.stop = func() { cancel(); restoring.Wait(); stop() }
	return r
}

// restore tells the store that the replica has restored its results, unless it is slow.
func (r *replica) restore(ctx context.Context) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if !r.slow.Load() {
				r.Restored(r.Epoch())
			}
		}
	}
}

// run runs a store until the test ends or the returned function is called, which waits for it.
func run(t *testing.T, store *valkey.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { store.Run(ctx) })
	stop = func() { cancel(); work.Wait() }
	t.Cleanup(stop)
	return stop
}

// ready starts several and waits until they can be used.
func ready(t *testing.T, url string, count int) []*replica {
	t.Helper()
	stores := make([]*replica, count)
	for i := range stores {
		stores[i] = start(t, url)
	}
	for _, r := range stores {
		eventually(t, "the store is ready", func() bool { return r.Ready() == nil })
	}
	return stores
}

// settled is ready, and waits until the store gives leases: it claims that of a session which no test uses.
func settled(t *testing.T, url string, count int) []*replica {
	t.Helper()
	stores := ready(t, url, count)
	persist(t, func(ctx context.Context) error {
		_, err := stores[0].Claim(ctx, session.Name{0xff}, 1, time.Millisecond)
		return err
	})
	return stores
}

// eventually waits until done reports true. It polls, because what it waits for happens in another process.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	begun := time.Now()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !done() {
		if time.Since(begun) > long {
			t.Fatalf("waited %s in vain: %s", long, what)
		}
		<-ticker.C
	}
}

// direct is a client of the server that no store uses.
func direct(t *testing.T, server *redislocal.Server) driver.Client {
	t.Helper()
	options, err := driver.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	options.ForceSingleClient, options.DisableCache = true, true
	client, err := driver.NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// command makes the server do something, e.g. "FLUSHALL".
func command(t *testing.T, client driver.Client, words ...string) {
	t.Helper()
	if err := client.Do(t.Context(), client.B().Arbitrary(words...).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

// permissions are what a user of the server must be allowed to do, in the words of ACL SETUSER. config/deploy/README.md quotes them.
func permissions() []string {
	return strings.Fields("~{tokenhandler}:* -@all +eval +xread +time +info +exists +hmget +hget +hgetall +hset +hdel +get +set +del +pexpire +xadd +xrange +xdel")
}
