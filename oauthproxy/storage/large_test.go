package storage_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
)

const (
	largePages = 100
	largePage  = 1000
)

// largeS3 is an S3 with a folder of 100,000 objects, which it makes up page by page. It
// notes how much of the heap is in use at every fifth call.
type largeS3 struct {
	calls int
	heap  []uint64
}

func (s *largeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls++
	if s.calls%5 == 0 {
		runtime.GC()
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		s.heap = append(s.heap, memory.HeapAlloc)
	}
	query := r.URL.Query()
	if query.Has("uploads") {
		_, _ = fmt.Fprint(w, `<ListMultipartUploadsResult></ListMultipartUploadsResult>`)
		return
	}
	number, _ := strconv.Atoi(query.Get("continuation-token"))
	_, _ = fmt.Fprint(w, `<ListBucketResult>`)
	for i := range largePage {
		_, _ = fmt.Fprintf(w, `<Contents><Key>users/0f9e-sub/photos/%d/%d.jpg</Key><Size>10</Size><ETag>"%032d"</ETag></Contents>`, number, i, i)
	}
	if number+1 < largePages {
		_, _ = fmt.Fprintf(w, `<IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>`, number+1)
	}
	_, _ = fmt.Fprint(w, `</ListBucketResult>`)
}

// wantFlat asserts that the heap has not grown from the first tenth of the calls on.
func (s *largeS3) wantFlat(t *testing.T) {
	t.Helper()
	most := func(sizes []uint64) (most uint64) {
		for _, size := range sizes {
			most = max(most, size)
		}
		return most
	}
	early, late := most(s.heap[:len(s.heap)/10]), most(s.heap[len(s.heap)/2:])
	t.Logf("%.1f MiB in use at first, %.1f MiB at last", float64(early)/mebi, float64(late)/mebi)
	if late > early+mebi {
		t.Errorf("the heap grew from %d to %d bytes", early, late)
	}
}

func largeHandler(t *testing.T, s3 *largeS3) *storage.Handler {
	t.Helper()
	var log testkit.Log
	cfg := goodConfig(t)
	cfg.HTTPClient, cfg.Log, cfg.Site = inProcess{s3}, log.Logger(), newSite(&log)
	return mustNew(t, cfg, authority{subject: subject})
}

// A page costs one call to S3, and nothing of it is kept.
func TestListOfManyObjects(t *testing.T) {
	s3 := &largeS3{}
	h := largeHandler(t, s3)
	total, cursor, pages := 0, "", 0
	for ; pages == 0 || cursor != ""; pages++ {
		rec := send(t, h, http.MethodGet, "/storage/objects?prefix=photos/&limit=1000&cursor="+url.QueryEscape(cursor), "", "")
		var page struct {
			Objects    []struct{ Key string } `json:"objects"`
			NextCursor string                 `json:"next_cursor"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &page); err != nil || rec.Code != http.StatusOK {
			t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
		}
		if !strings.HasPrefix(page.Objects[0].Key, fmt.Sprintf("photos/%d/", pages)) {
			t.Fatalf("page %d begins with %s", pages, page.Objects[0].Key)
		}
		total, cursor = total+len(page.Objects), page.NextCursor
	}
	if total != largePages*largePage || pages != largePages || s3.calls != largePages {
		t.Errorf("%d objects in %d pages with %d calls", total, pages, s3.calls)
	}
	s3.wantFlat(t)
}

// A count keeps nothing of the pages either. In the bubble, a busy machine does not use up
// the time for which a request waits for the count.
func TestCountOfManyObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &largeS3{}
		if u := usageOf(t, largeHandler(t, s3)); u.Objects != largePages*largePage || u.Bytes != 10*largePages*largePage || s3.calls != largePages+1 {
			t.Errorf("%+v with %d calls", u, s3.calls)
		}
		s3.wantFlat(t)
	})
}
