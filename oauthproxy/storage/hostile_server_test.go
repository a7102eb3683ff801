//go:build e2e

package storage_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hostileKeys returns keys with which somebody would try to leave the own folder, to meet
// another key, or to break a parser.
func hostileKeys() []string {
	parts := []string{
		// traversal, in every spelling that some server decodes
		"..", ".", "...", "....", "..;", ";..", "..;x=1", ".;", ". .", " ..", ".. ", "..\t", "%2e%2e", "%2E%2E", "%2e.", ".%2e", "%252e%252e", "%c0%ae%c0%ae", "%u002e%u002e",
		"..%2f", "%2e%2e%2f", "..%5c", "..\\", "\\..", "..%00", "..%0a", "．．", "․․", "‥", "。。", "..\u200b", "\u200b..", "..\u00ad", ".\u0307", "\ufe52\ufe52", "..~", "~", "~root", "-", "--",
		// slashes and what looks like them
		"%2f", "%2F", "%5c", "%252f", "\\", "∕", "⁄", "／", "＼", "\u29f8", "a%2fb", "a\\b", ":", "C:", "C:\\x", "file:", "\\\\host",
		// control characters and marks
		"\x00", "a\x00b", "\x00..", "\n", "a\nb", "\r\n", "\t", "\x1b[2J", "\x7f", "\u0085", "\u2028", "\u2029", "\u202e", "\u202egpj.exe", "\u2066x\u2069", "\u200f", "\ufeff", "\u0000", "\u00a0", "\u3000", "\u180e",
		// normal forms and lookalikes
		"é", "e\u0301", "Å", "Å", "ﬁ", "ß", "ẞ", "İ", "ı", "K", "а", "ⅷ", "①", "가", "\u1100\u1161", "🏳️‍🌈", "👩‍👩‍👧", "\U000e0041", "\ufffd", "\uffff",
		// names that mean something to somebody
		"soap", "Soap", "con", "CON", "nul.txt", "aux", "lpt1", "desktop.ini", ".htaccess", ".git", ".sgwtmp-x", "index.html", "?", "#", "?x=1", "#x", "&X-Amz-Expires=604800", "X-Amz-Signature=x",
		"*", "|", "<", ">", "\"", "'", "`", "$", "$(x)", "${sub}", "{sub}", "{key}", "<script>", "' OR 1=1", "-rf", "+", "a+b", "a b", " ", "  ", " a", "a ", "a.", "a..", "a...", ".a", "@", "=", ",", "!", "^", "[", "]", "(", ")", "{", "}", ";", "%", "%%", "%zz", "100%", "%00", "%0a", "%41",
		"users", "user-b", "user-a", "USER-A", "null", "undefined", "NaN", "true", "0", "-1", "1e3",
		strings.Repeat("n", 255), strings.Repeat("n", 256), strings.Repeat("ä", 127), strings.Repeat("🏳", 64), strings.Repeat("k", 900), strings.Repeat("k", 901), strings.Repeat("ä", 450), strings.Repeat("ä", 451), strings.Repeat("a/", 449) + "ab", strings.Repeat("a/", 451),
	}
	keys := []string{"", "/", "//", "///", "a/", "/a", "a//b", "./a", "a/.", "a/./b", "a/..", "a/../b", "../user-b/x", "..//user-b/x", "a/../../user-b/x", "../../etc/passwd", "/users/user-b/x", "users/user-b/x", "../user-ab/x"}
	for _, part := range parts {
		keys = append(keys, part, "d/"+part+"/x")
	}
	return keys
}

