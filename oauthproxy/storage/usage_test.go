package storage_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/audit"
)

// unfinishedS3 has one object and some uploads in parts, each with two pages of one part.
type unfinishedS3 struct {
	uploads []string
	ended   string // an upload that ends before its parts are listed
	failing string // an upload whose parts cannot be listed
}

func (s unfinishedS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	w.Header().Set("Content-Type", "application/xml")
	switch id := query.Get("uploadId"); {
	case query.Has("uploads"):
		marker := slices.Index(s.uploads, query.Get("upload-id-marker")) + 1 // a page has one upload
		if marker == len(s.uploads) {
			_, _ = fmt.Fprint(w, `<ListMultipartUploadsResult></ListMultipartUploadsResult>`)
			return
		}
		_, _ = fmt.Fprintf(w, `<ListMultipartUploadsResult><IsTruncated>%t</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>%[2]s</NextUploadIdMarker>`+
			`<Upload><Key>users/0f9e-sub/k</Key><UploadId>%[2]s</UploadId></Upload></ListMultipartUploadsResult>`, marker+1 < len(s.uploads), s.uploads[marker])
	case id == "":
		_, _ = fmt.Fprint(w, `<ListBucketResult><Contents><Key>users/0f9e-sub/a</Key><Size>100</Size></Contents></ListBucketResult>`)
	case id == s.ended:
		s3Error(http.StatusNotFound, "NoSuchUpload").ServeHTTP(w, r)
	case id == s.failing:
		s3Error(http.StatusForbidden, "AccessDenied").ServeHTTP(w, r)
	case query.Get("part-number-marker") == "1":
		_, _ = fmt.Fprint(w, `<ListPartsResult>`+partXML(2, 3, "")+`</ListPartsResult>`)
	default:
		_, _ = fmt.Fprint(w, `<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker>`+partXML(1, 8, "")+`</ListPartsResult>`)
	}
}

// TestUnfinishedUploadsCount: their parts are stored, although no list of objects shows them.
func TestUnfinishedUploadsCount(t *testing.T) {
	for name, c := range map[string]struct {
		s3   unfinishedS3
		want int64 // bytes; 0 if there is no count
	}{
		"none":             {unfinishedS3{}, 100},
		"two":              {unfinishedS3{uploads: []string{"u1", "u2"}}, 122},
		"one ended":        {unfinishedS3{uploads: []string{"u1", "u2"}, ended: "u1"}, 111},
		"one is not shown": {unfinishedS3{uploads: []string{"u1", "u2"}, failing: "u2"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var log testkit.Log
			h := faultyS3(t, &log, c.s3)
			if c.want == 0 {
				wantCode(t, h, http.MethodGet, "/storage/usage", "", http.StatusBadGateway, "upstream_error")
				return
			}
			if u := usageOf(t, h); u.Bytes != c.want || u.Objects != 1 || u.QuotaBytes != nil || u.QuotaObjects != nil || !u.AsOf.Equal(noon.Truncate(time.Second)) {
				t.Errorf("%+v, want %d bytes", u, c.want)
			}
		})
	}
}

// TestUsageThatCannotBeCountedAgain: only a count that takes long is stood in for by the one
// before it. After another fault the answer is that fault.
func TestUsageThatCannotBeCountedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := folderOf(7)
		h := replicasWith(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s3.ServeHTTP(w, r) }), nil, storage.Quota{}, 1)[0]
		usageOf(t, h)
		time.Sleep(2 * time.Minute)
		s3 = s3Error(http.StatusForbidden, "AccessDenied")
		wantCode(t, h, http.MethodGet, "/storage/usage", "", http.StatusBadGateway, "upstream_error")
	})
}

// TestUsageIsCountedOnceAMinute, unless something was deleted.
func TestUsageIsCountedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &folderS3{objects: map[string]int64{"users/0f9e-sub/a": 7, "users/0f9e-sub/b": 5, "users/0f9e-sub/d/1": 1}}
		h := withQuota(t, s3, storage.Quota{})
		want := func(lists, bytes int64) {
			t.Helper()
			if u := usageOf(t, h); u.Bytes != bytes || s3.lists.Load() != lists {
				t.Errorf("%d bytes after %d lists, want %d after %d", u.Bytes, s3.lists.Load(), bytes, lists)
			}
		}
		want(1, 13)
		time.Sleep(time.Minute)
		s3.put("users/0f9e-sub/c", 1)
		want(1, 13)
		time.Sleep(time.Nanosecond)
		want(2, 14)
		send(t, h, http.MethodDelete, "/storage/objects/a", "", "")
		want(3, 7)
		send(t, h, http.MethodDelete, "/storage/objects/d/?recursive=true", "", "") // S3 deletes nothing here, and lists once
		want(5, 7)
	})
}

// TestReplacedObjectMakesRoom: what is replaced gives its room to what replaces it, unless it
// is newer than the count: then the count does not have it.
func TestReplacedObjectMakesRoom(t *testing.T) {
	for name, c := range map[string]struct {
		modified time.Duration // after the count began
		status   int
	}{"older": {-time.Hour, http.StatusCreated}, "as old": {0, http.StatusCreated}, "newer": {time.Second, http.StatusForbidden}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				s3 := &folderS3{objects: map[string]int64{"users/0f9e-sub/a": 60 * mebi, "users/0f9e-sub/b": 40 * mebi}}
				h := replicasWith(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodHead {
						w.Header().Set("Last-Modified", began.Add(c.modified).UTC().Format(http.TimeFormat))
					}
					s3.ServeHTTP(w, r)
				}), nil, storage.Quota{Bytes: 100 * mebi}, 1)[0]
				rec := send(t, h, http.MethodPost, "/storage/uploads", "application/json", fmt.Sprintf(`{"key":"a","content_type":"","size":%d}`, 60*mebi))
				if rec.Code != c.status {
					t.Errorf("%d %s", rec.Code, rec.Body)
				}
			})
		})
	}
}

