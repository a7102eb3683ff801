//go:build e2e

package storage_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestServerCopies(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	const from = "notes/ä +%20&.json"
	body := note(t, map[string]any{"key": from, "metadata": map[string]string{"author": "me"}})
	if status, code := do(t, presigned(t, h, body, noteText)); status != http.StatusOK {
		t.Fatal(status, code)
	}
	got := answerOf[listedObject](t, h, http.MethodPost, "/storage/copies", jsonOf(t, map[string]any{"from": from, "to": "copy/ü.json", "if_none_match": "*"}), 201)
	if got.Key != "copy/ü.json" || got.Size != int64(len(noteText)) || !strings.HasPrefix(got.ETag, `"`) || time.Since(got.LastModified) > time.Minute {
		t.Errorf("%+v", got)
	}
	if content, contentType := stored(t, server, "users/user-a/copy/ü.json"); content != noteText || contentType != noteType {
		t.Errorf("%q, %q", content, contentType)
	}
	if author := ask(t, h, http.MethodHead, objectPath("copy/ü.json"), "").Header().Get("X-Amz-Meta-Author"); author != "me" {
		t.Errorf("the copy's metadata: %q", author)
	}
	for name, c := range map[string]struct {
		body   map[string]any
		status int
		code   string
	}{
		"exists":          {map[string]any{"from": from, "to": "copy/ü.json", "if_none_match": "*"}, 409, "already_exists"},
		"no source":       {map[string]any{"from": "nothing", "to": "x"}, 404, "not_found"},
		"to itself":       {map[string]any{"from": from, "to": from}, 400, "invalid_request"},
		"no target":       {map[string]any{"from": from}, 400, "invalid_request"},
		"from other user": {map[string]any{"from": "../user-b/x", "to": "x"}, 400, "invalid_request"},
		"to other user":   {map[string]any{"from": from, "to": "../user-b/x"}, 400, "invalid_request"},
		"condition":       {map[string]any{"from": from, "to": "x", "if_none_match": `"x"`}, 400, "invalid_request"},
		"other bucket":    {map[string]any{"from": from, "to": "x", "bucket": "b"}, 400, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, h, http.MethodPost, "/storage/copies", jsonOf(t, c.body), c.status, c.code)
		})
	}
	wantCode(t, handlerAt(t, server, "user-b", 0), http.MethodPost, "/storage/copies", jsonOf(t, map[string]any{"from": from, "to": "x"}), 404, "not_found")
	if diff := cmp.Diff([]string{"users/user-a/copy/ü.json", "users/user-a/" + from}, keysOf(t, server)); diff != "" {
		t.Error(diff)
	}
}

// An empty file is stored, and nothing else under its signature.
func TestServerStoresEmptyFiles(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	empty := note(t, map[string]any{"size": 0, "content_type": ""})
	for name, change := range map[string]func(*http.Request){
		"longer":               func(*http.Request) {},
		"longer, new checksum": func(r *http.Request) { r.Header.Set("X-Amz-Checksum-Sha256", checksum("x")) },
		"longer, no checksum":  func(r *http.Request) { r.Header.Del("X-Amz-Checksum-Sha256") },
		"chunked":              func(r *http.Request) { r.ContentLength = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			r := presigned(t, h, empty, "x")
			change(r)
			if status, _ := do(t, r); status < 400 || status >= 500 {
				t.Errorf("answered %d", status)
			}
			wantEmpty(t, server)
		})
	}
	if status, code := do(t, presigned(t, h, empty, "")); status != http.StatusOK {
		t.Errorf("%d %s", status, code)
	}
	if got := answerOf[page](t, h, http.MethodGet, "/storage/objects", "", 200); len(got.Objects) != 1 || got.Objects[0].Size != 0 {
		t.Errorf("%+v", got)
	}
	if _, contentType := stored(t, server, "users/user-a/notes/a.json"); contentType != "application/octet-stream" {
		t.Errorf("the type is %q", contentType)
	}
}

// A condition on the version is checked by S3.
func TestServerReplacesOnlyTheNamedVersion(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	if status, code := do(t, presigned(t, h, note(t, nil), noteText)); status != http.StatusOK {
		t.Fatal(status, code)
	}
	etag := answerOf[page](t, h, http.MethodGet, "/storage/objects", "", 200).Objects[0].ETag
	upper := strings.ToUpper(noteText)
	if status, _ := do(t, presigned(t, h, note(t, map[string]any{"if_match": `"another"`}), upper)); status != http.StatusPreconditionFailed {
		t.Errorf("another version: %d", status)
	}
	if status, code := do(t, presigned(t, h, note(t, map[string]any{"if_match": etag}), upper)); status != http.StatusOK {
		t.Errorf("this version: %d %s", status, code)
	}
	if status, _ := do(t, presigned(t, h, note(t, map[string]any{"if_match": etag}), noteText)); status != http.StatusPreconditionFailed {
		t.Errorf("the version before: %d", status)
	}
}
