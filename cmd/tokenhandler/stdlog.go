package main

import (
	"context"
	"log"
	"log/slog"
	"sync/atomic"
	"time"
)

// withheldEvery bounds how often withheld messages are counted in our log: it is
// the upstream that decides how many there are.
const withheldEvery = time.Minute

// withholdStandardLog takes the text out of what the standard library says by
// package log, past every logger that it was given. net/http's Transport quotes
// there what an upstream sends unasked: one that echoes its request would put an
// access token on standard error.
func withholdStandardLog(logger *slog.Logger) {
	log.SetOutput(&withheld{log: logger})
}

// withheld is the standard logger's output. It keeps no byte of what it is given.
type withheld struct {
	log        *slog.Logger
	count      atomic.Int64
	lastLogged atomic.Int64 // when a record was last written, in Unix nanoseconds
}

// Write implements [io.Writer]; each call is one message.
func (w *withheld) Write(message []byte) (int, error) {
	count, lastLogged, now := w.count.Add(1), w.lastLogged.Load(), time.Now().UnixNano()
	if now-lastLogged >= int64(withheldEvery) && w.lastLogged.CompareAndSwap(lastLogged, now) {
		w.log.WarnContext(context.Background(), "messages of the standard library were withheld: they may quote an upstream", "so_far", count)
	}
	return len(message), nil
}
