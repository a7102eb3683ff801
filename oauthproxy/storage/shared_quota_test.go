package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/web"
)

// sharedMaps are those of a store that can be out.
type sharedMaps struct {
	storage.Maps

	out atomic.Bool
	// failing is called once, by a change that fails.
	failing func()
}

var errOut = errors.New("the store is out")

func (s *sharedMaps) ReadMap(ctx context.Context, name string) (entries map[string]string, version string, err error) {
	if s.out.Load() {
		return nil, "", errOut
	}
	return s.Maps.ReadMap(ctx, name)
}

func (s *sharedMaps) ChangeMap(ctx context.Context, name, version string, set map[string]string, remove []string, keep time.Duration) (changed bool, err error) {
	if failing := s.failing; failing != nil {
		s.failing = nil
		failing()
		return false, errOut
	}
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

// A claim that the store did not take is made again if this process could not record it
// either, because another request of the user has changed the claims meanwhile.
func TestClaimThatNobodyRecorded(t *testing.T) {
	s3 := &folderS3{objects: map[string]int64{}}
	shared := &sharedMaps{Maps: memory.NewMaps(time.Now, 1000)}
	h := replicasWith(t, s3, shared, storage.Quota{Bytes: 100 * mebi}, 1)[0]
	s3.put("users/0f9e-sub/old", 1)
	shared.failing = func() {
		if rec := send(t, h, http.MethodDelete, "/storage/objects/old", "", ""); rec.Code != http.StatusNoContent {
			t.Error(rec.Code)
		}
	}
	if signed := presigns(t, h, "a", 1, 60*mebi); signed != 1 || shared.failing != nil {
		t.Fatalf("%d signed", signed)
	}
	if signed := presigns(t, h, "b", 1, 60*mebi); signed != 0 {
		t.Error("the first claim was forgotten")
	}
}

// Uploads in parts that are begun and aborted in a loop do not make the claims grow
// without bound. When they have expired, there is room again.
func TestManyUploadsInPartsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := withQuota(t, &folderS3{objects: map[string]int64{}}, storage.Quota{Bytes: 1024 * mebi})
		begin := func() *httptest.ResponseRecorder {
			return send(t, h, http.MethodPost, "/storage/multipart", "application/json", `{"key":"a","content_type":"","size":1}`)
		}
		loop := func() (begun int) {
			for begun < 2000 {
				rec := begin()
				if rec.Code != http.StatusCreated {
					break
				}
				begun++
				var created struct {
					ID string `json:"upload_id"`
				}
				_ = json.Unmarshal(rec.Body.Bytes(), &created)
				if rec := send(t, h, http.MethodDelete, "/storage/multipart/"+created.ID, "", ""); rec.Code != http.StatusNoContent {
					t.Fatal(rec.Code)
				}
			}
			return begun
		}
		if begun := loop(); begun != 1000 {
			t.Errorf("%d were begun, want 1000", begun)
		}
		var limits []string // which are not those that limits.presigns sets
		counting := web.NewSite(web.Config{
			PublicURL: testkit.MustURL(t, "https://app.example.com"), Log: slog.New(slog.DiscardHandler), Now: time.Now,
			Limited: func(_ *http.Request, limit string, _ web.Named) { limits = append(limits, limit) },
		}).Instrument(h)
		rec := send(t, counting, http.MethodPost, "/storage/multipart", "application/json", `{"key":"a","content_type":"","size":1}`)
		if rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") == "" || !strings.Contains(rec.Body.String(), `"rate_limited"`) || !slices.Equal(limits, []string{web.LimitUploads}) {
			t.Errorf("%d %s, limits %v", rec.Code, rec.Body, limits)
		}
		if signed := presigns(t, h, "small", 1, 1); signed != 1 {
			t.Error("an upload in one piece was refused")
		}
		time.Sleep(time.Hour)
		presigns(t, h, "later", 1, 1)
		if begun := loop(); begun < 990 {
			t.Errorf("%d were begun after an hour", begun)
		}
	})
}

// The place of a claim that has expired is free, although the folder still has others.
func TestExpiredClaimsOfUploadsInPartsTakeNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := withQuota(t, &folderS3{objects: map[string]int64{}}, storage.Quota{Bytes: 1024 * mebi})
		begin := func(size int) int {
			return send(t, h, http.MethodPost, "/storage/multipart", "application/json", fmt.Sprintf(`{"key":"a","content_type":"","size":%d}`, size)).Code
		}
		for range 999 {
			if code := begin(1); code != http.StatusCreated {
				t.Fatal(code)
			}
		}
		time.Sleep(10 * time.Minute)
		if first, second := begin(1), begin(1); first != http.StatusCreated || second != http.StatusTooManyRequests {
			t.Errorf("%d, then %d", first, second)
		}
		time.Sleep(13 * time.Minute) // the first have expired, the last has not
		if code := begin(1); code != http.StatusCreated {
			t.Error(code)
		}
	})
}
