package process_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/testkit"
)

// TestMain lets the test binary play a parent that is killed: it starts a child, prints its number and waits for ever.
func TestMain(m *testing.M) {
	if os.Getenv("PLAY_PARENT") == "" {
		os.Exit(m.Run())
	}
	_, err := process.Start(process.Spec{
		Name: "shell", Path: "/bin/sh", Args: []string{"-c", "echo $$; exec sleep 600"},
		OnLine: func(line string) { _, _ = fmt.Println(line) },
	})
	if err != nil {
		os.Exit(1)
	}
	select {}
}

func start(t *testing.T, script string, log *bytes.Buffer) (child *process.Process, lines chan string) {
	t.Helper()
	lines = make(chan string, 100)
	spec := process.Spec{
		Name: "shell", Path: "/bin/sh", Args: []string{"-c", script},
		Env: process.Environment(), OnLine: func(line string) { lines <- line },
	}
	if log != nil {
		spec.Log = process.Prefix(log, "shell")
	}
	p, err := process.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(time.Second) })
	return p, lines
}

func TestOutputIsKeptAndHandedOnByLine(t *testing.T) {
	var log bytes.Buffer
	p, lines := start(t, "printf 'a\\nb'; echo c >&2; exit 3", &log)
	testkit.Receive(t, p.Done(), "the child's end")
	if got := p.Output(); got != "a\nbc\n" {
		t.Errorf("Output = %q", got)
	}
	if a, b := <-lines, <-lines; a != "a" || b != "bc" {
		t.Errorf("lines = %q, %q", a, b)
	}
	if log.String() != "shell | a\nshell | bc\n" {
		t.Errorf("log = %q", log.String())
	}
	if err := p.Err(); !strings.Contains(err.Error(), "exit status 3") || !strings.HasSuffix(err.Error(), "a\nbc") {
		t.Errorf("Err = %v", err)
	}
}

func TestStopKillsTheWholeGroup(t *testing.T) {
	// The shell ignores the polite signal, and so does its own child.
	p, lines := start(t, "trap '' TERM; sleep 600 & echo $!; wait", nil)
	grandchild := number(t, <-lines)
	p.Stop(50 * time.Millisecond)
	awaitGone(t, grandchild)
}

func TestChildDiesWithItsParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "PLAY_PARENT=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	child := number(t, strings.TrimSpace(string(line[:n])))
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	awaitGone(t, child)
}

func TestTaken(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		listener, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Logf("this machine has no %s", host)
			continue
		}
		port, err := process.Port(listener)
		if err != nil {
			t.Fatal(err)
		}
		if !process.Taken(port) {
			t.Errorf("%s: a port in use counts as free", host)
		}
		_ = listener.Close()
		if process.Taken(port) {
			t.Errorf("%s: a free port counts as taken", host)
		}
	}
}

func TestMissingToolNamesTheCure(t *testing.T) {
	t.Setenv("TOKENHANDLER_TOOLS", t.TempDir())
	if _, err := process.Tool("versitygw"); err == nil || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("err = %v", err)
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// awaitGone waits until no live process has that number (one that only waits to be reaped counts as gone).
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	testkit.Eventually(t, fmt.Sprintf("the end of process %d", pid), func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return syscall.Kill(pid, 0) != nil || err != nil || strings.Contains(string(state), ") Z ")
	})
}
