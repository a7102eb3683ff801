package refresh

import (
	"context"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/session"
)

const (
	// recheckAfter is how long after a change of the deny list the watched sessions are
	// checked. Many changes within that time (the list of a store, all users of a
	// company) cause one check.
	recheckAfter = 10 * time.Millisecond
	// recheckEvery is the longest time between two checks of a watched session: timers
	// stand still while a machine sleeps, and clocks are set.
	recheckEvery = time.Minute
)

// watches are the sessions of long-lived connections, which must end with them.
type watches struct {
	mu        sync.Mutex
	all       map[*watch]struct{}
	scheduled bool // a check of all is on its way
}

// watch is one of them. Its timer is guarded by watches.mu.
type watch struct {
	session *session.Session
	end     context.CancelCauseFunc
	timer   *time.Timer // runs until the next check
}

// Watch returns a context that ends with ctx, or when the session ends, with
// [ErrRevoked] (a logout, an operator, another replica), [session.ErrExpired] or
// [ErrRejected] as its cause. A watched session does not end by being idle: that
// depends on the user's requests, and the next one decides it.
//
// The session is watched until ctx ends, so the caller must end it. In contrast to the
// other methods, Watch may be called by any goroutine: it knows the session as the
// request's cookie has it. If another replica prolonged the life of its refresh token
// since, the context ends early.
func (r *RequestSession) Watch(ctx context.Context) context.Context {
	m := r.manager
	ctx, end := context.WithCancelCause(ctx)
	w := &watch{session: r.Stored, end: end}
	m.watches.add(w)
	context.AfterFunc(ctx, func() { m.watches.remove(w) })
	m.check(w) // after it was added, so that no revocation is missed in between
	return ctx
}

// Recheck checks all watched sessions within a moment. Call it when the deny list has
// grown. It returns at once.
func (m *Manager) Recheck() {
	s := &m.watches
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scheduled || len(s.all) == 0 {
		return
	}
	s.scheduled = true
	time.AfterFunc(recheckAfter, func() {
		for _, w := range s.list() {
			m.check(w)
		}
	})
}

// check ends the context of w if its session has ended, and schedules the next check
// otherwise.
func (m *Manager) check(w *watch) {
	s, now := w.session, m.cfg.Now()
	ends, rejected := m.memory.end(s)
	if s.Expires.Before(ends) {
		ends = s.Expires
	}
	switch {
	case m.denied(s):
		w.end(ErrRevoked)
	case rejected:
		w.end(ErrRejected)
	case !now.Before(ends):
		w.end(session.ErrExpired)
	default:
		m.watches.schedule(w, min(ends.Sub(now), recheckEvery), func() { m.check(w) })
	}
}

func (s *watches) add(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[*watch]struct{})
	}
	s.all[w] = struct{}{}
}

func (s *watches) remove(w *watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, w)
	if w.timer != nil {
		w.timer.Stop()
	}
}

// schedule calls check after some time, unless w was removed.
func (s *watches) schedule(w *watch, after time.Duration, check func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch _, there := s.all[w]; {
	case !there:
	case w.timer == nil:
		w.timer = time.AfterFunc(after, check)
	default:
		w.timer.Reset(after)
	}
}

// list returns all watches, and lets the next change schedule the next check. They are
// checked without the lock, because ending a context may take time.
func (s *watches) list() []*watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scheduled = false
	all := make([]*watch, 0, len(s.all))
	for w := range s.all {
		all = append(all, w)
	}
	return all
}
