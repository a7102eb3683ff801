package main

import (
	"context"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

// withheldEvery is the shortest time between two log records about withheld messages,
// because an upstream can cause any number of messages.
const withheldEvery = time.Minute

// withholdStandardLog replaces the output of the standard logger. The Transport of
// net/http always writes there, and quotes data that an upstream sends without a
// request: if an upstream echoes its requests, an access token would be written to
// standard error.
func withholdStandardLog(logger *slog.Logger) {
	log.SetOutput(&withheld{log: logger, seldom: rate.Sometimes{Interval: withheldEvery}})
}

// withheld is an output for the standard logger that counts messages and drops their
// text.
type withheld struct {
	log    *slog.Logger
	count  atomic.Int64
	seldom rate.Sometimes
}

// Write implements [io.Writer]. Each call is one message.
func (w *withheld) Write(message []byte) (int, error) {
	count := w.count.Add(1)
	w.seldom.Do(func() {
		w.log.WarnContext(context.Background(), "messages of the standard library were withheld: they may quote an upstream", "so_far", count)
	})
	return len(message), nil
}

// surviveBrokenPipes keeps the process alive when the reader of standard error or
// standard output is gone: by default, Go ends a process that writes to such a pipe.
// Unlike [signal.Ignore], this does not change what a child process does.
func surviveBrokenPipes() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}
