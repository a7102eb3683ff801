//go:build e2e

package storage_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cognito-token-handler/test/s3local"
)

// deployedOrigin is the origin in the files.
const deployedOrigin = "https://app.example.com"

// applyCORS replaces the server's own CORS rules by those of the file.
func applyCORS(t *testing.T, server *s3local.Server) {
	t.Helper()
	rules := deployedFile[types.CORSConfiguration](t, "cors.json")
	if _, err := server.Client().PutBucketCors(t.Context(), &s3.PutBucketCorsInput{Bucket: &server.Bucket, CORSConfiguration: &rules}); err != nil {
		t.Fatal(err)
	}
}

// preflight asks the server, as a browser does, whether a page may send a request.
func preflight(t *testing.T, url, origin, method string, headers ...string) fetched {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(headers)
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", method)
	if len(headers) > 0 {
		r.Header.Set("Access-Control-Request-Headers", strings.ToLower(strings.Join(headers, ",")))
	}
	return roundTrip(t, r)
}

// TestServerWithDeployedCORS: the file lets the app's pages send whatever the service
// signs, and what a redirected fetch carries along; other origins, methods and headers
// are refused.
func TestServerWithDeployedCORS(t *testing.T) {
	server := startServer(t)
	applyCORS(t, server)
	h := handlerAt(t, server, "user-a", 0)
	upload, _ := mustUpload(t, h, note(t, map[string]any{
		"key": "a", "checksum_sha256": checksum(noteText), "if_match": `"e"`, "cache_control": "no-cache", "content_disposition": "inline",
		"metadata": map[string]string{"name": "n"},
	}))
	once, _ := mustUpload(t, h, note(t, map[string]any{"key": "b", "if_none_match": "*", "checksum_crc32": "AAAAAA=="}))
	fill(t, server, "users/user-a/c")
	download := answerOf[struct{ URL string }](t, h, http.MethodGet, "/storage/objects/c?redirect=false", "", 200)
	for name, c := range map[string]struct {
		url, origin, method string
		headers             []string
		allowed             bool
	}{
		"upload":          {upload.URL, deployedOrigin, upload.Method, slices.Collect(maps.Keys(upload.Headers)), true},
		"upload once":     {once.URL, deployedOrigin, once.Method, slices.Collect(maps.Keys(once.Headers)), true},
		"encrypted":       {once.URL, deployedOrigin, http.MethodPut, []string{"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"}, true},
		"download":        {download.URL, deployedOrigin, http.MethodGet, nil, true},
		"redirected":      {download.URL, deployedOrigin, http.MethodGet, []string{"X-CSRF", "X-Expected-Sub", "Range", "If-None-Match"}, true},
		"another origin":  {download.URL, "https://evil.example", http.MethodGet, nil, false},
		"another scheme":  {download.URL, "http://app.example.com", http.MethodGet, nil, false},
		"no origin":       {download.URL, "null", http.MethodGet, nil, false},
		"deletion":        {download.URL, deployedOrigin, http.MethodDelete, nil, false},
		"form":            {download.URL, deployedOrigin, http.MethodPost, nil, false},
		"another header":  {download.URL, deployedOrigin, http.MethodGet, []string{"Authorization"}, false},
		"upload, foreign": {upload.URL, "https://app.example.com.evil.example", upload.Method, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := preflight(t, c.url, c.origin, c.method, c.headers...)
			if allowed := got.status == http.StatusOK && got.header.Get("Access-Control-Allow-Origin") == c.origin; allowed != c.allowed {
				t.Errorf("%d %v %s", got.status, got.header, got.body)
			}
		})
	}
}

// TestServerWithDeployedCORSExposes: a page can read the ETag and the checksum of what it
// has uploaded.
func TestServerWithDeployedCORSExposes(t *testing.T) {
	server := startServer(t)
	applyCORS(t, server)
	r := presigned(t, handlerAt(t, server, "user-a", 0), note(t, map[string]any{"checksum_sha256": checksum(noteText)}), noteText)
	r.Header.Set("Origin", deployedOrigin)
	got := roundTrip(t, r)
	exposed := strings.ToLower(got.header.Get("Access-Control-Expose-Headers"))
	for _, name := range []string{"etag", "x-amz-checksum-sha256", "x-amz-checksum-crc32", "content-range"} {
		if !strings.Contains(exposed, name) {
			t.Errorf("%d: %s is not among %q", got.status, name, exposed)
		}
	}
}
