package testkit_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/testkit"
)

func TestPipeListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testkit.NewPipeListener()
		go func() {
			if conn, err := l.Accept(); err == nil {
				_, _ = io.WriteString(conn, "hello")
				_ = conn.Close()
			}
		}()
		conn, err := l.DialContext(t.Context(), "tcp", "anything:1")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); string(got) != "hello" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := l.DialContext(ctx, "tcp", "anything:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dialling while nobody accepts: %v", err)
		}
		_ = l.Close()
		_ = l.Close() // has no effect
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accepting after the end: %v", err)
		}
		if _, err := l.DialContext(t.Context(), "tcp", "anything:1"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("dialling after the end: %v", err)
		}
	})
}