// Every key is either refused everywhere, or names exactly one object in the user's own
// folder, everywhere.
func TestServerHostileKeys(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	const folder = "users/user-a/"
	keys := hostileKeys()
	if len(keys) < 300 {
		t.Fatalf("%d keys", len(keys))
	}
	stored, unfit := 0, 0
	for i, key := range keys {
		path := "/storage/objects/" + url.PathEscape(key)
		if i%2 == 0 { // slashes as they are
			path = (&url.URL{Path: "/storage/objects/" + key}).EscapedPath()
		}
		rec := ask(t, h, http.MethodPost, "/storage/uploads", note(t, map[string]any{"key": key}))
		if rec.Code == http.StatusBadRequest {
			wantRefusedEverywhere(t, h, key, path)
			continue
		}
		if rec.Code != http.StatusCreated {
			t.Errorf("%q: %d %s", key, rec.Code, rec.Body)
			continue
		}
		got := roundTrip(t, presigned(t, h, note(t, map[string]any{"key": key}), noteText))
		if got.status != http.StatusOK {
			// A file system has names that it does not take, unlike S3.
			if left := keysOf(t, server); len(left) > 0 {
				t.Errorf("%q: S3 answered %d %s, and has %q", key, got.status, got.body, left)
			}
			unfit++
			continue
		}
		stored++
		if diff := cmp.Diff([]string{folder + key}, keysOf(t, server)); diff != "" {
			t.Fatalf("%q: stored elsewhere:\n%s", key, diff)
		}
		if diff := cmp.Diff([]string{key}, answerOf[page](t, h, http.MethodGet, "/storage/objects?prefix="+url.QueryEscape(key), "", 200).keys()); diff != "" {
			t.Errorf("%q in the list:\n%s", key, diff)
		}
		if location := ask(t, h, http.MethodGet, path, "").Header().Get("Location"); location == "" || fetch(t, location).body != noteText {
			t.Errorf("%q is not read back from %q", key, location)
		}
		copyAndDelete(t, h, key, path)
		if left := keysOf(t, server); len(left) > 0 {
			t.Fatalf("%q: %q are left", key, left)
		}
		uploadInParts(t, h, key, path)
		if left := keysOf(t, server); len(left) > 0 {
			t.Fatalf("%q: %q are left", key, left)
		}
	}
	t.Logf("%d keys: %d stored, %d that the file system does not take", len(keys), stored, unfit)
	if stored < 150 || unfit > 40 {
		t.Errorf("only %d of %d keys were stored", stored, len(keys))
	}
}

func wantRefusedEverywhere(t *testing.T, h http.Handler, key, path string) {
	t.Helper()
	wantCode(t, h, http.MethodPost, "/storage/multipart", note(t, map[string]any{"key": key}), 400, "invalid_request")
	wantCode(t, h, http.MethodPost, "/storage/copies", jsonOf(t, map[string]any{"from": key, "to": "x"}), 400, "invalid_request")
	wantCode(t, h, http.MethodPost, "/storage/copies", jsonOf(t, map[string]any{"from": "x", "to": key}), 400, "invalid_request")
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
		wantCode(t, h, method, path, "", 400, "invalid_request")
	}
	trimmed := strings.TrimSuffix(key, "/") // a prefix may end with one slash
	if rec := ask(t, h, http.MethodPost, "/storage/uploads", note(t, map[string]any{"key": trimmed})); rec.Code == http.StatusBadRequest && key != "" {
		wantCode(t, h, http.MethodGet, "/storage/objects?prefix="+url.QueryEscape(key), "", 400, "invalid_request")
	}
}

func copyAndDelete(t *testing.T, h http.Handler, key, path string) {
	t.Helper()
	answerOf[listedObject](t, h, http.MethodPost, "/storage/copies", jsonOf(t, map[string]any{"from": key, "to": "zz-copy"}), 201)
	if rec := ask(t, h, http.MethodDelete, path, ""); rec.Code != http.StatusNoContent {
		t.Errorf("%q: deleting: %d %s", key, rec.Code, rec.Body)
	}
	answerOf[listedObject](t, h, http.MethodPost, "/storage/copies", jsonOf(t, map[string]any{"from": "zz-copy", "to": key}), 201)
	for _, path := range []string{path, "/storage/objects/zz-copy"} {
		if rec := ask(t, h, http.MethodDelete, path, ""); rec.Code != http.StatusNoContent {
			t.Errorf("%q: deleting: %d %s", key, rec.Code, rec.Body)
		}
	}
}

func uploadInParts(t *testing.T, h http.Handler, key, path string) {
	t.Helper()
	p := createParts(t, h, map[string]any{"key": key, "content_type": "text/plain", "size": len(noteText)})
	p.put(t, h, func(int64, int64) io.Reader { return strings.NewReader(noteText) }, 1)
	if got := answerOf[listedObject](t, h, http.MethodPost, p.path("/complete"), "", 201); got.Key != key {
		t.Errorf("%q was completed as %q", key, got.Key)
	}
	if rec := ask(t, h, http.MethodDelete, path, ""); rec.Code != http.StatusNoContent {
		t.Errorf("%q: deleting: %d %s", key, rec.Code, rec.Body)
	}
}

// Two users who write the same relative key at the same time never meet.
func TestServerRacingUsersNeverMeet(t *testing.T) {
	server := startServer(t)
	cfg := configAt(t, server, 0)
	done := make(chan error)
	for _, user := range []string{"abc", "abcd"} {
		h := mustNew(t, cfg, authority{subject: user})
		text := "of " + user + strings.Repeat(".", 10-len(user))
		body := note(t, map[string]any{"key": "same", "size": len(text)})
		go func() {
			for range 20 {
				r := presigned(t, h, body, text)
				location := ""
				if got := roundTrip(t, r); got.status == http.StatusOK {
					location = ask(t, h, http.MethodGet, "/storage/objects/same", "").Header().Get("Location")
				}
				if got := fetch(t, location); got.body != text {
					done <- fmt.Errorf("%s read %q", user, got.body)
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
