package main

import (
	"context"
	"log"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// withheldEvery is the shortest time between two records about withheld messages: an
// upstream decides how many messages there are.
const withheldEvery = time.Minute

// withholdStandardLog replaces the output of the standard logger. The Transport of
// net/http writes there, past every logger that it was given, and quotes data that an
// upstream sends without a request: an upstream that echoes its requests would put an
// access token on standard error.
func withholdStandardLog(logger *slog.Logger) {
	log.SetOutput(&withheld{log: logger, seldom: rate.Sometimes{Interval: withheldEvery}})
}

// withheld is an output for the standard logger. It counts messages and drops their
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
