package testkit

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// Logger returns a logger that writes to the output of the test, which
// the go command shows when the test fails.
func Logger(tb testing.TB) *slog.Logger {
	tb.Helper()
	return slog.New(slog.NewTextHandler(tb.Output(), nil))
}

// Log keeps everything that is written to it. It is safe for concurrent use: a
// test may read it while servers write. The zero Log is empty and ready to use.
type Log struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed by the next Write; nil if nobody waits
}

// Logger returns a logger that writes its records to l as JSON, one a line, from
// level debug.
func (l *Log) Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Write appends p. It never fails.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	return l.text.Write(p)
}

// String returns everything that was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Contains reports whether text was written.
func (l *Log) Contains(text string) bool { return strings.Contains(l.String(), text) }

// Records parses the log, which must hold one JSON object a line, and leaves out
// their time.
func (l *Log) Records(tb testing.TB) []map[string]any {
	tb.Helper()
	var records []map[string]any
	for line := range strings.Lines(l.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			tb.Fatalf("the log's line %q: %v", line, err)
		}
		delete(record, slog.TimeKey)
		records = append(records, record)
	}
	return records
}

// RecordsOf returns those of [Log.Records] whose message is msg.
func (l *Log) RecordsOf(tb testing.TB, msg string) []map[string]any {
	tb.Helper()
	var found []map[string]any
	for _, record := range l.Records(tb) {
		if record[slog.MessageKey] == msg {
			found = append(found, record)
		}
	}
	return found
}

// Wait returns when text was written n times, and fails the test if that does
// not happen within [Deadline].
func (l *Log) Wait(tb testing.TB, text string, n int) {
	tb.Helper()
	late := time.After(Deadline)
	for {
		changed, count := l.count(text)
		if count >= n {
			return
		}
		select {
		case <-changed:
		case <-late:
			tb.Fatalf("%q was logged %d times, want %d:\n%s", text, count, n, l)
		}
	}
}

// count returns how often text was written, and a channel that the next Write
// closes.
func (l *Log) count(text string) (changed <-chan struct{}, count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed, bytes.Count(l.text.Bytes(), []byte(text))
}
