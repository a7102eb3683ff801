package storage_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
)

// partsS3 is an S3 with one upload in parts, which has one part, and one folder.
type partsS3 struct {
	size   int64        // of the part
	folder http.Handler // answers the lists of the folder
	calls  []string     // beside lists
}

func (s *partsS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	w.Header().Set("Content-Type", "application/xml")
	switch {
	case r.Method == http.MethodGet && query.Has("uploads"):
		_, _ = fmt.Fprint(w, `<ListMultipartUploadsResult></ListMultipartUploadsResult>`)
	case r.Method == http.MethodPost && query.Has("uploads"):
		_, _ = fmt.Fprint(w, `<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>`)
	case r.Method == http.MethodGet && query.Has("uploadId"):
		_, _ = fmt.Fprintf(w, `<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>"e"</ETag><Size>%d</Size></Part></ListPartsResult>`, s.size)
	case r.Method == http.MethodGet:
		s.folder.ServeHTTP(w, r)
	case r.Method == http.MethodDelete:
		s.calls = append(s.calls, "abort")
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPost:
		s.calls = append(s.calls, "complete")
		_, _ = fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
	case r.URL.Path == "/files": // the bucket
	case !slices.Contains(s.calls, "complete"): // there is no such object yet
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Content-Length", fmt.Sprint(s.size))
	}
}

// folderOf answers lists of a folder with one object of this size.
func folderOf(size int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `<ListBucketResult><Contents><Key>users/0f9e-sub/other</Key><Size>%d</Size></Contents></ListBucketResult>`, size)
	})
}

// An upload in parts is aborted if what was uploaded is at fault, and only then: after a fault
// of S3, while the folder is counted, it goes on when the client asks again.
func TestUploadIsAbortedForItsOwnFaults(t *testing.T) {
	const declared, limit = 1000, 5000
	for name, c := range map[string]struct {
		size   int64
		folder http.Handler
		status int
		calls  []string
	}{
		"good":                    {declared, folderOf(0), http.StatusCreated, []string{"complete"}},
		"another size":            {declared + 1, folderOf(0), http.StatusBadRequest, []string{"abort"}},
		"the folder has grown":    {declared, folderOf(limit), http.StatusForbidden, []string{"abort"}},
		"S3 is down":              {declared, s3Error(http.StatusInternalServerError, "InternalError"), http.StatusBadGateway, nil},
		"S3 asks to slow down":    {declared, s3Error(http.StatusServiceUnavailable, "SlowDown"), http.StatusTooManyRequests, nil},
		"lists are not permitted": {declared, s3Error(http.StatusForbidden, "AccessDenied"), http.StatusBadGateway, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log testkit.Log
				s3 := &partsS3{size: c.size, folder: folderOf(0)}
				cfg := goodConfig(t)
				cfg.HTTPClient, cfg.Log, cfg.Site, cfg.Now = inProcess{s3}, log.Logger(), newSite(&log), time.Now
				cfg.Quota = storage.Quota{Bytes: limit}
				h := mustNew(t, cfg, authority{subject: subject})
				var created struct {
					UploadID string `json:"upload_id"`
				}
				rec := send(t, h, http.MethodPost, "/storage/multipart", "application/json", fmt.Sprintf(`{"key":"a","content_type":"text/plain","size":%d}`, declared))
				if err := json.Unmarshal(rec.Body.Bytes(), &created); err != nil || created.UploadID == "" {
					t.Fatalf("%d %s", rec.Code, rec.Body)
				}
				complete := "/storage/multipart/" + created.UploadID + "/complete"
				time.Sleep(time.Hour) // the folder is counted again
				s3.folder = c.folder
				if rec := send(t, h, http.MethodPost, complete, "application/json", `{"key":"a"}`); rec.Code != c.status || !slices.Equal(s3.calls, c.calls) {
					t.Errorf("answered %d %s, S3 saw %v", rec.Code, rec.Body, s3.calls)
				}
				if c.calls != nil {
					return
				}
				s3.folder = folderOf(0)
				time.Sleep(time.Minute)
				if rec := send(t, h, http.MethodPost, complete, "application/json", `{"key":"a"}`); rec.Code != http.StatusCreated || strings.Join(s3.calls, " ") != "complete" {
					t.Errorf("when S3 is well again: %d %s, S3 saw %v", rec.Code, rec.Body, s3.calls)
				}
			})
		})
	}
}
