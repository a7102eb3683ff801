package storage_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/replicas/memory"
)

// sharedMaps are those of a store that can be out.
type sharedMaps struct {
	storage.Maps

	out atomic.Bool
}

var errOut = errors.New("the store is out")

func (s *sharedMaps) ReadMap(ctx context.Context, name string) (entries map[string]string, version string, err error) {
	if s.out.Load() {
		return nil, "", errOut
	}
	return s.Maps.ReadMap(ctx, name)
}

func (s *sharedMaps) ChangeMap(ctx context.Context, name, version string, set map[string]string, remove []string, keep time.Duration) (changed bool, err error) {
	if s.out.Load() {
		return false, errOut
	}
	return s.Maps.ChangeMap(ctx, name, version, set, remove, keep)
}

// replicasWith returns handlers of so many replicas that use the same S3 and store.
func replicasWith(t *testing.T, s3 http.Handler, shared storage.Maps, quota storage.Quota, count int) []*storage.Handler {
	t.Helper()
	all := make([]*storage.Handler, count)
	for i := range all {
		var log testkit.Log
		cfg := goodConfig(t)
		cfg.HTTPClient, cfg.Log, cfg.Site = inProcess{s3}, log.Logger(), newSite(&log)
		cfg.MaxSize, cfg.Quota, cfg.Now, cfg.SharedClaims = 100*mebi, quota, time.Now, shared
		all[i] = mustNew(t, cfg, authority{subject: subject})
	}
	return all
}

// Two replicas with one store do not give out the same room, one after the other or at
// the same time.
func TestReplicasShareTheQuota(t *testing.T) {
	s3 := &folderS3{objects: map[string]int64{}}
	all := replicasWith(t, s3, memory.NewMaps(time.Now, 1000), storage.Quota{Bytes: 1000 * mebi}, 2)
	signed := presigns(t, all[0], "first", 4, 50*mebi) + presigns(t, all[1], "second", 4, 50*mebi)
	if u := usageOf(t, all[0]); u.Bytes != 400*mebi || u.Objects != 8 {
		t.Errorf("%+v", u)
	}
	var together atomic.Int64
	var working sync.WaitGroup
	for i, h := range append(all, all...) {
		working.Go(func() { together.Add(int64(presigns(t, h, fmt.Sprint("together", i, "-"), 10, 50*mebi))) })
	}
	working.Wait()
	if total := signed + int(together.Load()); total != 20 {
		t.Errorf("%d signed, want 20", total)
	}
}

// What one replica deletes, copies or completes makes the others count again before they
// refuse.
func TestReplicasTellOfDeletions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &folderS3{objects: map[string]int64{"users/0f9e-sub/a": 60 * mebi}}
		all := replicasWith(t, s3, memory.NewMaps(time.Now, 1000), storage.Quota{Bytes: 100 * mebi}, 2)
		if signed := presigns(t, all[0], "b", 1, 60*mebi); signed != 0 {
			t.Fatal("signed over the quota")
		}
		if rec := send(t, all[1], http.MethodDelete, "/storage/objects/a", "", ""); rec.Code != http.StatusNoContent {
			t.Fatal(rec.Code)
		}
		if signed := presigns(t, all[0], "b", 1, 60*mebi); signed != 1 {
			t.Error("the other replica's deletion made no room")
		}
	})
}

// While the store is out, a replica knows what it has signed itself, and does not refuse
// for the store's sake. Afterwards the others know that, too.
func TestQuotaWhileTheStoreIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &folderS3{objects: map[string]int64{}}
		shared := &sharedMaps{Maps: memory.NewMaps(time.Now, 1000)}
		all := replicasWith(t, s3, shared, storage.Quota{Bytes: 1000 * mebi}, 2)
		if signed := presigns(t, all[0], "before", 4, 100*mebi); signed != 4 {
			t.Fatal(signed)
		}
		shared.out.Store(true)
		if signed := presigns(t, all[0], "meanwhile", 3, 100*mebi); signed != 3 {
			t.Errorf("%d signed", signed)
		}
		if u := usageOf(t, all[0]); u.Bytes != 700*mebi {
			t.Errorf("%+v in the outage", u)
		}
		shared.out.Store(false)
		if signed := presigns(t, all[0], "after", 1, 100*mebi); signed != 1 {
			t.Errorf("%d signed", signed)
		}
		if signed := presigns(t, all[1], "other", 9, 100*mebi); signed != 2 {
			t.Errorf("the other replica signed %d, want 2", signed)
		}
	})
}

// A user with more uploads under way than are told apart can still not exceed the quota.
func TestQuotaOfManyClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &folderS3{objects: map[string]int64{}}
		h := replicasWith(t, s3, nil, storage.Quota{Objects: 1200}, 1)[0]
		signed := 0
		for round := range 14 {
			signed += presigns(t, h, fmt.Sprint(round, "-"), 100, 10)
			time.Sleep(time.Second)
		}
		if signed != 1200 {
			t.Errorf("%d signed, want 1200", signed)
		}
		time.Sleep(20 * time.Minute) // nothing can arrive any more
		if signed := presigns(t, h, "again", 1201, 10); signed != 1200 {
			t.Errorf("%d signed, want 1200", signed)
		}
	})
}
