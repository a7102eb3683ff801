package refresh

import (
	"context"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/session"
)

const (
	// recheckAfter is how long after the deny list has grown the sessions are
	// looked at: many additions within it (a store's whole list, all users of a
	// company) cost one look.
	recheckAfter = 10 * time.Millisecond
	// recheckEvery bounds how long a watched session goes unlooked at: timers
	// stand still while a machine sleeps, and clocks are set.
	recheckEvery = time.Minute
)

// watchers are the requests that last, and must end with their sessions.
type watchers struct {
	mu    sync.Mutex
	all   map[*watcher]struct{}
	woken bool // a recheck is on its way
}

// watcher is one of them. Its timer is guarded by watchers.mu.
type watcher struct {
	session *session.Session
	over    context.CancelCauseFunc
	timer   *time.Timer // runs until the session is to be looked at again
}

// Watch returns a context that ends with ctx, or when the session is over, with
// [ErrRevoked] (a logout, an operator, another replica's word), [session.ErrExpired] or
// [ErrRejected] as its cause. Being idle ends no session that is watched: what
// its user does is told by requests, and the next one shows it.
//
// The session is watched until ctx ends, which the caller has to see to. Other
// than the visit's other methods, Watch may be called by any goroutine: it knows
// the session as the request's cookie has it. If another replica prolonged the
// life of its refresh token since, the context ends early.
func (r *RequestSession) Watch(ctx context.Context) context.Context {
	m := r.manager
	ctx, over := context.WithCancelCause(ctx)
	w := &watcher{session: r.Stored, over: over}
	m.watchers.add(w)
	context.AfterFunc(ctx, func() { m.watchers.remove(w) })
	m.look(w) // after it was added, so that no revocation slips through between
	return ctx
}

// Recheck looks at all watched sessions, within a moment. It is to be called when
// the deny list has grown, and returns at once.
func (m *Manager) Recheck() {
	s := &m.watchers
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.woken || len(s.all) == 0 {
		return
	}
	s.woken = true
	time.AfterFunc(recheckAfter, func() {
		for _, w := range s.list() {
			m.look(w)
		}
	})
}

// look ends w if its session is over, or else sees to it that it is looked at
// again in time.
func (m *Manager) look(w *watcher) {
	_, rejected := m.newest(w.session)
	s, now := w.session, m.cfg.Now()
	ends := m.endOf(s)
	if s.Expires.Before(ends) {
		ends = s.Expires
	}
	switch {
	case m.cfg.Denied.Denied(s.ID.Name(), s.Subject, s.SID, s.Begun):
		w.over(ErrRevoked)
	case rejected:
		w.over(ErrRejected)
	case !now.Before(ends):
		w.over(session.ErrExpired)
	default:
		m.watchers.arm(w, min(ends.Sub(now), recheckEvery), func() { m.look(w) })
	}
}

func (s *watchers) add(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[*watcher]struct{})
	}
	s.all[w] = struct{}{}
}

func (s *watchers) remove(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, w)
	if w.timer != nil {
		w.timer.Stop()
	}
}

// arm has w looked at again, unless it is gone.
func (s *watchers) arm(w *watcher, after time.Duration, look func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch _, there := s.all[w]; {
	case !there:
	case w.timer == nil:
		w.timer = time.AfterFunc(after, look)
	default:
		w.timer.Reset(after)
	}
}

// list returns all, and lets the next addition wake the next look. They are
// looked at without the lock: what ends them may take its time.
func (s *watchers) list() []*watcher {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.woken = false
	all := make([]*watcher, 0, len(s.all))
	for w := range s.all {
		all = append(all, w)
	}
	return all
}
