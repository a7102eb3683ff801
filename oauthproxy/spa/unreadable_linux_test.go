package spa_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"cognito-token-handler/oauthproxy/spa"
)

// nobody is Linux's user without any rights.
const nobody = 65534

// TestUnreadableIndex tells permissions from an app that was not built. Root may
// read everything, so its thread looks at files as nobody does.
func TestUnreadableIndex(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "index.html"), shell)
	if err := os.Chmod(filepath.Join(dir, "index.html"), 0); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{dir, filepath.Dir(dir)} { // nobody may look into them
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
	if h, err := spa.New(spa.Config{Dir: dir, Site: newSite(t)}); h != nil || err == nil || err.Error() != want {
		t.Errorf("New = %v, %v; want %s", h, err, want)
	}
}
