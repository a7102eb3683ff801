package main_test

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"cognito-token-handler/test/testkit"
)

var reloading = regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=([1-9]\d*)\n?$`)

// TestSystemdIsNotified: a unit of the type "notify" counts as started when the service
// listens, even though the provider cannot be reached, as reloading from SIGHUP until the
// files are read, and as stopping from the signal on.
func TestSystemdIsNotified(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "notify")
	listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	pool := newPool(t)
	issuer := pool.Issuer()
	config := configuration(pool, "http://localhost:1")
	s := serve(t, strings.Replace(config, issuer, "http://localhost:1/us-east-1_AbCdEfGhI", 1), "NOTIFY_SOCKET="+socket)
	if state := receiveState(t, listener); !strings.HasPrefix(state, "READY=1\nSTATUS=listening on "+s.public+",") {
		t.Errorf("after the start: %q", state)
	}
	for range 2 {
		s.signal(syscall.SIGHUP)
		if state := receiveState(t, listener); !reloading.MatchString(state) {
			t.Errorf("after SIGHUP: %q", state)
		}
		if state := receiveState(t, listener); state != "READY=1" {
			t.Errorf("after the files were read: %q", state)
		}
	}
	s.signal(syscall.SIGTERM)
	if state := receiveState(t, listener); !strings.HasPrefix(state, "STOPPING=1\n") {
		t.Errorf("after SIGTERM: %q", state)
	}
	if err := s.end(); err != nil {
		t.Error(err)
	}
}

func receiveState(t *testing.T, from *net.UnixConn) string {
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
