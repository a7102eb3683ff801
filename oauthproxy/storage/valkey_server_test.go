//go:build e2e

package storage_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/replicas/valkey"
	"cognito-token-handler/tokenhandler/secret"
)

// startStore returns a replica's connection to the server that all replicas share.
func startStore(t *testing.T, server *redislocal.Server) *valkey.Store {
	t.Helper()
	store, err := valkey.New(valkey.Config{
		URL: secret.New(server.URL()), Local: memory.New(time.Now), Now: time.Now, Log: testkit.Logger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { store.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	testkit.Eventually(t, "the store is ready", func() bool { return store.Ready() == nil })
	return store
}

// Two replicas with one Valkey do not give out the same room, at the same time or one
// after the other.
func TestReplicasShareTheQuotaThroughValkey(t *testing.T) {
	server, err := redislocal.Start(t.Context(), redislocal.Options{Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	s3, quota := &folderS3{objects: map[string]int64{}}, storage.Quota{Bytes: 1000 * mebi}
	first := replicasWith(t, s3, startStore(t, server), quota, 1)[0]
	second := replicasWith(t, s3, startStore(t, server), quota, 1)[0]
	var signed atomic.Int64
	var working sync.WaitGroup
	for i, h := range []*storage.Handler{first, second, first, second} {
		working.Go(func() { signed.Add(int64(presigns(t, h, fmt.Sprint("k", i, "-"), 10, 50*mebi))) })
	}
	working.Wait()
	if signed.Load() != 20 || presigns(t, first, "late", 1, 50*mebi)+presigns(t, second, "late", 1, 50*mebi) != 0 {
		t.Errorf("%d signed, want 20", signed.Load())
	}
	if u := usageOf(t, second); u.Bytes != 1000*mebi || u.Objects != 20 {
		t.Errorf("%+v", u)
	}
}
