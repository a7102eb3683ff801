package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the real binary by scripts that need no Go to be read: a
// command, then what it says.
func TestScripts(t *testing.T) {
	binary := program(t)
	scripts, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(scripts) < 4 {
		t.Fatalf("found %d scripts, want at least 4: %v", len(scripts), err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
			return nil
		},
	})
}
