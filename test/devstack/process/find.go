package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// RepoDir returns the repository's top folder: the nearest one with a go.mod, upward from the working directory.
func RepoDir() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("finding the repository: no go.mod in %s or above it", start)
		}
	}
}

// Tool returns the path of a program that `make tools` installs, in the folder that TOKENHANDLER_TOOLS names (else the user's
// cache folder).
func Tool(name string) (string, error) {
	dir := os.Getenv("TOKENHANDLER_TOOLS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding %s: %w", name, err)
		}
		dir = filepath.Join(cache, "cognito-token-handler")
	}
	path := filepath.Join(dir, "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not installed (run `make tools`): %w", name, err)
	}
	return path, nil
}

// Environment returns the few variables that every child gets, and the given ones.
func Environment(more ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
	return append(env, more...)
}

// Listen opens the port on localhost, 0 for a free one.
func Listen(port int) (net.Listener, error) {
	listener, err := net.Listen("tcp", Addr(port)) //nolint:noctx // does not wait: localhost is in the hosts file
	if err != nil {
		return nil, fmt.Errorf("listening on localhost: %w", err)
	}
	return listener, nil
}

// Addr is localhost with that port.
func Addr(port int) string { return net.JoinHostPort("localhost", strconv.Itoa(port)) }

// given are the ports that FreePort has returned. The system may choose one again
// before the child that it was for listens on it.
//
//nolint:gochecknoglobals // ports are the machine's
var given sync.Map

// FreePort returns a port of localhost that nobody listens on, and none twice. A child that cannot be handed a listener gets one. On Linux
// the system gives the port to nobody who asks for a free one, in other processes neither, until this process ends.
func FreePort() (int, error) {
	for {
		port, err := hold()
		if err != nil {
			return 0, fmt.Errorf("finding a free port: %w", err)
		}
		if _, again := given.LoadOrStore(port, true); !again {
			return port, nil
		}
	}
}

// Port returns the port that the listener got.
func Port(listener net.Listener) (int, error) {
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("listening on localhost: %s is not a TCP address", listener.Addr())
	}
	return addr.Port, nil
}

// Taken reports whether somebody listens on the port of localhost already, by either of its addresses: a browser may try both.
func Taken(port int) bool {
	for _, host := range []string{"127.0.0.1", "::1"} {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))) //nolint:noctx // does not wait
		if errors.Is(err, syscall.EADDRINUSE) {
			return true
		}
		if err == nil {
			_ = listener.Close()
		}
	}
	return false
}
