package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/secret"
)

// TestReadmeMakesKeys runs the README's own command for the first key. For a rotation it
// has a link only: pasted at once, the commands for several replicas would log users out.
func TestReadmeMakesKeys(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for line := range strings.Lines(string(readme)) {
		if strings.Contains(line, "session_keys") && (strings.Contains(line, "keygen") || strings.Contains(line, "mv ")) {
			commands = append(commands, line)
		}
	}
	if len(commands) != 1 || !strings.Contains(string(readme), "(config/deploy/keys.md#rotating-keys)") {
		t.Fatalf("the README has these commands for keys, or no link to the rotation: %q", commands)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".build"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program(t), filepath.Join(dir, ".build", "tokenhandler")); err != nil {
		t.Fatal(err)
	}
	if keys := runKeyCommand(t, dir, commands[0]); len(keys) != 1 {
		t.Errorf("%d keys", len(keys))
	}
	info, err := os.Stat(filepath.Join(dir, "session_keys"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
}

// TestTheKeysPageRotates runs the commands of config/deploy/keys.md as they stand there:
// append a key, see its id, move it to the top, remove the old one.
func TestTheKeysPageRotates(t *testing.T) {
	page, err := os.ReadFile("../../config/deploy/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for line := range strings.Lines(string(page)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "(umask 077") || strings.HasPrefix(line, "new=") || strings.HasPrefix(line, "old=") {
			steps = append(steps, line)
		}
	}
	if len(steps) != 5 {
		t.Fatalf("the page has %d steps: %q", len(steps), steps)
	}
	bin, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(program(t), filepath.Join(bin, "tokenhandler")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	// Without a line feed at its end, as an editor may leave a file.
	const first = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY="
	if err := os.WriteFile(filepath.Join(dir, "session_keys"), []byte("# since March\n"+first), 0o600); err != nil {
		t.Fatal(err)
	}
	rotate := func(steps ...string) []string {
		return runKeyCommand(t, dir, "set -e; keys=session_keys\n"+strings.Join(steps, "\n"))
	}
	appended := rotate(steps[0], steps[1], `test "$(tokenhandler keygen --ids "$keys" | sed -n 2p | cut -f 1)" = "$new"`)
	if len(appended) != 2 || appended[0] != first {
		t.Errorf("appended: the first key is not the old one, or %d keys", len(appended))
	}
	moved := rotate(steps[2])
	if len(moved) != 2 || moved[0] != appended[1] || moved[1] != first {
		t.Errorf("moved: %d keys, or in the wrong order", len(moved))
	}
	removed := rotate(steps[3], `test "$old" = 063abc8a`, steps[4])
	if len(removed) != 1 || removed[0] != appended[1] {
		t.Errorf("removed: %d keys, or the wrong one", len(removed))
	}
}

// TestTheKeysPageWaitsForReplicas: the commands with which the page waits count a replica
// once it has read the new key, and once it encrypts with it.
func TestTheKeysPageWaitsForReplicas(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../config/deploy/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const old, added = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY=\n", "QUJDREVGMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk=\n"
	file, next := filepath.Join(dir, "session_keys"), filepath.Join(dir, "next")
	write := func(file, content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, old)
	s := serve(t, configuration(newPool(t), "http://localhost:1"), "TH_SESSION__KEYS_FILE="+file)
	var waits []string
	for line := range strings.Lines(string(page)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "curl ") {
			waits = append(waits, strings.Replace(line, "127.0.0.1:9090", s.admin, 1))
		}
	}
	if len(waits) != 2 {
		t.Fatalf("the page has %d commands: %q", len(waits), waits)
	}
	count := func(step int, file string) string {
		ids, err := exec.CommandContext(t.Context(), program(t), "keygen", "--ids", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(ids)), "\n")
		newest, _, _ := strings.Cut(lines[(1-step)*(len(lines)-1)], "\t")                               // appended, then moved to the top
		out, _ := exec.CommandContext(t.Context(), "sh", "-c", "new="+newest+"; "+waits[step]).Output() // grep fails for 0
		return strings.TrimSpace(string(out))
	}
	for step, content := range []string{old + added, added + old} {
		write(next, content) // the service reads its own file every 10 seconds
		if got := count(step, next); got != "0" {
			t.Errorf("step %d: %q replicas before the file was read", step, got)
		}
		write(file, content)
		s.signal(syscall.SIGHUP)
		s.out.Wait(t, `"msg":"files read again on request"`, step+1)
		if got := count(step, file); got != "1" {
			t.Errorf("step %d: %q replicas after the file was read", step, got)
		}
	}
	s.signal(syscall.SIGTERM)
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

// runKeyCommand runs a command in dir and returns the keys of the file.
func runKeyCommand(t *testing.T, dir, command string) []string {
	t.Helper()
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
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return reveal(keys)
}

func reveal(keys []secret.String) []string {
	all := make([]string, len(keys))
	for i, key := range keys {
		all[i] = key.Reveal()
	}
	return all
}
