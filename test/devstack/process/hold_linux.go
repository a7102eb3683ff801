package process

import (
	"fmt"
	"syscall"
)

// hold binds a socket to a free port and leaves it open. Since it does not listen, a child can: both sockets have SO_REUSEADDR, which
// servers set.
func hold() (int, error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		_ = syscall.Close(socket)
		return 0, err
	}
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		_ = syscall.Close(socket)
		return 0, err
	}
	address, err := syscall.Getsockname(socket)
	if err != nil {
		_ = syscall.Close(socket)
		return 0, err
	}
	bound, ok := address.(*syscall.SockaddrInet4)
	if !ok {
		_ = syscall.Close(socket)
		return 0, fmt.Errorf("%T is not the address of an IPv4 socket", address)
	}
	return bound.Port, nil
}
