//go:build e2e

package storage_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"cognito-token-handler/test/s3local"
)

const mib = 1 << 20

// parts is an upload in parts as a client sees it.
type parts struct {
	UploadID  string `json:"upload_id"`
	Key       string `json:"key"`
	PartSize  int64  `json:"part_size"`
	PartCount int    `json:"part_count"`
}

type signedParts struct {
	Parts []struct {
		PartNumber int               `json:"part_number"`
		Size       int64             `json:"size"`
		Method     string            `json:"method"`
		URL        string            `json:"url"`
		Headers    map[string]string `json:"headers"`
	} `json:"parts"`
	ExpiresAt string `json:"expires_at"`
}

type listedParts struct {
	Key       string `json:"key"`
	Size      int64  `json:"size"`
	PartSize  int64  `json:"part_size"`
	PartCount int    `json:"part_count"`
	Parts     []struct {
		PartNumber int    `json:"part_number"`
		Size       int64  `json:"size"`
		ETag       string `json:"etag"`
	} `json:"parts"`
}

func createParts(t *testing.T, h http.Handler, body map[string]any) parts {
	t.Helper()
	return answerOf[parts](t, h, http.MethodPost, "/storage/multipart", jsonOf(t, body), 201)
}

func (p parts) path(step string) string { return "/storage/multipart/" + p.UploadID + step }

func (p parts) sign(t *testing.T, h http.Handler, numbers ...int) signedParts {
	t.Helper()
	return answerOf[signedParts](t, h, http.MethodPost, p.path("/parts"), jsonOf(t, map[string]any{"key": p.Key, "part_numbers": numbers}), 200)
}

// put uploads the parts with these numbers of content, each as it was signed.
func (p parts) put(t *testing.T, h http.Handler, content func(offset, size int64) io.Reader, numbers ...int) {
	t.Helper()
	signed := p.sign(t, h, numbers...)
	var uploads errgroup.Group
	uploads.SetLimit(4)
	for _, part := range signed.Parts {
		uploads.Go(func() error {
			r, err := http.NewRequestWithContext(t.Context(), part.Method, part.URL, content(int64(part.PartNumber-1)*p.PartSize, part.Size))
			if err != nil {
				return err
			}
			r.ContentLength = part.Size
			response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
			if err != nil {
				return err
			}
			defer func() { _ = response.Body.Close() }()
			if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
				return fmt.Errorf("part %d: %d %s", part.PartNumber, response.StatusCode, text)
			}
			return nil
		})
	}
	if err := uploads.Wait(); err != nil {
		t.Fatal(err)
	}
}

func unfinished(t *testing.T, server *s3local.Server) int {
	t.Helper()
	list, err := server.Client().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &server.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Uploads)
}

// pattern is a file of any size without memory: every 8 bytes are their own offset.
func pattern(offset, size int64) io.Reader {
	return io.NewSectionReader(patternAt{}, offset, size)
}

type patternAt struct{}

func (patternAt) ReadAt(p []byte, offset int64) (int, error) {
	for i := range p {
		at := offset + int64(i)
		p[i] = byte(at >> (8 * (at % 8)) * 31)
	}
	return len(p), nil
}

func hashOf(t *testing.T, r io.Reader) [32]byte {
	t.Helper()
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		t.Fatal(err)
	}
	return [32]byte(hash.Sum(nil))
}

