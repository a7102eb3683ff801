package process_test

import (
	"errors"
	"syscall"
	"testing"

	"cognito-token-handler/test/devstack/process"
)

// TestFreePortIsHeld: the system chooses no port that is bound, and without SO_REUSEADDR nobody can bind it.
func TestFreePortIsHeld(t *testing.T) {
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(socket) }()
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("binding port %d: %v", port, err)
	}
}
