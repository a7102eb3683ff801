package refresh_test

import (
	"io"
	"log/slog"
	"testing"
)

// testLog shows the service's log with a failing test only.
func testLog(tb testing.TB) *slog.Logger {
	tb.Helper()
	out, ok := tb.(interface{ Output() io.Writer })
	if !ok {
		tb.Fatal("no output")
	}
	return slog.New(slog.NewTextHandler(out.Output(), nil))
}
