package spa_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy/spa"
)

// nobody is the id of Linux's user without any rights.
const nobody = 65534

// The error distinguishes missing permissions from an app that was not built. Root may
// read everything, so the test's thread takes the file permissions of nobody.
func TestUnreadableIndex(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "index.html"), shell)
	if err := os.Chmod(filepath.Join(dir, "index.html"), 0); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{dir, filepath.Dir(dir)} { // nobody must be able to open them
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(nobody); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	const want = "opening spa.dir: index.html: opening file: openat index.html: permission denied"
	if h, err := spa.New(spa.Config{Dir: dir, Site: newSite(t, time.Now())}); h != nil || err == nil || err.Error() != want {
		t.Errorf("New = %v, %v; want %s", h, err, want)
	}
}

// TestFilesAreClosed: whatever is asked for, no file stays open.
func TestFilesAreClosed(t *testing.T) {
	dir := newDir(t)
	for name, content := range map[string]string{"about.html": "about", "nonce.html": "__CSP_NONCE__", "assets/style.css.gz": "gzip of the style"} {
		write(t, filepath.Join(dir, name), content)
	}
	unbuilt := t.TempDir()
	h := newApp(t, spa.Config{Dir: dir})
	open := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	for what, do := range map[string]func(){
		"pages": func() { do(h, "GET", "/"); do(h, "GET", "/about"); do(h, "HEAD", "/nonce"); do(h, "GET", "/users/1") },
		"files": func() {
			do(h, "GET", "/sw.js")
			do(h, "GET", "/video.mp4")
			do(h, "GET", "/gone.js")
			do(h, "GET", "/assets")
		},
		"variants":    func() { do(h, "GET", "/assets/style.css", "Accept-Encoding", "gzip") },
		"looking":     func() { spa.TooLong(spa.Config{Dir: dir}) },
		"checking":    func() { _ = spa.Check(dir); _ = spa.Check(unbuilt) },
		"reloading":   func() { _, _ = h.Reload() },
		"not serving": func() { _, _ = spa.New(spa.Config{Dir: unbuilt, Site: newSite(t, time.Now())}) },
	} {
		before := open()
		for range 20 {
			do()
		}
		if after := open(); after > before+5 { // the runtime may open some of its own
			t.Errorf("%s: %d files were open before, and %d after", what, before, after)
		}
	}
}
