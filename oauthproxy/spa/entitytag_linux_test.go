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

// Some moments after its last change, a file may be cached.
func TestETagIsCachedWhenAFileHasSettled(t *testing.T) {
	dir := newDir(t)
	changed := changedAt(t, filepath.Join(dir, "sw.js"))
	for after, want := range map[time.Duration]int{2 * time.Second: 0, 2*time.Second + 1: 1} {
		h := newAppAt(t, time.Unix(changed.Unix()).Add(after), spa.Config{Dir: dir})
		do(h, "GET", "/sw.js")
		if n := h.ReplaceTags(`"cached"`); n != want {
			t.Errorf("%s after the change, %d tags are cached, want %d", after, n, want)
		}
	}
}

// Versions of files that are gone do not make the memory grow.
func TestCachedTagsAreBounded(t *testing.T) {
	h := newApp(t, spa.Config{Dir: newDir(t)})
	for n, want := range map[int]int{4096: 4096, 4097: 1} {
		if got := h.CacheTags(n); got != want {
			t.Errorf("of %d versions, %d are cached, want %d", n, got, want)
		}
	}
}
