package storage_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
)

// TestDeletionsSayWhatTheyMean: a folder is deleted only if the request says so twice, by the
// slash and by the parameter.
func TestDeletionsSayWhatTheyMean(t *testing.T) {
	h := untouchableS3(t)
	for _, path := range []string{
		"a?recursive=true", "a?recursive=maybe", "a?recursive=", "a?recursive=false&recursive=false",
		"a/", "a/?recursive=false", "a/?recursive=maybe", "a/?recursive=true&recursive=true",
		"/?recursive=true", "a//?recursive=true", "../?recursive=true",
	} {
		wantCode(t, h, http.MethodDelete, "/storage/objects/"+path, "", http.StatusBadRequest, "invalid_request")
	}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		wantCode(t, h, http.MethodDelete, "/storage/objects/a/?recursive=true", "", http.StatusBadRequest, "invalid_request", name, `"1"`)
	}
}

type deletedStep struct {
	Deleted int  `json:"deleted"`
	More    bool `json:"more"`
}

// TestStepsOfAFolderDeletion: one request deletes what one list shows, and says whether there
// is more.
func TestStepsOfAFolderDeletion(t *testing.T) {
	for name, c := range map[string]struct {
		list string
		want deletedStep
	}{
		"nothing": {"", deletedStep{}},
		"all":     {"<Contents><Key>users/0f9e-sub/d/1</Key></Contents>", deletedStep{1, false}},
		"more":    {"<IsTruncated>true</IsTruncated><Contents><Key>users/0f9e-sub/d/1</Key></Contents>", deletedStep{1, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var log testkit.Log
			deletions := 0
			h := faultyS3(t, &log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/xml")
				if r.Method == http.MethodGet {
					_, _ = fmt.Fprintf(w, `<ListBucketResult>%s</ListBucketResult>`, c.list)
					return
				}
				deletions++
				_, _ = fmt.Fprint(w, `<DeleteResult><Deleted><Key>users/0f9e-sub/d/1</Key></Deleted></DeleteResult>`)
			}))
			if got := answerOf[deletedStep](t, h, http.MethodDelete, "/storage/objects/d/?recursive=true", "", http.StatusOK); got != c.want || deletions != c.want.Deleted {
				t.Errorf("%+v with %d deletions, want %+v", got, deletions, c.want)
			}
		})
	}
}

// failingS3 is a recordingS3 that refuses the requests with one method and parameter.
type failingS3 struct {
	recordingS3

	method, parameter string
	status            int
	code              string
}

func (s *failingS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == s.method && (s.parameter == "" || r.URL.Query().Has(s.parameter)) {
		s3Error(s.status, s.code).ServeHTTP(w, r)
		return
	}
	s.recordingS3.ServeHTTP(w, r)
}

// TestFaultsOfLaterCalls: an operation whose second or third call to S3 fails says so, and not
// that it was done.
func TestFaultsOfLaterCalls(t *testing.T) {
	for name, c := range map[string]struct {
		method, parameter string // of the request that S3 refuses
		code              string
		ask               [3]string
		status            int
		want              string
	}{
		"deleting":             {"DELETE", "", "AccessDenied", [3]string{"DELETE", "/storage/objects/a", ""}, 502, "upstream_error"},
		"deleting, gone":       {"DELETE", "", "NoSuchKey", [3]string{"DELETE", "/storage/objects/a", ""}, 404, "not_found"},
		"deleting a folder":    {"POST", "delete", "AccessDenied", [3]string{"DELETE", "/storage/objects/d/?recursive=true", ""}, 502, "upstream_error"},
		"copying":              {"PUT", "", "AccessDenied", [3]string{"POST", "/storage/copies", `{"from":"a","to":"b"}`}, 502, "upstream_error"},
		"copying, gone":        {"PUT", "", "NoSuchKey", [3]string{"POST", "/storage/copies", `{"from":"a","to":"b"}`}, 404, "not_found"},
		"unfinished uploads":   {"GET", "uploads", "AccessDenied", [3]string{"POST", "/storage/multipart", minimal}, 502, "upstream_error"},
		"counting uploads":     {"GET", "uploads", "AccessDenied", [3]string{"GET", "/storage/usage", ""}, 502, "upstream_error"},
		"listing parts":        {"GET", "uploadId", "AccessDenied", [3]string{"GET", "UPLOAD", ""}, 502, "upstream_error"},
		"listing, ended":       {"GET", "uploadId", "NoSuchUpload", [3]string{"GET", "UPLOAD", ""}, 404, "not_found"},
		"completing, no parts": {"GET", "uploadId", "NoSuchUpload", [3]string{"POST", "UPLOAD/complete", ""}, 404, "not_found"},
		"completing":           {"POST", "uploadId", "AccessDenied", [3]string{"POST", "UPLOAD/complete", ""}, 502, "upstream_error"},
		"completing, small":    {"POST", "uploadId", "EntityTooSmall", [3]string{"POST", "UPLOAD/complete", ""}, 412, "precondition_failed"},
		"completed, gone":      {"HEAD", "", "", [3]string{"POST", "UPLOAD/complete", ""}, 404, "not_found"},
		"aborting":             {"DELETE", "uploadId", "AccessDenied", [3]string{"DELETE", "UPLOAD", ""}, 502, "upstream_error"},
	} {
		t.Run(name, func(t *testing.T) {
			var log testkit.Log
			s3 := &failingS3{recordingS3: recordingS3{size: 10}, method: "none", status: http.StatusForbidden, code: c.code}
			h := faultyS3(t, &log, s3)
			upload := "/storage/multipart/" + beginParts(t, h, `{"key":"new","content_type":"","size":10,"if_none_match":"*"}`).UploadID
			s3.method, s3.parameter = c.method, c.parameter
			log = testkit.Log{}
			wantCode(t, h, c.ask[0], strings.Replace(c.ask[1], "UPLOAD", upload, 1), c.ask[2], c.status, c.want)
			if records := log.RecordsOf(t, "storage"); len(records) > 0 && name != "completed, gone" {
				t.Errorf("logged %v", records)
			}
		})
	}
}

