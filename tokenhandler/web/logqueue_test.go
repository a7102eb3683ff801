package web_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

// stalledWriter writes nothing before release is closed.
type stalledWriter struct {
	testkit.Log

	release chan struct{}
}

func (s *stalledWriter) Write(p []byte) (int, error) {
	<-s.release
	return s.Log.Write(p)
}

// TestStalledLogReader: no write waits for the reader. What fits the queue is written
// later, in order, and the rest is counted.
func TestStalledLogReader(t *testing.T) {
	out := &stalledWriter{release: make(chan struct{})}
	queue := web.NewLogQueue(out)
	resumed := make(chan uint64, 1)
	queue.OnResume(func(dropped uint64) { resumed <- dropped })
	record := strings.Repeat("x", 999) + "\n"
	const records = 3000
	for range records {
		if n, err := queue.Write([]byte(record)); n != len(record) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	dropped := queue.Dropped()
	if dropped == 0 || dropped >= records {
		t.Errorf("%d of %d records were dropped", dropped, records)
	}
	close(out.release)
	queue.Flush(t.Context())
	if got := testkit.Receive(t, resumed, "the report of dropped records"); got != dropped {
		t.Errorf("%d dropped records were reported, want %d", got, dropped)
	}
	if got, want := strings.Count(out.String(), record), int(records-dropped); got != want {
		t.Errorf("%d records were written, want %d", got, want)
	}
	if _, err := queue.Write([]byte("after\n")); err != nil {
		t.Fatal(err)
	}
	queue.Flush(t.Context())
	if !strings.HasSuffix(out.String(), "x\nafter\n") || queue.Dropped() != dropped {
		t.Error("a record after the stall is missing")
	}
}

// TestFlushIsBounded: a reader that stalls does not hold up the end of the process.
func TestFlushIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stalledWriter{release: make(chan struct{})}
		queue := web.NewLogQueue(out)
		_, _ = queue.Write([]byte("record\n"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		queue.Flush(ctx)
		if took := time.Since(begun); took != time.Second {
			t.Errorf("Flush took %s", took)
		}
		close(out.release)
		queue.Flush(t.Context())
		queue.Flush(t.Context()) // nothing is left
		if out.String() != "record\n" {
			t.Errorf("written: %q", out.String())
		}
		web.CloseLogQueue(queue)
	})
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestLogReaderThatIsGone: records that could not be written count as dropped.
func TestLogReaderThatIsGone(t *testing.T) {
	queue := web.NewLogQueue(brokenWriter{})
	queue.OnResume(func(uint64) { t.Error("the reader is said to read again") })
	_, _ = queue.Write([]byte("one\n"))
	_, _ = queue.Write([]byte("two\n"))
	queue.Flush(t.Context())
	if got := queue.Dropped(); got != 2 {
		t.Errorf("%d records were dropped, want 2", got)
	}
	if got := (*web.LogQueue)(nil).Dropped(); got != 0 {
		t.Errorf("%d records were dropped without a queue", got)
	}
}