// A 64 MiB file goes up in parallel parts, is interrupted and resumed, and is read back
// byte for byte.
func TestServerResumesUploadsInParts(t *testing.T) {
	server := startServer(t)
	cfg := configAt(t, server, 0)
	cfg.MaxSize = 100 * mib
	h := mustNew(t, cfg, authority{subject: "user-a"})
	const size = 64*mib + 12345
	p := createParts(t, h, map[string]any{"key": "big/ä.bin", "content_type": "video/mp4", "size": size, "metadata": map[string]string{"author": "me"}})
	if p.PartSize != 8*mib || p.PartCount != 9 || p.Key != "big/ä.bin" {
		t.Fatalf("%+v", p)
	}
	p.put(t, h, pattern, 1, 2, 3, 9)
	wantCode(t, h, http.MethodPost, p.path("/complete"), "", 400, "invalid_request") // it is not aborted by this

	// Another replica goes on, with what S3 knows.
	h = mustNew(t, cfg, authority{subject: "user-a"})
	there := answerOf[listedParts](t, h, http.MethodGet, p.path("?key=big%2F%C3%A4.bin"), "", 200)
	if there.Size != size || there.PartCount != 9 || len(there.Parts) != 4 || there.Parts[3].Size != 12345 {
		t.Fatalf("%+v", there)
	}
	p.put(t, h, pattern, 4, 5, 6, 7, 8)
	got := answerOf[listedObject](t, h, http.MethodPost, p.path("/complete"), `{"key":"big/ä.bin"}`, 201)
	if got.Key != p.Key || got.Size != size || got.ETag == "" {
		t.Errorf("%+v", got)
	}
	rec := ask(t, h, http.MethodGet, objectPath(p.Key), "")
	stored := fetch(t, rec.Header().Get("Location"))
	if hashOf(t, strings.NewReader(stored.body)) != hashOf(t, pattern(0, size)) || stored.header.Get("Content-Type") != "video/mp4" {
		t.Errorf("read back %d bytes as %s", len(stored.body), stored.header.Get("Content-Type"))
	}
	if author := ask(t, h, http.MethodHead, objectPath(p.Key), "").Header().Get("X-Amz-Meta-Author"); author != "me" {
		t.Errorf("the metadata is %q", author)
	}
	for _, step := range []string{"/complete", ""} { // it is over
		method := map[string]string{"/complete": http.MethodPost, "": http.MethodDelete}[step]
		wantCode(t, h, method, p.path(step), "", 404, "not_found")
	}
}

// Nobody does anything with the upload of another user, whose id is known, nor with an
// id that was made up.
func TestServerKeepsUploadsInPartsApart(t *testing.T) {
	server := startServer(t)
	cfg := configAt(t, server, 0)
	h, other := mustNew(t, cfg, authority{subject: "user-a"}), mustNew(t, cfg, authority{subject: "user-b"})
	p := createParts(t, h, map[string]any{"key": "k", "content_type": "text/plain", "size": 10})
	one := `{"key":"k","part_numbers":[1]}`
	for name, c := range map[string]struct {
		h  http.Handler
		id string
	}{
		"another user": {other, p.UploadID}, "cut": {h, p.UploadID[1:]}, "changed": {h, swapLast(p.UploadID)}, "made up": {h, "abc"},
		"a cursor's form": {h, strings.Repeat("A", 100)},
	} {
		t.Run(name, func(t *testing.T) {
			at := "/storage/multipart/" + c.id
			wantCode(t, c.h, http.MethodPost, at+"/parts", one, 404, "not_found")
			wantCode(t, c.h, http.MethodPost, at+"/complete", "", 404, "not_found")
			wantCode(t, c.h, http.MethodGet, at+"?key=k", "", 404, "not_found")
			wantCode(t, c.h, http.MethodHead, at, "", 404, "not_found")
			wantCode(t, c.h, http.MethodDelete, at, "", 404, "not_found")
		})
	}
	for name, body := range map[string]string{
		"another key": `{"key":"k2","part_numbers":[1]}`, "no key": `{"part_numbers":[1]}`, "no part": `{"key":"k","part_numbers":[]}`, "part 0": `{"key":"k","part_numbers":[0]}`,
		"part 2": `{"key":"k","part_numbers":[2]}`, "twice": `{"key":"k","part_numbers":[1,1]}`, "text": `{"key":"k","part_numbers":["1"]}`,
		"null": `{"key":"k","part_numbers":[null]}`, "huge": `{"key":"k","part_numbers":[4294967297]}`, "many": `{"key":"k","part_numbers":[` + strings.Repeat("1,", 100) + `1]}`,
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, h, http.MethodPost, p.path("/parts"), body, 400, "invalid_request")
		})
	}
	wantCode(t, h, http.MethodGet, p.path("?key=k2"), "", 400, "invalid_request")
	wantCode(t, h, http.MethodDelete, p.path("?key=k2"), "", 400, "invalid_request")
	wantCode(t, h, http.MethodPost, p.path("/complete"), `{"key":"k2"}`, 400, "invalid_request")
	if rec := ask(t, h, http.MethodDelete, p.path(""), ""); rec.Code != http.StatusNoContent || unfinished(t, server) != 0 {
		t.Errorf("aborted: %d, %d left", rec.Code, unfinished(t, server))
	}
	wantEmpty(t, server)
}

