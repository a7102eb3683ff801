//go:build e2e

package storage_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler/replicas/memory"
)

// The usage counts objects, and the parts of uploads that are not finished. An upload in
// parts is counted once, whatever its state.
func TestServerCountsUploadsInParts(t *testing.T) {
	server := startServer(t)
	cfg := configAt(t, server, 0)
	cfg.MaxSize, cfg.Quota = 100*mib, storage.Quota{Bytes: 30 * mib}
	h := mustNew(t, cfg, authority{subject: "user-a"})
	fill(t, server, "users/user-b/x")
	zeros := func(_, size int64) io.Reader { return io.LimitReader(zero{}, size) }
	body := map[string]any{"key": "k", "content_type": "text/plain", "size": 20 * mib}
	p := createParts(t, h, body)
	wantCode(t, h, http.MethodPost, "/storage/multipart", jsonOf(t, map[string]any{"key": "l", "content_type": "text/plain", "size": 20 * mib}), 403, "quota_exceeded")
	if unfinished(t, server) != 1 {
		t.Errorf("%d uploads: the refused one was not aborted", unfinished(t, server))
	}
	wantUsage := func(h http.Handler, bytes, objects int64) {
		t.Helper()
		if u := usageOf(t, h); u.Bytes != bytes || u.Objects != objects || time.Since(u.AsOf) > time.Minute {
			t.Errorf("%+v, want %d bytes in %d objects", u, bytes, objects)
		}
	}
	wantUsage(h, 20*mib, 1)
	p.put(t, h, zeros, 1, 2)
	wantUsage(h, 20*mib, 1)
	wantUsage(another(t, cfg), 16*mib, 0) // another replica sees what has arrived
	p.put(t, h, zeros, 3)
	answerOf[listedObject](t, h, http.MethodPost, p.path("/complete"), "", 201)
	if u := usageOf(t, h); u.Bytes < 20*mib {
		t.Errorf("%+v", u)
	}
	wantUsage(another(t, cfg), 20*mib, 1)

	// The quota is that of the day on which an upload is completed.
	p = createParts(t, another(t, cfg), map[string]any{"key": "m", "content_type": "text/plain", "size": 10 * mib})
	p.put(t, another(t, cfg), zeros, 1, 2)
	lower := cfg
	lower.Quota.Bytes = 29 * mib
	wantCode(t, another(t, lower), http.MethodPost, p.path("/complete"), "", 403, "quota_exceeded")
	if unfinished(t, server) != 0 {
		t.Error("the upload over the quota was not aborted")
	}
}

// another is a replica that knows nothing of what others have signed.
func another(t *testing.T, cfg storage.Config) *storage.Handler {
	t.Helper()
	cfg.Claims = memory.NewMaps(time.Now, 1000)
	return mustNew(t, cfg, authority{subject: "user-a"})
}

type zero struct{}

func (zero) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A deletion makes room at once, and the count is of this user's folder only.
func TestServerQuota(t *testing.T) {
	server := startServer(t)
	cfg := configAt(t, server, 0)
	cfg.Quota = storage.Quota{Bytes: 100, Objects: 10}
	h := mustNew(t, cfg, authority{subject: "user-a"})
	if status, code := do(t, presigned(t, h, note(t, map[string]any{"size": 90}), strings.Repeat("x", 90))); status != http.StatusOK {
		t.Fatal(status, code)
	}
	wantCode(t, h, http.MethodPost, "/storage/uploads", note(t, map[string]any{"key": "b", "size": 90}), 403, "quota_exceeded")
	// One request may replace the object, but parts lie beside it until they are completed.
	wantCode(t, h, http.MethodPost, "/storage/multipart", note(t, map[string]any{"size": 90}), 403, "quota_exceeded")
	if rec := ask(t, h, http.MethodDelete, "/storage/objects/notes/a.json", ""); rec.Code != http.StatusNoContent {
		t.Fatal(rec.Code)
	}
	// The URL still works, so it counts until it expires. Another replica knows nothing of it.
	wantCode(t, h, http.MethodPost, "/storage/uploads", note(t, map[string]any{"key": "b", "size": 90}), 403, "quota_exceeded")
	mustUpload(t, another(t, cfg), note(t, map[string]any{"key": "b", "size": 90}))
	mustUpload(t, mustNew(t, cfg, authority{subject: "user-b"}), note(t, map[string]any{"key": "b", "size": 90}))
}
