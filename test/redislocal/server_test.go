//go:build e2e

package redislocal_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/test/testkit"
)

func start(t *testing.T) *redislocal.Server {
	t.Helper()
	server, err := redislocal.Start(t.Context(), redislocal.Options{Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ask sends a line and returns the first of the answer, if it comes in time.
func ask(t *testing.T, conn net.Conn, line string, wait time.Duration) (string, error) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return answer, err
}

func want(t *testing.T, conn net.Conn, line, want string) {
	t.Helper()
	if got, err := ask(t, conn, line, testkit.Deadline); err != nil || got != want+"\r\n" {
		t.Errorf("%s = %q, %v, want %q", line, got, err, want)
	}
}

func wantSilence(t *testing.T, conn net.Conn) {
	t.Helper()
	if got, err := ask(t, conn, "PING", 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING = %q, %v, want silence", got, err)
	}
}

func TestRestart(t *testing.T) {
	server := start(t)
	want(t, dial(t, server.Addr()), "SET a 1", "+OK")
	server.Stop()
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Addr()); err == nil {
		_ = conn.Close()
		t.Fatal("a stopped server listens")
	}
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, dial(t, server.Addr()), "EXISTS a", ":1")
	if err := server.Forget(); err == nil {
		t.Error("a running server forgets nothing")
	}
	server.Stop()
	if err := server.Forget(); err != nil {
		t.Fatal(err)
	}
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, dial(t, server.Addr()), "EXISTS a", ":0")
}

func TestHang(t *testing.T) {
	server := start(t)
	conn := dial(t, server.Addr())
	want(t, conn, "PING", "+PONG")
	server.Hang()
	wantSilence(t, conn)
	server.Wake()
	want(t, dial(t, server.Addr()), "PING", "+PONG")
	server.Hang()
	server.Close() // must not wait for a process that cannot hear it
}

func TestNetwork(t *testing.T) {
	server := start(t)
	network, err := redislocal.NewNetwork(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	conn := dial(t, network.Addr())
	want(t, conn, "PING", "+PONG")
	network.SetDelay(50 * time.Millisecond)
	begun := time.Now()
	want(t, conn, "PING", "+PONG")
	if took := time.Since(begun); took < 100*time.Millisecond {
		t.Errorf("there and back took %s", took)
	}
	network.SetDelay(0)
	network.SetDead(true)
	wantSilence(t, conn)
	network.SetDead(false)
	if got, err := ask(t, conn, "PING", testkit.Deadline); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection that lost something goes on: %q, %v", got, err)
	}
	conn = dial(t, network.Addr())
	network.SetDeaf(true)
	wantSilence(t, conn)
	want(t, dial(t, server.Addr()), "PING", "+PONG")
	network.Reset()
	if got, err := ask(t, conn, "PING", testkit.Deadline); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING = %q, %v on a connection that was reset", got, err)
	}
}
