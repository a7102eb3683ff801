package storage_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
)

// folderS3 is an S3 whose lists show what a test put into it, and which counts them.
type folderS3 struct {
	mu      sync.Mutex
	objects map[string]int64 // full key → bytes
	lists   atomic.Int64
	started atomic.Int64 // uploads in parts
}

func (s *folderS3) put(key string, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = size
}

// ServeHTTP answers lists, HEAD and DELETE, and starts and aborts uploads in parts.
func (s *folderS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.TrimPrefix(r.URL.Path, "/files/")
	size, found := s.objects[key]
	switch {
	case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
		_, _ = fmt.Fprintf(w, `<InitiateMultipartUploadResult><UploadId>id-%d</UploadId></InitiateMultipartUploadResult>`, s.started.Add(1))
	case r.Method == http.MethodDelete && r.URL.Query().Has("uploadId"):
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Query().Has("uploads"):
		_, _ = fmt.Fprint(w, `<ListMultipartUploadsResult></ListMultipartUploadsResult>`)
	case r.Method == http.MethodGet:
		s.lists.Add(1)
		_, _ = fmt.Fprint(w, `<ListBucketResult>`)
		for key, size := range s.objects {
			if strings.HasPrefix(key, r.URL.Query().Get("prefix")) {
				_, _ = fmt.Fprintf(w, `<Contents><Key>%s</Key><Size>%d</Size></Contents>`, key, size)
			}
		}
		_, _ = fmt.Fprint(w, `</ListBucketResult>`)
	case r.Method == http.MethodHead && found:
		w.Header().Set("Content-Length", fmt.Sprint(size))
	case r.Method == http.MethodDelete && found:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == "/files": // the bucket
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

const mebi = 1 << 20

func withQuota(t *testing.T, s3 *folderS3, quota storage.Quota) *storage.Handler {
	t.Helper()
	var log testkit.Log
	cfg := goodConfig(t)
	cfg.HTTPClient, cfg.Log, cfg.Site = inProcess{s3}, log.Logger(), newSite(&log)
	cfg.MaxSize, cfg.Quota, cfg.Now = 100*mebi, quota, time.Now
	return mustNew(t, cfg, authority{subject: subject})
}

// presigns asks for uploads of n keys that begin with prefix, and returns how many were signed: the first ones.
func presigns(t *testing.T, h http.Handler, prefix string, n int, size int64) int {
	t.Helper()
	signed := 0
	for i := range n {
		rec := send(t, h, http.MethodPost, "/storage/uploads", "application/json", fmt.Sprintf(`{"key":"%s%d","content_type":"","size":%d}`, prefix, i, size))
		switch {
		case rec.Code == http.StatusCreated:
			signed++
		case rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), `"quota_exceeded"`):
			t.Fatalf("answered %d %s", rec.Code, rec.Body)
		}
	}
	return signed
}

type usage struct {
	Bytes        int64     `json:"bytes"`
	Objects      int64     `json:"objects"`
	QuotaBytes   *int64    `json:"quota_bytes"`
	QuotaObjects *int64    `json:"quota_objects"`
	AsOf         time.Time `json:"as_of"`
}

func usageOf(t *testing.T, h http.Handler) (u usage) {
	t.Helper()
	rec := send(t, h, http.MethodGet, "/storage/usage", "", "")
	if err := json.Unmarshal(rec.Body.Bytes(), &u); err != nil || rec.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
	return u
}

// What is signed counts at once. 300 URLs for 100 MiB each would be 30 GB.
func TestQuotaCountsWhatIsSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &folderS3{objects: map[string]int64{"users/0f9e-sub/old": 24 * mebi, "users/other/x": 1 << 40}}
		h := withQuota(t, s3, storage.Quota{Bytes: 1024 * mebi})
		if signed := presigns(t, h, "a", 300, 100*mebi); signed != 10 {
			t.Errorf("%d signed, want 10", signed)
		}
		if u := usageOf(t, h); u.Bytes != 1024*mebi || u.Objects != 11 || *u.QuotaBytes != 1024*mebi || u.QuotaObjects != nil {
			t.Errorf("%+v", u)
		}
		if lists := s3.lists.Load(); lists > 3 {
			t.Errorf("the folder was listed %d times", lists)
		}
		// Nothing of it arrived. An upload of 100 MiB that began just before its URL expired may
		// take 14 minutes. When it must have arrived, it counts no more.
		time.Sleep(5*time.Minute + 14*time.Minute)
		if signed := presigns(t, h, "b", 20, 100*mebi); signed != 0 {
			t.Errorf("%d signed while a slow upload may be under way", signed)
		}
		time.Sleep(time.Minute + 10*time.Second)
		if signed := presigns(t, h, "c", 20, 100*mebi); signed != 10 {
			t.Errorf("%d signed after nothing can arrive any more, want 10", signed)
		}
	})
}

