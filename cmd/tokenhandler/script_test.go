package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the built binary with the scripts of testdata/script. Each script
// has commands and the output that is expected of them.
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
