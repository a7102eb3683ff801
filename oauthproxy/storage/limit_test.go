package storage_test

import (
	"net/http"
	"testing"

	"cognito-token-handler/tokenhandler/web"
)

// TestWhatSignsIsLimited: whatever hands out URLs asks the limit first, with the session's
// name, and the browser gets its cookies all the same. Nothing else is limited.
func TestWhatSignsIsLimited(t *testing.T) {
	cfg := goodConfig(t)
	cfg.HTTPClient = inProcess{&folderS3{objects: map[string]int64{}}}
	var asked []string
	cfg.Limit = func(session string) error {
		asked = append(asked, session)
		return web.NewProblem(web.CodeRateLimited, "", nil).RetryAfter(0).By(web.LimitPresigns)
	}
	h := mustNew(t, cfg, authority{subject: subject})
	for _, tt := range []struct {
		method, path string
		signs        bool
	}{
		{http.MethodPost, "/storage/uploads", true},
		{http.MethodGet, "/storage/objects/a", true},
		{http.MethodPost, "/storage/multipart", true},
		{http.MethodPost, "/storage/multipart/x/parts", true},
		{http.MethodGet, "/storage/objects", false},
		{http.MethodDelete, "/storage/objects/a", false},
		{http.MethodDelete, "/storage/multipart/x", false},
	} {
		asked = nil
		rec := send(t, h, tt.method, tt.path, "application/json", "{}")
		limited := rec.Code == http.StatusTooManyRequests && rec.Header().Get("Retry-After") == "1"
		if limited != tt.signs || (len(asked) == 1) != tt.signs || tt.signs && asked[0] != "0123456789abcdef" || rec.Header().Get("Set-Cookie") == "" {
			t.Errorf("%s %s: %d, asked for %q, %v", tt.method, tt.path, rec.Code, asked, rec.Header())
		}
	}
}