// What has arrived counts from then on, however the count and the expiry of its URL follow
// each other.
func TestQuotaCountsWhatArrived(t *testing.T) {
	for _, wait := range []time.Duration{time.Second, 30 * time.Second, 2 * time.Minute, 5*time.Minute - time.Second, 5 * time.Minute, 6 * time.Minute, 13 * time.Minute, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s3 := &folderS3{objects: map[string]int64{}}
			h := withQuota(t, s3, storage.Quota{Bytes: 500 * mebi})
			stored := 0
			for round := range 40 {
				for i := range presigns(t, h, fmt.Sprint(round, "-"), 3, 50*mebi) {
					s3.put(fmt.Sprintf("users/0f9e-sub/%d-%d", round, i), 50*mebi) // under the key that was signed
					stored++
				}
				time.Sleep(wait)
			}
			if stored > 10 {
				t.Errorf("with pauses of %s: %d objects of 50 MiB in a folder for 10", wait, stored)
			}
			time.Sleep(time.Hour)
			if u := usageOf(t, h); u.Bytes != int64(stored)*50*mebi || u.Objects != int64(stored) || stored != 10 {
				t.Errorf("with pauses of %s: %+v, stored %d", wait, u, stored)
			}
		})
	}
}

func TestQuotaOfObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &folderS3{objects: map[string]int64{"users/0f9e-sub/a": 1}}
		h := withQuota(t, s3, storage.Quota{Objects: 3})
		if signed := presigns(t, h, "k", 10, 100*mebi); signed != 2 {
			t.Errorf("%d signed, want 2", signed)
		}
		if rec := send(t, h, http.MethodPost, "/storage/uploads", "application/json", `{"key":"a","content_type":"","size":5}`); rec.Code != http.StatusCreated {
			t.Errorf("replacing an object: %d %s", rec.Code, rec.Body)
		}
		if u := usageOf(t, h); u.QuotaBytes != nil || *u.QuotaObjects != 3 {
			t.Errorf("%+v", u)
		}
	})
}

// A full folder still takes what does not make it larger, and a deletion makes room at once.
func TestQuotaOfAFullFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &folderS3{objects: map[string]int64{"users/0f9e-sub/a": 10 * mebi, "users/0f9e-sub/b": 10 * mebi}}
		h := withQuota(t, s3, storage.Quota{Bytes: 20 * mebi})
		ask := func(key string, size int64) int {
			return send(t, h, http.MethodPost, "/storage/uploads", "application/json", fmt.Sprintf(`{"key":%q,"content_type":"","size":%d}`, key, size)).Code
		}
		for _, c := range []struct {
			key    string
			size   int64
			status int
		}{{"c", 1, 403}, {"a", 10*mebi + 1, 403}, {"a", 10 * mebi, 201}, {"c", 0, 201}} {
			if got := ask(c.key, c.size); got != c.status {
				t.Errorf("%s with %d bytes: %d, want %d", c.key, c.size, got, c.status)
			}
		}
		time.Sleep(10 * time.Minute) // the URL of a has expired
		if rec := send(t, h, http.MethodDelete, "/storage/objects/b", "", ""); rec.Code != http.StatusNoContent {
			t.Fatal(rec.Code)
		}
		if got := ask("c", 10*mebi); got != http.StatusCreated {
			t.Errorf("after a deletion: %d", got)
		}
		if rec := send(t, h, http.MethodPost, "/storage/copies", "application/json", `{"from":"a","to":"d"}`); rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), "quota_exceeded") {
			t.Errorf("a copy: %d %s", rec.Code, rec.Body)
		}
	})
}

// Requests at the same time share one count, and none gets what another has taken.
func TestQuotaHoldsForParallelRequests(t *testing.T) {
	s3 := &folderS3{objects: map[string]int64{}}
	h := withQuota(t, s3, storage.Quota{Bytes: 1000 * mebi})
	var signed atomic.Int64
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() { signed.Add(int64(presigns(t, h, fmt.Sprint(i, "-"), 10, 50*mebi))) })
	}
	all.Wait()
	if signed.Load() != 20 {
		t.Errorf("%d signed, want 20", signed.Load())
	}
}

// If the folder cannot be counted, nothing is signed.
func TestQuotaFailsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testkit.Log
		cfg := goodConfig(t)
		cfg.HTTPClient, cfg.Log, cfg.Site, cfg.Quota.Bytes = inProcess{s3Error(403, "AccessDenied")}, log.Logger(), newSite(&log), 1000
		h := mustNew(t, cfg, authority{subject: subject})
		for range 2 {
			if rec := send(t, h, http.MethodPost, "/storage/uploads", "application/json", `{"key":"a","content_type":"","size":1}`); rec.Code != http.StatusBadGateway {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
		}
	})
}

