package oauthproxy

import (
	"sync"
	"time"
)

// watchAfter is how long a request may take before the proxy watches its session.
// Most requests end sooner and need not pay for it. If the session has ended in the
// meantime, the watch finds that out at once.
const watchAfter = time.Second

// timeout is the time-out of a call. In the first second, a request without a body has
// only one timer, which is for the watch: nearly all requests end before it fires.
type timeout struct {
	call *call

	mu sync.Mutex
	// timer expires the call. It is nil as long as the watch is still to come.
	timer *time.Timer
	watch *watchTimer // nil if the session is not to be watched
	// stopped is set while the time-out does not run.
	stopped bool
}

// start starts the time-out and, with watched, the wait for the watch.
func (t *timeout) start(watched bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !watched || t.call.body != nil || t.limit() <= watchAfter {
		t.timer = time.AfterFunc(t.limit(), t.expire)
	}
	if watched {
		t.watch = t.call.handler.watchTimers.start(t)
	}
}

func (t *timeout) limit() time.Duration { return t.call.route.Timeout }

func (t *timeout) expire() { t.call.cancel(errUpstreamTimeout) }

// beginWatch watches the session, and starts the timer for what is left of the time-out.
func (t *timeout) beginWatch() {
	c := t.call
	c.watch(c.out.Context(), endedRequest, func() { c.cancel(errSessionEnded) })
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer == nil && !t.stopped {
		t.timer = time.AfterFunc(t.limit()-watchAfter, t.expire)
	}
}

// stop stops the time-out, and reports whether that was in time.
func (t *timeout) stop() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	return t.timer == nil || t.timer.Stop()
}

// restart gives the call the whole time-out again after stop.
func (t *timeout) restart() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = false
	if t.timer == nil {
		t.timer = time.AfterFunc(t.limit(), t.expire)
	} else {
		t.timer.Reset(t.limit())
	}
}

// extend gives the call the whole time-out again, unless it was stopped or has expired.
func (t *timeout) extend() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.stopped && t.timer != nil && t.timer.Stop() {
		t.timer.Reset(t.limit())
	}
}

// end stops everything. It must be called when the call has ended.
func (t *timeout) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	if t.timer != nil {
		t.timer.Stop()
	}
	if t.watch != nil {
		t.call.handler.watchTimers.stop(t.watch)
		t.watch = nil
	}
}

// watchTimers lends the timers for the watch. Every request needs one, and nearly none
// fires.
type watchTimers struct{ pool sync.Pool }

// watchTimer calls beginWatch of the time-out that has borrowed it.
type watchTimer struct {
	timer *time.Timer
	of    *timeout
}

// start returns a timer that fires after [watchAfter].
func (w *watchTimers) start(t *timeout) *watchTimer {
	if idle, ok := w.pool.Get().(*watchTimer); ok {
		idle.of = t
		idle.timer.Reset(watchAfter)
		return idle
	}
	fresh := &watchTimer{of: t}
	fresh.timer = time.AfterFunc(watchAfter, func() { fresh.of.beginWatch() })
	return fresh
}

// stop takes a timer back, unless it has fired: then it may still be in use.
func (w *watchTimers) stop(lent *watchTimer) {
	if lent.timer.Stop() {
		lent.of = nil
		w.pool.Put(lent)
	}
}