// TestRefusalOfAFullFolderNamesTheQuota, also for parts, which replace nothing.
func TestRefusalOfAFullFolderNamesTheQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &folderS3{objects: map[string]int64{"users/0f9e-sub/a": 60 * mebi, "users/0f9e-sub/b": 40 * mebi}}
		h := withQuota(t, s3, storage.Quota{Bytes: 100 * mebi})
		for _, path := range []string{"/storage/uploads", "/storage/multipart"} {
			rec := send(t, h, http.MethodPost, path, "application/json", fmt.Sprintf(`{"key":"a","content_type":"","size":%d}`, 61*mebi))
			if rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), "the folder would grow over its quota of 104857600 bytes") {
				t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
			}
		}
		if rec := send(t, h, http.MethodPost, "/storage/multipart", "application/json", `{"key":"a","content_type":"","size":1}`); rec.Code != http.StatusForbidden {
			t.Errorf("parts beside a full folder: %d %s", rec.Code, rec.Body)
		}
	})
}

// trail is the output of an audit trail. It may fail.
type trail struct {
	mu    sync.Mutex
	lines bytes.Buffer
	fails bool
}

func (o *trail) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fails {
		return 0, errors.New("the disk is full")
	}
	return o.lines.Write(p)
}

func (o *trail) setFails(fails bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fails = fails
}

// TestAuditOfOperations: whatever signs, copies or deletes is recorded once, with the whole key.
func TestAuditOfOperations(t *testing.T) {
	var output trail
	cfg := goodConfig(t)
	cfg.HTTPClient = inProcess{&recordingS3{size: 10}}
	cfg.Audit = audit.New(audit.Config{Output: &output, Now: cfg.Now, Log: slog.New(slog.DiscardHandler), Metrics: audit.NewMetrics(nil)})
	h := mustNew(t, cfg, authority{subject: subject})
	upload := "/storage/multipart/" + beginParts(t, h, `{"key":"p","content_type":"","size":10}`).UploadID
	for _, r := range [][3]string{
		{"POST", "/storage/uploads", `{"key":"u","content_type":"","size":1}`},
		{"GET", "/storage/objects/g", ""},
		{"POST", "/storage/copies", `{"from":"a","to":"c"}`},
		{"POST", upload + "/parts", `{"key":"p","part_numbers":[1]}`},
		{"POST", upload + "/complete", ""},
		{"DELETE", upload, ""},
		{"DELETE", "/storage/objects/d", ""},
		{"DELETE", "/storage/objects/d/?recursive=true", ""},
		{"GET", "/storage/objects", ""},
		{"HEAD", "/storage/objects/a", ""},
	} {
		if rec := ask(t, h, r[0], r[1], r[2]); rec.Code >= 400 {
			t.Errorf("%v: %d %s", r, rec.Code, rec.Body)
		}
	}
	cfg.Audit.Close(t.Context())
	var got []string
	for line := range strings.Lines(output.lines.String()) {
		var e struct{ Event, Cause, Target, Sub, Session string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Sub != subject || e.Session != "0123456789abcdef" {
			t.Errorf("%s: %v", line, err)
		}
		got = append(got, e.Event+" "+e.Cause+" "+e.Target)
	}
	want := []string{
		"presigned multipart_create users/0f9e-sub/p", "presigned upload users/0f9e-sub/u", "presigned get users/0f9e-sub/g", "copied copy users/0f9e-sub/c",
		"presigned multipart_sign users/0f9e-sub/p", "presigned multipart_complete users/0f9e-sub/p", "deleted multipart_abort users/0f9e-sub/p",
		"deleted delete users/0f9e-sub/d", "deleted delete_folder users/0f9e-sub/d/1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded %q\nwant %q", got, want)
	}
}

// TestNothingIsSignedUnrecorded: while the trail must be written and cannot be, no URL is
// handed out. What needs no URL goes on.
func TestNothingIsSignedUnrecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var output trail
		s3 := &recordingS3{size: 10}
		cfg := goodConfig(t)
		cfg.HTTPClient = inProcess{s3}
		cfg.Audit = audit.New(audit.Config{Output: &output, Refuse: true, Now: time.Now, Log: slog.New(slog.DiscardHandler), Metrics: audit.NewMetrics(nil)})
		defer cfg.Audit.Close(t.Context())
		h := mustNew(t, cfg, authority{subject: subject})
		upload := "/storage/multipart/" + beginParts(t, h, `{"key":"p","content_type":"","size":10}`).UploadID
		output.setFails(true)
		defer output.setFails(false)
		for range 2 { // the first refusal notices the fault, the second knows of it
			s3.requests = nil
			for _, r := range [][3]string{
				{"POST", "/storage/uploads", minimal}, {"GET", "/storage/objects/a", ""}, {"POST", "/storage/multipart", minimal}, {"POST", upload + "/parts", `{"key":"p","part_numbers":[1]}`},
			} {
				wantCode(t, h, r[0], r[1], r[2], http.StatusServiceUnavailable, "audit_unavailable")
			}
		}
		if len(s3.requests) != 0 {
			t.Errorf("S3 got %q although it was known that nothing can be recorded", s3.requests)
		}
		for _, r := range [][2]string{{"GET", "/storage/objects"}, {"DELETE", "/storage/objects/d"}} {
			if rec := ask(t, h, r[0], r[1], ""); rec.Code >= 400 {
				t.Errorf("%v: %d %s", r, rec.Code, rec.Body)
			}
		}
	})
}