// The signed length of a part keeps the object at the declared size.
func TestServerPinsTheSizeOfParts(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	p := createParts(t, h, map[string]any{"key": "k", "content_type": "text/plain", "size": 10})
	part := p.sign(t, h, 1).Parts[0]
	for _, content := range []string{"", "123456789", "12345678901"} {
		r, err := http.NewRequestWithContext(t.Context(), part.Method, part.URL, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		if got := roundTrip(t, r); got.status != http.StatusForbidden {
			t.Errorf("%d bytes: %d", len(content), got.status)
		}
	}
	// Who has S3 credentials of his own stores another size. Completing it aborts.
	id := idOf(t, server)
	_, err := server.Client().UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: &server.Bucket, Key: new("users/user-a/k"), UploadId: &id, PartNumber: new(int32(1)), Body: bytes.NewReader(make([]byte, 11)),
	})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, h, http.MethodPost, p.path("/complete"), "", 400, "invalid_request")
	if unfinished(t, server) != 0 {
		t.Error("the upload was not aborted")
	}
	wantEmpty(t, server)
}

func idOf(t *testing.T, server *s3local.Server) string {
	t.Helper()
	list, err := server.Client().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &server.Bucket})
	if err != nil || len(list.Uploads) != 1 {
		t.Fatal(len(list.Uploads), err)
	}
	return *list.Uploads[0].UploadId
}

// The operator's limit is that of the day on which the upload is completed, and the
// conditions of its creation hold.
func TestServerChecksUploadsInPartsAgain(t *testing.T) {
	server := startServer(t)
	cfg := configAt(t, server, 0)
	h := mustNew(t, cfg, authority{subject: "user-a"})
	text := func(_, size int64) io.Reader { return strings.NewReader(strings.Repeat("x", int(size))) }
	t.Run("limit", func(t *testing.T) {
		p := createParts(t, h, map[string]any{"key": "k", "content_type": "text/plain", "size": 10})
		p.put(t, h, text, 1)
		lower := cfg
		lower.MaxSize = 9
		wantCode(t, mustNew(t, lower, authority{subject: "user-a"}), http.MethodPost, p.path("/complete"), "", 413, "too_large")
		if unfinished(t, server) != 0 {
			t.Error("the upload was not aborted")
		}
		wantEmpty(t, server)
	})
	t.Run("no overwrite", func(t *testing.T) {
		p := createParts(t, h, map[string]any{"key": "k", "content_type": "text/plain", "size": 10, "if_none_match": "*"})
		p.put(t, h, text, 1)
		fill(t, server, "users/user-a/k")
		wantCode(t, h, http.MethodPost, p.path("/complete"), "", 409, "already_exists")
	})
	t.Run("another version", func(t *testing.T) {
		p := createParts(t, h, map[string]any{"key": "k", "content_type": "text/plain", "size": 10, "if_match": `"another"`})
		p.put(t, h, text, 1)
		wantCode(t, h, http.MethodPost, p.path("/complete"), "", 412, "precondition_failed")
	})
	if diff := cmp.Diff([]string{"users/user-a/k"}, keysOf(t, server)); diff != "" {
		t.Error(diff)
	}
	for name, change := range map[string]map[string]any{
		"empty": {"size": 0}, "checksum": {"checksum_sha256": checksum("x")}, "crc": {"checksum_crc32": "AAAAAA=="}, "key": {"key": "../user-b/k"},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, h, http.MethodPost, "/storage/multipart", note(t, change), 400, "invalid_request")
		})
	}
	wantCode(t, h, http.MethodPost, "/storage/multipart", note(t, map[string]any{"size": mib + 1}), 413, "too_large")
}

func TestServerLimitsUnfinishedUploads(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	body := map[string]any{"key": "k", "content_type": "text/plain", "size": 10}
	var last parts
	for range 50 {
		last = createParts(t, h, body)
	}
	wantCode(t, h, http.MethodPost, "/storage/multipart", jsonOf(t, body), 403, "quota_exceeded")
	createParts(t, handlerAt(t, server, "user-b", 0), body)
	if rec := ask(t, h, http.MethodDelete, last.path(""), ""); rec.Code != http.StatusNoContent {
		t.Fatal(rec.Code)
	}
	createParts(t, h, body)
}
