package audit

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxQueued is how many records wait for an output that fails.
	maxQueued = 1024
	// patience is how long [Trail.Record] and [Trail.Check] wait for an output that fails,
	// and how long a write may take before the output counts as failing.
	patience = time.Second
	// closeGrace is how long [Trail.Close] waits for the end of a write after its context.
	closeGrace = 100 * time.Millisecond
	// retryEvery is the pause between two attempts at a record that was not written.
	retryEvery = 100 * time.Millisecond
)

// ErrUnavailable means that an event could not be recorded, and that what it is about must
// not be done.
var ErrUnavailable = errors.New("the audit trail cannot be written")

// errStalled is the error of an output that takes a record and does not return, such as a
// file of an NFS server that does not answer, or a pipe that nobody reads.
var errStalled = errors.New("the write of a record has not returned")

// Config is what a [Trail] needs.
type Config struct {
	// Output gets one record with each Write. Nil turns the trail off. A part of a record
	// that it did not take is written later.
	Output io.Writer
	// OCSF writes records of the Open Cybersecurity Schema Framework.
	OCSF bool
	// Refuse makes Record and Check fail while Output fails.
	Refuse bool
	// Replica is the name of this process' machine.
	Replica string
	// Version is that of the build, see also [Trail.NoteVersion].
	Version string
	// Now is the clock. Required.
	Now func() time.Time
	// Log is told when Output begins and ends to fail. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Trail records events. A nil Trail records nothing. It is safe for concurrent use.
type Trail struct {
	cfg   Config
	queue chan *entry
	begin sync.Once // starts run
	// closing ends the trail when the queue is empty, stop ends the attempts at what is
	// queued, and stopped is closed when nothing is written any more.
	closing, stop, stopped chan struct{}

	repeats repeats

	mu      sync.Mutex
	failing bool
	mended  chan struct{} // closed when failing ends
}

// entry is a record that waits.
type entry struct {
	line []byte
	done chan struct{} // closed when it is written
	// given up: whoever waited for it has not done what it says.
	abandoned atomic.Bool
}

// New returns a Trail, or nil without an output. Its goroutine begins with the first event
// and ends with Close.
func New(cfg Config) *Trail {
	if cfg.Output == nil {
		return nil
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	t := &Trail{
		repeats: repeats{counts: make(map[string]groups)},
		cfg:     cfg, queue: make(chan *entry, maxQueued), mended: make(chan struct{}),
		closing: make(chan struct{}), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	cfg.Metrics.Up.Set(1)
	return t
}

// NoteVersion sets the version of the build. It must be called before the first event.
func (t *Trail) NoteVersion(version string) {
	if t != nil {
		t.cfg.Version = version
	}
}

// Record records an event before what it says is done. With [Config.Refuse] it returns
// when the record is written, and [ErrUnavailable] if that takes longer than a second.
// Otherwise it never waits and returns nil.
func (t *Trail) Record(_ context.Context, e Event) error {
	if t == nil {
		return nil
	}
	waiting := t.add(e)
	if !t.cfg.Refuse {
		return nil
	}
	if waiting == nil {
		return ErrUnavailable
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-waiting.done:
		return nil
	case <-timer.C:
		waiting.abandoned.Store(true)
		return ErrUnavailable
	}
}

// Note records an event that happens in any case, such as the end of a session. It never
// waits.
func (t *Trail) Note(_ context.Context, e Event) {
	switch {
	case t == nil:
	case e.Anonymous:
		t.noteRepeated(e)
	default:
		t.add(e)
	}
}

// Check returns [ErrUnavailable] if the output fails, and does so for a second, and if
// [Config.Refuse] is set.
func (t *Trail) Check(ctx context.Context) error {
	if t == nil || !t.cfg.Refuse {
		return nil
	}
	t.mu.Lock()
	failing, mended := t.failing, t.mended
	t.mu.Unlock()
	if !failing {
		return nil
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-mended:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return ErrUnavailable
}

// Close writes what is queued and stops, at the latest shortly after ctx ends. What is
// recorded later is lost. Call it once.
func (t *Trail) Close(ctx context.Context) {
	if t == nil {
		return
	}
	t.recordCounts(true)
	close(t.closing)
	t.begin.Do(func() { go t.run() })
	select {
	case <-t.stopped:
	case <-ctx.Done():
		close(t.stop)
	}
	select {
	case <-t.stopped:
	case <-time.After(closeGrace): // a write does not return
		t.cfg.Log.ErrorContext(ctx, "records of the audit trail are lost", "error", errStalled.Error(), "queued", len(t.queue))
	}
}

// add queues the record of an event, or returns nil.
func (t *Trail) add(e Event) *entry {
	waiting := t.enqueue(&e)
	if waiting == nil {
		t.cfg.Metrics.Dropped.Inc()
	}
	return waiting
}

// enqueue is add without counting what is dropped.
func (t *Trail) enqueue(e *Event) *entry {
	line, err := t.encode(e, t.cfg.Now())
	if err != nil {
		t.cfg.Log.Error("event not recorded", "event", e.Name, "error", err.Error())
		return nil
	}
	t.begin.Do(func() { go t.run() })
	if e.Anonymous && len(t.queue) >= maxQueued/2 {
		return nil
	}
	waiting := &entry{line: line, done: make(chan struct{})}
	select {
	case t.queue <- waiting:
		t.cfg.Metrics.Events.WithLabelValues(e.Name).Add(float64(max(e.Count, 1)))
		return waiting
	default:
		return nil
	}
}

// run writes what is queued.
func (t *Trail) run() {
	defer close(t.stopped)
	for {
		select {
		case next := <-t.queue:
			t.take(next)
		case <-t.closing:
			for len(t.queue) > 0 {
				t.take(<-t.queue)
			}
			return
		}
	}
}

// take writes a record, unless nobody waits for it any more who would do what it says.
func (t *Trail) take(next *entry) {
	if next.abandoned.Load() || !t.write(next.line) {
		t.cfg.Metrics.Dropped.Inc()
		return
	}
	close(next.done)
}

// write tries until the whole line is written, so that there is never a part of one before
// another. It returns false if the trail was closed first.
func (t *Trail) write(line []byte) bool {
	for {
		n, err := t.output(line)
		line = line[n:]
		if len(line) == 0 {
			t.setFailing(nil)
			return true
		}
		if err == nil {
			err = io.ErrShortWrite
		}
		t.setFailing(err)
		select {
		case <-time.After(retryEvery):
		case <-t.stop:
			return false
		}
	}
}

// output writes once. The output fails from the moment when that takes too long.
func (t *Trail) output(line []byte) (int, error) {
	noted := make(chan struct{})
	timer := time.AfterFunc(patience, func() {
		defer close(noted)
		t.setFailing(errStalled)
	})
	n, err := t.cfg.Output.Write(line)
	if !timer.Stop() {
		<-noted // so that it does not come after what follows
	}
	return n, err
}

// setFailing notes whether the output fails, and logs when that changes.
func (t *Trail) setFailing(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil && !t.failing:
		t.failing, t.mended = true, make(chan struct{})
		t.cfg.Metrics.Up.Set(0)
		t.cfg.Log.Error("the audit trail cannot be written", "error", err.Error(), "refuses", t.cfg.Refuse)
	case err == nil && t.failing:
		t.failing = false
		close(t.mended)
		t.cfg.Metrics.Up.Set(1)
		t.cfg.Log.Info("the audit trail is written again")
	}
}
