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
