package spa_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy/spa"
)

// A file is hashed once per version and not per request, and a new version has a new
// tag although its size, its modification time and perhaps its inode are the same.
func TestETagIsCachedPerVersion(t *testing.T) {
	dir := newDir(t)
	h := newAppAt(t, time.Now().Add(time.Hour), spa.Config{Dir: dir})
	get := func() string { return do(h, "GET", "/sw.js").Header().Get("ETag") }
	first := get()
	if n := h.ReplaceTags(`"cached"`); n != 1 || get() != `"cached"` {
		t.Errorf("%d tags are cached; the tag is %s", n, get())
	}
	changes := map[string]func(name string){
		"rewritten": func(name string) { write(t, name, "flow") },
		"replaced": func(name string) {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
			write(t, name, "leaf")
		},
	}
	name := filepath.Join(dir, "sw.js")
	for how, change := range changes {
		before := changedAt(t, name)
		for change(name); changedAt(t, name) == before; { // the file system's clock may be coarse
			change(name)
		}
		if tag := get(); tag == first || tag == `"cached"` {
			t.Errorf("%s: the tag is still %s", how, tag)
		}
		h.ReplaceTags(`"cached"`)
	}
}

func changedAt(t *testing.T, name string) syscall.Timespec {
	t.Helper()
	var stat syscall.Stat_t
	if err := syscall.Stat(name, &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Ctim
}

// A second change may follow that the file system's clock does not distinguish.
func TestETagOfAFreshFileIsNotCached(t *testing.T) {
	dir := newDir(t)
	h := newAppAt(t, time.Now().Add(-time.Hour), spa.Config{Dir: dir})
	do(h, "GET", "/sw.js")
	if n := h.ReplaceTags(`"cached"`); n != 0 {
		t.Errorf("%d tags are cached", n)
	}
}
