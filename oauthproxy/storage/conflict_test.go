package storage_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
)

// conflictS3 refuses copies and completions with an error of S3. It has the object a,
// and b if it exists.
type conflictS3 struct {
	status  int
	code    string
	bExists bool
}

func (s conflictS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/xml")
	switch {
	case r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/b") && !s.bExists:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodHead:
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Length", "10")
	case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
		_, _ = fmt.Fprint(w, `<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>`)
	case r.URL.Query().Has("uploads"):
		_, _ = fmt.Fprint(w, `<ListMultipartUploadsResult></ListMultipartUploadsResult>`)
	case r.Method == http.MethodGet:
		_, _ = fmt.Fprint(w, `<ListPartsResult><Part><PartNumber>1</PartNumber><Size>10</Size><ETag>"2"</ETag></Part></ListPartsResult>`)
	default:
		s3Error(s.status, s.code).ServeHTTP(w, r)
	}
}

// S3 refuses in the same way because an object exists and because something changed
// meanwhile. The answer tells which.
func TestConflictsAreTold(t *testing.T) {
	const once = `,"if_none_match":"*"`
	for name, c := range map[string]struct {
		s3        conflictS3
		condition string
		copy      string // the code of a copy
		complete  string // and of a completion
	}{
		"the target exists":             {conflictS3{412, "PreconditionFailed", true}, once, "already_exists", "already_exists"},
		"the source changed":            {conflictS3{412, "PreconditionFailed", false}, once, "precondition_failed", "precondition_failed"},
		"the source changed, overwrite": {conflictS3{412, "PreconditionFailed", true}, "", "precondition_failed", "precondition_failed"},
		"at the same time":              {conflictS3{409, "ConditionalRequestConflict", false}, once, "precondition_failed", "precondition_failed"},
		"at the same time, exists":      {conflictS3{409, "ConditionalRequestConflict", true}, once, "already_exists", "already_exists"},
		"a part was replaced":           {conflictS3{400, "InvalidPart", true}, once, "already_exists", "precondition_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			var log testkit.Log
			h := faultyS3(t, &log, c.s3)
			if c.s3.code != "InvalidPart" {
				wantCode(t, h, http.MethodPost, "/storage/copies", `{"from":"a","to":"b"`+c.condition+`}`, statusOf(c.copy), c.copy)
			}
			created := answerOf[struct {
				UploadID string `json:"upload_id"`
			}](t, h, http.MethodPost, "/storage/multipart", `{"key":"b","content_type":"","size":10`+c.condition+`}`, http.StatusCreated)
			wantCode(t, h, http.MethodPost, "/storage/multipart/"+created.UploadID+"/complete", "", statusOf(c.complete), c.complete)
		})
	}
}

func statusOf(code string) int {
	return map[string]int{"already_exists": http.StatusConflict, "precondition_failed": http.StatusPreconditionFailed}[code]
}

// uploadsS3 is an S3 that keeps unfinished uploads only. Every upload waits until all
// have begun.
type uploadsS3 struct {
	mu     sync.Mutex
	begun  int
	all    map[string]bool // id → unfinished
	others chan struct{}   // closed when as many have begun as the test starts
	wanted int
}

func (s *uploadsS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	w.Header().Set("Content-Type", "application/xml")
	switch r.Method {
	case http.MethodPost:
		_, _ = fmt.Fprintf(w, `<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>`, s.begin())
		<-s.others
	case http.MethodDelete:
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, query.Get("uploadId"))
		w.WriteHeader(http.StatusNoContent)
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		_, _ = fmt.Fprint(w, `<ListMultipartUploadsResult>`)
		for id := range s.all {
			_, _ = fmt.Fprintf(w, `<Upload><Key>users/0f9e-sub/k</Key><UploadId>%s</UploadId></Upload>`, id)
		}
		_, _ = fmt.Fprint(w, `</ListMultipartUploadsResult>`)
	}
}

func (s *uploadsS3) begin() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := fmt.Sprint("u", s.begun)
	s.begun++
	s.all[id] = true
	if s.begun == s.wanted {
		close(s.others)
	}
	return id
}

// The limit holds for uploads that begin at the same time.
func TestLimitOfUnfinishedUploadsIsNotRaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &uploadsS3{all: map[string]bool{}, others: make(chan struct{}), wanted: 70}
		h := replicasWith(t, s3, nil, storage.Quota{}, 1)[0]
		var working sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		for range s3.wanted {
			working.Go(func() {
				rec := send(t, h, http.MethodPost, "/storage/multipart", "application/json", `{"key":"k","content_type":"","size":10}`)
				mu.Lock()
				defer mu.Unlock()
				statuses[rec.Code]++
			})
		}
		working.Wait()
		if statuses[http.StatusCreated] > 50 || statuses[http.StatusCreated]+statuses[http.StatusForbidden] != s3.wanted || len(s3.all) != statuses[http.StatusCreated] {
			t.Errorf("answered %v, and %d are unfinished", statuses, len(s3.all))
		}
	})
}