// A slow upload that began before its URL expired arrives later, and has counted until
// then: nobody gets the room twice.
func TestQuotaCountsSlowUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &folderS3{objects: map[string]int64{}}
		h := withQuota(t, s3, storage.Quota{Bytes: 500 * mebi})
		if signed := presigns(t, h, "slow", 20, 50*mebi); signed != 10 {
			t.Fatalf("%d signed", signed)
		}
		for range 11 { // their URLs expire after 5 minutes
			time.Sleep(time.Minute)
			if signed := presigns(t, h, "late", 20, 50*mebi); signed != 0 {
				t.Fatalf("%d signed while uploads are under way", signed)
			}
		}
		for i := range 10 {
			s3.put(fmt.Sprint("users/0f9e-sub/slow", i), 50*mebi)
		}
		time.Sleep(time.Hour)
		if signed := presigns(t, h, "late", 1, 50*mebi); signed != 0 {
			t.Error("the folder has grown over its quota")
		}
	})
}

// What has arrived is not counted a second time for its URL, which can only replace it.
func TestQuotaCountsAKeyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &folderS3{objects: map[string]int64{}}
		h := withQuota(t, s3, storage.Quota{Bytes: 100 * mebi, Objects: 2})
		for round := range 20 { // an app that saves the same file again and again
			if signed := presigns(t, h, "note", 1, 60*mebi); signed != 1 {
				t.Fatalf("round %d: %d signed", round, signed)
			}
			s3.put("users/0f9e-sub/note0", 60*mebi)
			time.Sleep(20 * time.Second)
		}
		if u := usageOf(t, h); u.Bytes != 60*mebi || u.Objects != 1 {
			t.Errorf("%+v", u)
		}
		if signed := presigns(t, h, "other", 2, 40*mebi); signed != 1 {
			t.Errorf("%d signed into the rest", signed)
		}
	})
}

// slowS3 is a folderS3 whose lists take their time.
type slowS3 struct {
	*folderS3

	takes time.Duration
}

func (s slowS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && !r.URL.Query().Has("uploads") {
		s.folderS3.ServeHTTP(w, r) // what was there when it began
		time.Sleep(s.takes)
		return
	}
	s.folderS3.ServeHTTP(w, r)
}

func withSlowLists(t *testing.T, s3 *folderS3, takes time.Duration, quota storage.Quota) *storage.Handler {
	t.Helper()
	var log testkit.Log
	cfg := goodConfig(t)
	cfg.HTTPClient, cfg.Log, cfg.Site = inProcess{slowS3{s3, takes}}, log.Logger(), newSite(&log)
	cfg.MaxSize, cfg.Quota, cfg.Now = 100*mebi, quota, time.Now
	return mustNew(t, cfg, authority{subject: subject})
}

// A folder that takes long to count answers 504 until it was counted once. Later ones
// get the count before, which says when it began.
func TestUsageOfALargeFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &folderS3{objects: map[string]int64{"users/0f9e-sub/a": 7}}
		h := withSlowLists(t, s3, 18*time.Second, storage.Quota{})
		began := time.Now()
		if rec := send(t, h, http.MethodGet, "/storage/usage", "", ""); rec.Code != http.StatusGatewayTimeout || rec.Header().Get("Retry-After") == "" {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		time.Sleep(4 * time.Second)
		if u := usageOf(t, h); u.Bytes != 7 || !u.AsOf.Equal(began) || time.Since(began) > 20*time.Second {
			t.Errorf("%+v after %s, want the count that began at %s", u, time.Since(began), began)
		}
		s3.put("users/0f9e-sub/b", 5)
		time.Sleep(2 * time.Minute)
		if u := usageOf(t, h); u.Bytes != 7 || !u.AsOf.Equal(began) {
			t.Errorf("%+v, want the count before while the next one is made", u)
		}
		time.Sleep(4 * time.Second)
		if u := usageOf(t, h); u.Bytes != 12 || u.AsOf.Sub(began) < 2*time.Minute {
			t.Errorf("%+v", u)
		}
	})
}

// A request after a deletion does not decide by a count that began before it.
func TestQuotaAfterADeletionDuringACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &folderS3{objects: map[string]int64{"users/0f9e-sub/a": 10 * mebi, "users/0f9e-sub/b": 10 * mebi}}
		h := withSlowLists(t, s3, 5*time.Second, storage.Quota{Bytes: 20 * mebi})
		usageOf(t, h)
		time.Sleep(2 * time.Minute)
		var other sync.WaitGroup
		other.Go(func() { send(t, h, http.MethodGet, "/storage/usage", "", "") })
		time.Sleep(time.Second) // its count has begun
		if rec := send(t, h, http.MethodDelete, "/storage/objects/b", "", ""); rec.Code != http.StatusNoContent {
			t.Fatal(rec.Code)
		}
		if signed := presigns(t, h, "k", 1, 10*mebi); signed != 1 {
			t.Errorf("%d signed after half of a full folder was deleted, want 1", signed)
		}
		other.Wait()
	})
}
