//go:build e2e

package deploy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/testkit"
)

// unprivileged is the user and the group that the service runs as.
const unprivileged = 65532

// root is the root file system of a machine or a container.
type root struct {
	t   *testing.T
	dir string
}

// newRoot returns an empty root file system, except for the name localhost.
func newRoot(t *testing.T) root {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test changes its root directory: run it as root")
	}
	r := root{t, t.TempDir()}
	if err := os.Chmod(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.write("/etc/hosts", "127.0.0.1 localhost\n", 0o644)
	return r
}

func (r root) path(name string) string { return filepath.Join(r.dir, name) }

// write writes a file and makes its directories.
func (r root) write(name, content string, mode os.FileMode) {
	r.t.Helper()
	path := r.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		r.t.Fatal(err)
	}
}

func (r root) read(name string) string {
	r.t.Helper()
	content, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(content)
}

// command returns a program of the root file system, which sees nothing outside of it.
func (r root) command(ctx context.Context, user uint32, environ []string, line ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir, cmd.Env = "/", append([]string{"PATH=/usr/bin"}, environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.dir, Credential: &syscall.Credential{Uid: user, Gid: user}}
	return cmd
}

// run runs a program of the root file system to its end and returns what it wrote.
func (r root) run(user uint32, environ []string, line ...string) string {
	r.t.Helper()
	return succeed(r.t, r.command(r.t.Context(), user, environ, line...))
}

// serve starts the service in the root file system, waits until it is ready, and ends it.
func (r root) serve(environ []string, line ...string) {
	t := r.t
	t.Helper()
	socket := r.listen("/run/notify")
	var out testkit.Log
	cmd := r.command(t.Context(), unprivileged, append(environ, "NOTIFY_SOCKET=/run/notify"), line...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if t.Failed() {
			t.Logf("the service wrote:\n%s", out.String())
		}
	})
	state := receive(t, socket)
	admin := started.FindStringSubmatch(state)
	if admin == nil {
		t.Fatalf("systemd was told %q", state)
	}
	testkit.Eventually(t, "ready", func() bool { return status(t, "http://"+admin[1]+"/readyz") == http.StatusOK })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if state := receive(t, socket); !strings.HasPrefix(state, "STOPPING=1\n") {
		t.Errorf("systemd was told %q", state)
	}
	if err := testkit.Receive(t, ended, "the end of the service"); err != nil {
		t.Error(err)
	}
}

// started is what the service tells systemd when it listens.
var started = regexp.MustCompile(`^READY=1\nSTATUS=listening on \S+, administration on (\S+)$`)

// listen opens a socket for messages to systemd.
func (r root) listen(name string) *net.UnixConn {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o755); err != nil {
		r.t.Fatal(err)
	}
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: r.path(name), Net: "unixgram"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = socket.Close() })
	if err := os.Chmod(r.path(name), 0o777); err != nil {
		r.t.Fatal(err)
	}
	return socket
}

func receive(t *testing.T, from *net.UnixConn) string {
	t.Helper()
	if err := from.SetReadDeadline(time.Now().Add(testkit.Deadline)); err != nil {
		t.Fatal(err)
	}
	state := make([]byte, 1<<10)
	n, err := from.Read(state)
	if err != nil {
		t.Fatal(err)
	}
	return string(state[:n])
}

// status sends a GET request. The result is 0 if there is no response.
func status(t *testing.T, address string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Timeout: testkit.Deadline}).Do(r)
	if err != nil {
		return 0
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// configuration returns a configuration for a provider of this machine. The secrets
// come from elsewhere.
func configuration(pool *cognitotest.Server) string {
	return fmt.Sprintf(`
public_url: http://localhost:8080
listen: localhost:0
admin: {listen: "localhost:0"}
provider: {kind: cognito, issuer: %q, client_id: %q}
api: {routes: [{path: /api/, upstream: "https://api.internal.example.com"}]}
shutdown: {delay: 0s}
`, pool.Issuer(), cognitotest.DefaultClientID)
}

// artifact returns the one file in .build that matches a pattern.
func artifact(t *testing.T, pattern, target string) string {
	t.Helper()
	repo, err := process.RepoDir()
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(repo, ".build", pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d files match .build/%s: run `make %s`", len(found), pattern, target)
	}
	return found[0]
}

// tool returns a program of this machine.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run `make tools` (%v)", name, err)
	}
	return path
}

// succeed runs a command and returns what it wrote.
func succeed(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out.String())
	}
	return out.String()
}

// rpmArchitecture is what rpm calls the architecture of this machine.
func rpmArchitecture() string {
	return map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
}
