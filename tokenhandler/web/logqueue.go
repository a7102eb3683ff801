package web

import (
	"bytes"
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// maxQueuedLog is how many bytes of log records wait for a reader that stalls: some
// 3,000 requests.
const maxQueuedLog = 1 << 20

// LogQueue is an [io.Writer] for a log whose reader may stall, such as a pipe: without
// it, the write of a record, and with it the request, would hang until the reader goes
// on. Records wait in a queue of bounded size. A record that does not fit is dropped and
// counted. All methods may be called from several goroutines.
type LogQueue struct {
	w       io.Writer
	dropped atomic.Uint64 // records
	work    chan struct{} // has a value while the writer has something to do

	mu       sync.Mutex
	pending  []byte          // complete records that nobody has begun to write
	writing  bool            // the writer holds records that it has not written yet
	waiters  []chan struct{} // closed when everything is written
	onResume func(dropped uint64)
}

// NewLogQueue returns a queue in front of w. Its goroutine lives as long as the process.
func NewLogQueue(w io.Writer) *LogQueue {
	q := &LogQueue{w: w, work: make(chan struct{}, 1)}
	go q.run()
	return q
}

// OnResume sets a function that is called when records are written again after some were
// dropped. It gets the number of all records that were dropped so far.
func (q *LogQueue) OnResume(f func(dropped uint64)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.onResume = f
}

// Dropped returns how many records were dropped so far. A nil queue has dropped none.
func (q *LogQueue) Dropped() uint64 {
	if q == nil {
		return 0
	}
	return q.dropped.Load()
}

// Write implements [io.Writer]. Each call is one record. It never waits and never fails.
func (q *LogQueue) Write(record []byte) (int, error) {
	q.mu.Lock()
	fits := len(q.pending)+len(record) <= maxQueuedLog
	if fits {
		q.pending = append(q.pending, record...)
	}
	q.mu.Unlock()
	if !fits {
		q.dropped.Add(1)
		return len(record), nil
	}
	select {
	case q.work <- struct{}{}:
	default: // the writer will find the record anyway
	}
	return len(record), nil
}

// Flush waits until everything that was queued is written, or until ctx ends.
func (q *LogQueue) Flush(ctx context.Context) {
	q.mu.Lock()
	if len(q.pending) == 0 && !q.writing {
		q.mu.Unlock()
		return
	}
	done := make(chan struct{})
	q.waiters = append(q.waiters, done)
	q.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// run writes what is queued. Two buffers take turns, so that a record needs no memory of
// its own.
func (q *LogQueue) run() {
	var batch []byte
	var reported uint64 // what onResume knows
	for range q.work {
		batch = q.take(batch[:0])
		written := q.write(batch)
		if dropped := q.dropped.Load(); written && dropped > reported {
			reported = dropped
			q.resumed(dropped)
		}
		q.finish()
	}
}

// write reports whether it wrote something. Records that cannot be written are dropped.
func (q *LogQueue) write(batch []byte) bool {
	if len(batch) == 0 {
		return false // the batch before had these records, too
	}
	if _, err := q.w.Write(batch); err != nil {
		q.dropped.Add(uint64(bytes.Count(batch, []byte{'\n'}))) //nolint:gosec // not negative
		return false
	}
	return true
}

// take exchanges the pending records for an empty buffer.
func (q *LogQueue) take(empty []byte) (batch []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch, q.pending, q.writing = q.pending, empty, true
	return batch
}

func (q *LogQueue) resumed(dropped uint64) {
	q.mu.Lock()
	report := q.onResume
	q.mu.Unlock()
	if report != nil {
		report(dropped)
	}
}

// finish wakes those who wait in Flush, if nothing is left.
func (q *LogQueue) finish() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = false
	if len(q.pending) > 0 {
		return
	}
	for _, done := range q.waiters {
		close(done)
	}
	q.waiters = nil
}

var _ io.Writer = (*LogQueue)(nil)