// TestRefusedUploadIsAborted: what was begun at S3 for an upload that is refused is ended there.
func TestRefusedUploadIsAborted(t *testing.T) {
	var log testkit.Log
	s3 := &failingS3{recordingS3: recordingS3{size: 10}, method: http.MethodGet, parameter: "uploads", status: http.StatusForbidden, code: "AccessDenied"}
	h := faultyS3(t, &log, s3)
	wantCode(t, h, http.MethodPost, "/storage/multipart", minimal, http.StatusBadGateway, "upstream_error")
	if !slices.ContainsFunc(s3.requests, func(r string) bool { return strings.HasPrefix(r, "DELETE ") && strings.HasSuffix(r, "uploadId=u1") }) {
		t.Errorf("S3 got %v", s3.requests)
	}
}

// TestCopyToAnExistingKey: S3 is not asked to copy onto an object that must not be there, nor
// if nobody can say whether it is there.
func TestCopyToAnExistingKey(t *testing.T) {
	s3, h := recorded(t, 10, nil)
	const once = `{"from":"a","to":"b","if_none_match":"*"}`
	wantCode(t, h, http.MethodPost, "/storage/copies", once, http.StatusConflict, "already_exists")
	s3.wantRequests(t, "HEAD /files/users/0f9e-sub/a"+ofOwner, "HEAD /files/users/0f9e-sub/b"+ofOwner)
	var log testkit.Log
	h = faultyS3(t, &log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/a") {
			s3Error(http.StatusForbidden, "AccessDenied").ServeHTTP(w, r)
		}
	}))
	wantCode(t, h, http.MethodPost, "/storage/copies", once, http.StatusBadGateway, "upstream_error")
}

// TestAnswerToACopy has what S3 says of the copy, and the size of the source.
func TestAnswerToACopy(t *testing.T) {
	var log testkit.Log
	h := faultyS3(t, &log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Length", "7")
			return
		}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = fmt.Fprint(w, `<CopyObjectResult><ETag>"2"</ETag><LastModified>2026-03-04T12:00:00Z</LastModified></CopyObjectResult>`)
	}))
	rec := ask(t, h, http.MethodPost, "/storage/copies", `{"from":"a","to":"b"}`)
	if want := `{"key":"b","size":7,"etag":"\"2\"","last_modified":"2026-03-04T12:00:00Z"}`; rec.Body.String() != want {
		t.Errorf("%s\nwant %s", rec.Body, want)
	}
	records := log.RecordsOf(t, "storage")
	if len(records) != 1 || records[0]["operation"] != "copy" || records[0]["key"] != "b" || records[0]["size"] != 7.0 {
		t.Errorf("logged %v", records)
	}
}

// TestMissingBucketIsNoMissingObject: the answer to a HEAD has no code, so the bucket is asked
// for, too.
func TestMissingBucketIsNoMissingObject(t *testing.T) {
	for bucket, status := range map[int]int{http.StatusNotFound: http.StatusBadGateway, http.StatusOK: http.StatusNotFound, http.StatusForbidden: http.StatusNotFound} {
		var log testkit.Log
		h := faultyS3(t, &log, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/files" {
				w.WriteHeader(bucket)
				return
			}
			w.WriteHeader(http.StatusNotFound)
		}))
		for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodDelete} {
			if rec := ask(t, h, method, "/storage/objects/a", ""); rec.Code != status {
				t.Errorf("%s, when the bucket answers %d: %d, want %d", method, bucket, rec.Code, status)
			}
		}
	}
}

// TestSubjectsOfOtherOperations: a user whose id cannot name a folder gets nothing at all.
func TestSubjectsOfOtherOperations(t *testing.T) {
	cfg := goodConfig(t)
	cfg.HTTPClient = inProcess{http.NotFoundHandler()}
	h := mustNew(t, cfg, authority{subject: "a/b"})
	for _, r := range [][2]string{{"GET", "/storage/objects"}, {"GET", "/storage/usage"}, {"DELETE", "/storage/objects/a"}} {
		wantCode(t, h, r[0], r[1], "", http.StatusBadGateway, "provider_error")
	}
}

// TestQuotasInWords: the refusal names the quota.
func TestQuotasInWords(t *testing.T) {
	for want, quota := range map[string]storage.Quota{
		"1 bytes": {Bytes: 1}, "1 objects": {Objects: 1}, "1 bytes and 2 objects": {Bytes: 1, Objects: 2},
	} {
		if got := quota.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
