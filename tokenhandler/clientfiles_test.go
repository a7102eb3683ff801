package tokenhandler_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/client"
)

// TestClientFiles checks that a page can import the client, and that a browser that has it
// does not load it again.
func TestClientFiles(t *testing.T) {
	a := newApp(t, settings{allowed: []string{"http://127.0.0.1:3000"}})
	for path, want := range map[string]struct {
		content []byte
		kind    string
	}{
		"/auth/client.js":   {client.Core, "text/javascript; charset=utf-8"},
		"/auth/client.d.ts": {client.Types, "application/typescript; charset=utf-8"},
	} {
		res := a.browser().Fetch(http.MethodGet, path, "")
		if res.Status != http.StatusOK || !bytes.Equal(res.Body, want.content) || len(res.Body) == 0 || res.Header.Get("Content-Type") != want.kind {
			t.Errorf("%s: %d %s, %d bytes", path, res.Status, res.Header.Get("Content-Type"), len(res.Body))
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(res.Header.Get("Cache-Control"), "public, max-age=") || len(res.Header["Set-Cookie"]) > 0 {
			t.Errorf("%s: %v", path, res.Header)
		}
		tag := res.Header.Get("ETag")
		again := a.send(t.Context(), http.MethodGet, path, http.Header{"If-None-Match": {tag}})
		if tag == "" || again.Status != http.StatusNotModified || len(again.Body) > 0 {
			t.Errorf("%s again: %d, ETag %q", path, again.Status, tag)
		}
		head := a.send(t.Context(), http.MethodHead, path, nil)
		if head.Status != http.StatusOK || len(head.Body) > 0 {
			t.Errorf("HEAD %s: %d", path, head.Status)
		}
		other := a.browser().FetchFrom("http://127.0.0.1:3000", http.MethodGet, a.url+path, "")
		if other.Blocked || !bytes.Equal(other.Body, want.content) {
			t.Errorf("%s from an allowed origin: %v", path, other.Err)
		}
		testkit.WantProblem(t, a.browser().Fetch(http.MethodPost, path, "").Answer(), http.StatusMethodNotAllowed, "method_not_allowed")
	}
}
