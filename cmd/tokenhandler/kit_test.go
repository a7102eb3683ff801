package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cognito-token-handler/test/testkit"
)

// buildDir is the folder that the program is built in.
var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "tokenhandler"); err != nil {
		panic(err)
	}
	code := testkit.RunWaiting(m, 6)
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

// build builds the program once for all tests, and keeps its symbols, but nothing for
// debuggers, which takes the linker a third of its time. It returns the program's path and the compiler's output, separated by a newline. The
// methods of gorilla sessions are so short that the compiler would put them into
// their callers and leave no symbol, so inlining is off for that package.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "tokenhandler")
	out, err := exec.Command("go", "build", "-ldflags=-w", "-gcflags=github.com/gorilla/sessions=-l", "-o", path, ".").CombinedOutput()
	return path + "\n" + string(out), err
})

func program(t *testing.T) string {
	t.Helper()
	result, err := build()
	path, out, _ := strings.Cut(result, "\n")
	if err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return path
}

// service is the program, running with a configuration.
type service struct {
	t             *testing.T
	cmd           *exec.Cmd
	out           testkit.Log
	ended         chan error
	public, admin string
}

// serve starts the program with the given configuration and further environment
// variables. It returns when the program listens.
func serve(t *testing.T, config string, environ ...string) *service {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, cmd: exec.CommandContext(t.Context(), program(t), "--config", file), ended: make(chan error, 1)}
	s.cmd.Env = append(os.Environ(), environ...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("the program wrote:\n%s", s.out.String())
		}
	})
	testkit.Eventually(s.t, "listening", func() bool {
		for line := range strings.Lines(s.out.String()) {
			var record struct{ Msg, Public, Admin string }
			if json.Unmarshal([]byte(line), &record) == nil && record.Msg == "listening" {
				s.public, s.admin = record.Public, record.Admin
			}
		}
		return s.public != ""
	})
	return s
}

// signal sends a signal to the program.
func (s *service) signal(signal os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Error(err)
	}
}

// end waits until the program has ended, and returns the error of [exec.Cmd.Wait].
func (s *service) end() error {
	s.t.Helper()
	return testkit.Receive(s.t, s.ended, "the end of the program")
}
