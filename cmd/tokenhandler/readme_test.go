package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cognito-token-handler/config"
)

// TestReadmeMakesAndRotatesKeys runs the README's own commands: the first makes
// a key file, each further one puts a new key in front.
func TestReadmeMakesAndRotatesKeys(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for line := range strings.Lines(string(readme)) {
		if strings.Contains(line, ".build/tokenhandler keygen") {
			commands = append(commands, line)
		}
	}
	if len(commands) != 2 {
		t.Fatalf("the README makes keys by %q", commands)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".build"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program(t), filepath.Join(dir, ".build", "tokenhandler")); err != nil {
		t.Fatal(err)
	}
	var known []string // newest first
	for _, command := range append(commands, commands[1]) {
		sh := exec.CommandContext(t.Context(), "sh", "-c", command)
		sh.Dir = dir
		if out, err := sh.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%s: %v %s", command, err, out)
		}
		content, err := os.ReadFile(filepath.Join(dir, "session_keys"))
		if err != nil {
			t.Fatal(err)
		}
		keys, err := config.ParseKeys(content)
		if err != nil || len(keys) != len(known)+1 {
			t.Fatalf("%s: %d keys, %v", command, len(keys), err)
		}
		for i, old := range known {
			if keys[i+1].Reveal() != old {
				t.Errorf("%s: key %d is not the old one", command, i+2)
			}
		}
		known = append([]string{keys[0].Reveal()}, known...)
	}
	info, err := os.Stat(filepath.Join(dir, "session_keys"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of a rotation: %v, %v", info.Mode(), err)
	}
}
