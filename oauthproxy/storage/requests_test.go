package storage_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/oauthproxy/storage"
)

// recordingS3 has every object with one size, and writes down what it is asked.
type recordingS3 struct {
	size     int64
	requests []string
}

// noted are the headers of a request that say to which objects it applies and how S3 stores
// them.
var noted = []string{
	"If-Match", "If-None-Match", "X-Amz-Copy-Source", "X-Amz-Copy-Source-If-Match",
	"X-Amz-Expected-Bucket-Owner", "X-Amz-Source-Expected-Bucket-Owner",
	"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "X-Amz-Mp-Object-Size",
	"Content-Type", "X-Amz-Meta-Author",
}

// deletedKey matches a key in the body of DeleteObjects.
var deletedKey = regexp.MustCompile(`<Object><Key>([^<]*)</Key>`)

func (s *recordingS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	line := r.Method + " " + r.URL.EscapedPath()
	for _, name := range []string{"prefix", "uploads", "uploadId", "delete", "max-keys"} {
		if values := r.URL.Query()[name]; len(values) > 0 {
			line += " " + strings.TrimSuffix(name+"="+values[0], "=")
		}
	}
	for _, name := range noted {
		if value := r.Header.Get(name); value != "" && value != "application/xml" {
			line += "\n  " + strings.ToLower(name) + ": " + value
		}
	}
	if r.Body != nil {
		body, _ := io.ReadAll(r.Body)
		for _, key := range deletedKey.FindAllStringSubmatch(string(body), -1) {
			line += "\n  deletes " + key[1]
		}
	}
	s.requests = append(s.requests, line)
	w.Header().Set("Content-Type", "application/xml")
	query := r.URL.Query()
	switch {
	case r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/new"):
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodHead:
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Length", fmt.Sprint(s.size))
	case r.Method == http.MethodPost && query.Has("uploads"):
		_, _ = fmt.Fprint(w, `<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>`)
	case r.Method == http.MethodPost && query.Has("delete"):
		_, _ = fmt.Fprint(w, `<DeleteResult><Deleted><Key>users/0f9e-sub/d/1</Key></Deleted></DeleteResult>`)
	case r.Method == http.MethodPost:
		_, _ = fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"2"</ETag></CompleteMultipartUploadResult>`)
	case r.Method == http.MethodPut:
		_, _ = fmt.Fprint(w, `<CopyObjectResult><ETag>"2"</ETag></CopyObjectResult>`)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case query.Has("uploads"):
		_, _ = fmt.Fprint(w, `<ListMultipartUploadsResult></ListMultipartUploadsResult>`)
	case query.Has("uploadId"):
		_, _ = fmt.Fprintf(w, `<ListPartsResult><Part><PartNumber>1</PartNumber><Size>%d</Size><ETag>"2"</ETag></Part></ListPartsResult>`, s.size)
	default:
		_, _ = fmt.Fprintf(w, `<ListBucketResult><Contents><Key>users/0f9e-sub/d/1</Key><Size>%d</Size></Contents><Contents><Key>users/0f9e-sub/d/2</Key></Contents></ListBucketResult>`, s.size)
	}
}

// recorded returns a handler with S3 in this process, and with an account and a key of its own.
func recorded(t *testing.T, size int64, change func(*storage.Config)) (*recordingS3, *storage.Handler) {
	t.Helper()
	s3 := &recordingS3{size: size}
	cfg := goodConfig(t)
	cfg.HTTPClient, cfg.ExpectedBucketOwner, cfg.SSE, cfg.KMSKeyID = inProcess{s3}, "111122223333", "aws:kms", "k1"
	if change != nil {
		change(&cfg)
	}
	return s3, mustNew(t, cfg, authority{subject: subject})
}

// wantRequests compares what S3 was asked since the last time.
func (s *recordingS3) wantRequests(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.requests); diff != "" {
		t.Error(diff)
	}
	s.requests = nil
}

// The owner of the bucket is named in every request, so that S3 refuses a bucket of that name
// of another account.
const (
	ofOwner   = "\n  x-amz-expected-bucket-owner: 111122223333"
	encrypted = "\n  x-amz-server-side-encryption: aws:kms\n  x-amz-server-side-encryption-aws-kms-key-id: k1"
)

// TestRequestsForObjects holds what S3 is asked for objects: a condition that held a moment ago
// is S3's to check again when it deletes or copies.
func TestRequestsForObjects(t *testing.T) {
	s3, h := recorded(t, 10, nil)
	const stat = "HEAD /files/users/0f9e-sub/a" + ofOwner
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		want               []string
	}{
		"list":   {"GET", "/storage/objects?prefix=d/", "", nil, 200, []string{"GET /files prefix=users/0f9e-sub/d/ max-keys=1000" + ofOwner}},
		"get":    {"GET", "/storage/objects/a?redirect=false", "", nil, 200, []string{stat}},
		"delete": {"DELETE", "/storage/objects/a", "", nil, 204, []string{stat, "DELETE /files/users/0f9e-sub/a" + ofOwner}},
		"delete this version": {
			"DELETE", "/storage/objects/a", "",
			[]string{"If-Match", `"1"`},
			204,
			[]string{stat, "DELETE /files/users/0f9e-sub/a\n  if-match: \"1\"" + ofOwner},
		},
		"delete any version but one": {
			"DELETE", "/storage/objects/a", "",
			[]string{"If-None-Match", `"0"`},
			204,
			[]string{stat, "DELETE /files/users/0f9e-sub/a\n  if-match: \"1\"" + ofOwner},
		},
		"delete what there is": {
			"DELETE", "/storage/objects/a", "",
			[]string{"If-Match", "*"},
			204,
			[]string{stat, "DELETE /files/users/0f9e-sub/a\n  if-match: \"1\"" + ofOwner},
		},
		"delete what there is not": {"DELETE", "/storage/objects/a", "", []string{"If-None-Match", "*"}, 412, []string{stat}},
		"ask for another version":  {"HEAD", "/storage/objects/a", "", []string{"If-None-Match", `"0", *`}, 304, []string{stat}},
		"delete another version":   {"DELETE", "/storage/objects/a", "", []string{"If-Match", `"0"`}, 412, []string{stat}},
		"delete a folder": {
			"DELETE", "/storage/objects/d/?recursive=true", "", nil, 200,
			[]string{"GET /files prefix=users/0f9e-sub/d/ max-keys=1000" + ofOwner, "POST /files delete" + ofOwner + "\n  deletes users/0f9e-sub/d/1\n  deletes users/0f9e-sub/d/2"},
		},
		"copy": {
			"POST", "/storage/copies", `{"from":"a","to":"b"}`, nil, 201,
			[]string{stat, "PUT /files/users/0f9e-sub/b\n  x-amz-copy-source: files/users/0f9e-sub/a\n  x-amz-copy-source-if-match: \"1\"" + ofOwner +
				"\n  x-amz-source-expected-bucket-owner: 111122223333" + encrypted},
		},
		"copy to a new key": {
			"POST", "/storage/copies", `{"from":"a","to":"new","if_none_match":"*"}`, nil, 201,
			[]string{
				stat, "HEAD /files/users/0f9e-sub/new" + ofOwner, "HEAD /files" + ofOwner,
				"PUT /files/users/0f9e-sub/new\n  if-none-match: *\n  x-amz-copy-source: files/users/0f9e-sub/a\n  x-amz-copy-source-if-match: \"1\"" + ofOwner +
					"\n  x-amz-source-expected-bucket-owner: 111122223333" + encrypted,
			},
		},
		"usage": {"GET", "/storage/usage", "", nil, 200, []string{"GET /files prefix=users/0f9e-sub/" + ofOwner, "GET /files prefix=users/0f9e-sub/ uploads" + ofOwner}},
	} {
		t.Run(name, func(t *testing.T) {
			if rec := ask(t, h, c.method, c.path, c.body, c.headers...); rec.Code != c.status {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
			s3.wantRequests(t, c.want...)
		})
	}
}

// TestRequestsForParts holds what S3 is asked for an upload in parts.
func TestRequestsForParts(t *testing.T) {
	s3, h := recorded(t, 10, nil)
	created := answerOf[struct {
		UploadID string `json:"upload_id"`
	}](t, h, "POST", "/storage/multipart", `{"key":"b","content_type":"text/plain","size":10,"metadata":{"author":"me"},"if_match":"\"7\""}`, 201)
	s3.wantRequests(t,
		"POST /files/users/0f9e-sub/b uploads"+ofOwner+encrypted+"\n  content-type: text/plain\n  x-amz-meta-author: me",
		"GET /files prefix=users/0f9e-sub/ uploads"+ofOwner)
	upload := "/storage/multipart/" + created.UploadID
	const parts = "GET /files/users/0f9e-sub/b uploadId=u1" + ofOwner
	for _, c := range []struct {
		method, path string
		status       int
		want         []string
	}{
		{"GET", upload + "?key=b", 200, []string{parts}},
		{"POST", upload + "/complete", 201, []string{
			parts, "POST /files/users/0f9e-sub/b uploadId=u1\n  if-match: \"7\"" + ofOwner + "\n  x-amz-mp-object-size: 10", "HEAD /files/users/0f9e-sub/b" + ofOwner,
		}},
		{"DELETE", upload, 204, []string{"DELETE /files/users/0f9e-sub/b uploadId=u1" + ofOwner}},
	} {
		if rec := ask(t, h, c.method, c.path, ""); rec.Code != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, rec.Code, rec.Body)
		}
		s3.wantRequests(t, c.want...)
	}
}

// TestSignedRequestsNameTheOwner: the owner is part of what browsers are given, too.
func TestSignedRequestsNameTheOwner(t *testing.T) {
	_, h := recorded(t, 10, nil)
	created := answerOf[struct {
		UploadID string `json:"upload_id"`
	}](t, h, "POST", "/storage/multipart", `{"key":"b","content_type":"","size":10}`, 201)
	for _, r := range [][3]string{
		{"POST", "/storage/uploads", minimal},
		{"GET", "/storage/objects/a?redirect=false", ""},
		{"POST", "/storage/multipart/" + created.UploadID + "/parts", `{"key":"b","part_numbers":[1]}`},
	} {
		if rec := ask(t, h, r[0], r[1], r[2]); rec.Code/100 != 2 || !strings.Contains(rec.Body.String(), "111122223333") {
			t.Errorf("%s %s: %d %s", r[0], r[1], rec.Code, rec.Body)
		}
	}
}

// TestCopyOfALargeObject: an object that may not be uploaded may not be copied either, also if
// the limit was lowered since, nor one that S3 cannot copy at once.
func TestCopyOfALargeObject(t *testing.T) {
	for name, c := range map[string]struct {
		size, limit int64
		code        string // "" if it is copied
	}{
		"as large as allowed":  {1000, 1000, ""},
		"over the limit":       {1001, 1000, "too_large"},
		"as large as S3 takes": {storage.MaxPutSize, 2 * storage.MaxPutSize, ""},
		"over what S3 takes":   {storage.MaxPutSize + 1, 2 * storage.MaxPutSize, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			s3, h := recorded(t, c.size, func(cfg *storage.Config) { cfg.MaxSize = c.limit })
			if c.code == "" {
				answerOf[listed](t, h, "POST", "/storage/copies", `{"from":"a","to":"b"}`, 201)
				return
			}
			wantCode(t, h, "POST", "/storage/copies", `{"from":"a","to":"b"}`, 413, c.code)
			s3.wantRequests(t, "HEAD /files/users/0f9e-sub/a"+ofOwner)
		})
	}
}

// listed is the JSON form of an object.
type listed struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
}
