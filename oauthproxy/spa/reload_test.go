package spa_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"cognito-token-handler/oauthproxy/spa"
)

// TestReloadFollowsTheDirectory: a link that leads to another build, and a directory that
// was replaced, are served after a reload, without anything of the build before. What cannot
// be served changes nothing.
func TestReloadFollowsTheDirectory(t *testing.T) {
	parent := t.TempDir()
	at := func(name string) string { return filepath.Join(parent, name) }
	write(t, at("one/index.html"), "<title>one</title>")
	write(t, at("one/old.js"), "1")
	write(t, at("two/index.html"), "<title>two</title>")
	write(t, at("two/404.html"), "<title>none</title>")
	write(t, at("two/_next/x.js"), "2")
	write(t, at("broken/app.js"), "3")
	link := at("current")
	turn := func(target string) {
		t.Helper()
		if err := os.Symlink(at(target), at("next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(at("next"), link); err != nil {
			t.Fatal(err)
		}
	}
	turn("one")
	h := newApp(t, spa.Config{Dir: link})
	reload := func(what string, wantChanged, wantFault bool) {
		t.Helper()
		if changed, err := h.Reload(); changed != wantChanged || (err != nil) != wantFault {
			t.Errorf("%s: changed %v, %v", what, changed, err)
		}
	}
	serves := func(path string, status int, body string) {
		t.Helper()
		if rec := do(h, http.MethodGet, path); rec.Code != status || body != "" && rec.Body.String() != body {
			t.Errorf("%s: %d %q, want %d %q", path, rec.Code, rec.Body, status, body)
		}
	}
	reload("nothing is new", false, false)
	write(t, at("one/index.html"), "<title>one, changed</title>")
	reload("a file in it is new", false, false)
	turn("broken")
	reload("no index.html", false, true)
	serves("/", http.StatusOK, "<title>one, changed</title>")
	serves("/old.js", http.StatusOK, "1")
	turn("two")
	serves("/", http.StatusOK, "<title>one, changed</title>")
	reload("another build", true, false)
	reload("the same once more", false, false)
	serves("/", http.StatusOK, "<title>two</title>")
	serves("/old.js", http.StatusNotFound, "")
	serves("/nowhere", http.StatusNotFound, "<title>none</title>") // it is an export of Next.js
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	reload("gone", false, true)
	serves("/", http.StatusOK, "<title>two</title>")
	write(t, at("current/index.html"), "<title>three</title>")
	reload("a directory in its place", true, false)
	serves("/", http.StatusOK, "<title>three</title>")
}
