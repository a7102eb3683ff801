package refresh

import (
	"sync"
	"sync/atomic"
	"time"

	"cognito-token-handler/tokenhandler/session"
)

// refreshes remembers what became of sessions that were refreshed here.
type refreshes struct {
	mu      sync.Mutex
	entries map[session.ID]*entry // session → its refreshes
	swept   time.Time
	// dirty: an entry may be unknown to the store; epoch is what it was last.
	dirty            bool
	epoch            uint64
	draining, closed bool

	flights sync.WaitGroup
	// steady: the last refresh gave no new refresh token.
	steady atomic.Bool
}

const sweepEvery = 10 * time.Second

// entry is the memory of one session. All fields are guarded by refreshes.mu.
type entry struct {
	// newest is the latest generation, cookies its cookie values if it was made
	// here, unwritable that they do not fit. It stays until the grace is over and, if the refresh token was
	// rotated, until the browser has shown that it holds it: its cookie may have
	// been lost with a broken connection, and then this is the only copy of the
	// only token that is still good.
	newest     *session.Session
	cookies    []string
	unwritable bool
	// generation is newest's, and lasts when it ends, also when newest is gone.
	generation uint64
	lasts      time.Time
	rotated    bool
	shown      bool
	graceEnds  time.Time
	// ends is when no older cookie can be alive, see keepFor.
	ends time.Time
	// epoch is the store's that has newest, or 0.
	epoch uint64
	// rejected is the generation whose refresh token the provider refused.
	rejected uint64
	// failed is the last passing error; until retryAt it is the answer.
	failed  error
	retryAt time.Time
	flight  *flight
	// forced is until when the refreshes on demand are paid for, retried when an
	// upstream's 401 last renewed.
	forced, retried time.Time
}

// flight is one refresh, for all requests that wait for it.
type flight struct {
	done       chan struct{}
	err        error // set before done is closed
	generation uint64
	// known is the latest generation known here. If it is later than generation,
	// its tokens are not: the browser had shown it and shows an older one again.
	known uint64
	// superseded: its refresh token was used up; another replica's result may help.
	superseded bool
}

// makes is the generation that this refresh makes.
func (f *flight) makes() uint64 { return max(f.generation, f.known) + 1 }

// beyond is the generation beyond which another replica's result is of use.
func (f *flight) beyond() uint64 {
	if f.known > f.generation {
		return f.known - 1
	}
	return f.generation
}

// entry returns the memory of s, which stays for [Manager.keepFor] at least. The
// caller holds refreshes.mu.
func (m *Manager) entry(s *session.Session, now time.Time) *entry {
	e := m.refreshes.entries[s.ID]
	if e == nil {
		e = &entry{}
		m.refreshes.entries[s.ID] = e
	}
	m.takeUp(e, s, now)
	e.stay(now.Add(m.keepFor(s)))
	return e
}

func (e *entry) stay(ends time.Time) {
	if ends.After(e.ends) {
		e.ends = ends
	}
}

// takeUp takes over a session that is ahead of this process, because another one
// has refreshed it: then older cookies are served from it. Only a cookie can
// have brought it here. The caller holds refreshes.mu.
func (m *Manager) takeUp(e *entry, s *session.Session, now time.Time) {
	if s.Generation > e.generation {
		e.generation, e.newest, e.cookies, e.unwritable = s.Generation, s, nil, false
		e.lasts = s.Ends()
		e.rotated, e.shown, e.graceEnds = s.Rotates, true, now.Add(m.cfg.RefreshGrace)
		e.epoch, m.refreshes.dirty = 0, true // who made it may have gone before the store took it
		e.stay(now.Add(m.keepFor(s)))
	}
}

// see notes that a browser's cookie holds s, and returns what newest does. It is
// for cookies only: what a request was given from memory is not in the browser
// before its answer is.
func (m *Manager) see(s *session.Session) (newest *session.Session, rejected bool) {
	r := &m.refreshes
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[s.ID]
	if e == nil {
		return s, false
	}
	m.takeUp(e, s, m.cfg.Now())
	e.shown = e.shown || s.Generation == e.generation
	return e.latest(s)
}

// mayForce bounds the refreshes that are not due.
func (e *entry) mayForce(why Reason, now time.Time) error {
	switch why {
	case IfDue:
	case OnDemand:
		paid := e.forced
		if paid.Before(now) {
			paid = now
		}
		if wait := paid.Sub(now) - (forcedBurst-1)*forcedEvery; wait > 0 {
			return &TooOftenError{RetryAfter: wait}
		}
		e.forced = paid.Add(forcedEvery)
	case Refused:
		if wait := retriedEvery - now.Sub(e.retried); wait > 0 {
			return &TooOftenError{RetryAfter: wait}
		}
		e.retried = now
	}
	return nil
}

// endOf is when the session of s ends by itself, as far as is known here: a
// refresh may have prolonged it.
func (m *Manager) endOf(s *session.Session) time.Time {
	r := &m.refreshes
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[s.ID]; e != nil && e.generation > s.Generation {
		return e.lasts
	}
	return s.Ends()
}

// newest returns the latest generation of s that is known here, and whether
// the provider refused to renew it.
func (m *Manager) newest(s *session.Session) (newest *session.Session, rejected bool) {
	r := &m.refreshes
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[s.ID]
	if e == nil {
		return s, false
	}
	return e.latest(s)
}

// latest is newest for the session's memory. The caller holds mu.
func (e *entry) latest(s *session.Session) (newest *session.Session, rejected bool) {
	if s.Generation < e.generation && e.newest != nil {
		s = e.newest
	}
	return s, e.rejected >= s.Generation
}

// cookiesOf returns the cookie values of s; none if they do not fit. All answers
// of one generation share them, and a failure is told once.
func (m *Manager) cookiesOf(s *session.Session) []string {
	r := &m.refreshes
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[s.ID]
	if e == nil || e.newest != s {
		e = &entry{newest: s}
	}
	if e.cookies == nil && !e.unwritable {
		m.sealCookies(e)
	}
	return e.cookies
}

// sealCookies makes the cookie values of e's newest generation. If they do not
// fit, the browser keeps its older cookie: as long as this process lives the
// session goes on from memory.
func (m *Manager) sealCookies(e *entry) {
	var err error
	if e.cookies, _, err = m.cfg.Store.Seal(e.newest); err != nil {
		e.unwritable = true
		m.cfg.Log.Error("session not written", "error", err.Error(), "session", e.newest.ID)
	}
}

// forget drops what is known of a session that has ended.
func (m *Manager) forget(id session.ID) {
	r := &m.refreshes
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[id]; e != nil {
		e.newest, e.cookies = nil, nil
	}
}

// sweep forgets what is over, at most every [sweepEvery]. The caller holds mu.
func (r *refreshes) sweep(now time.Time) {
	if now.Sub(r.swept) < sweepEvery {
		return
	}
	r.swept = now
	for id, e := range r.entries {
		switch {
		case e.flight != nil:
		case !now.Before(e.ends):
			delete(r.entries, id)
		case e.shown && !now.Before(e.graceEnds):
			e.newest, e.cookies = nil, nil
		}
	}
}

// unpublished are the results that the store with this epoch does not have.
func (r *refreshes) unpublished(epoch uint64) []*session.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.dirty && epoch == r.epoch {
		return nil
	}
	r.dirty, r.epoch = false, epoch
	var missing []*session.Session
	for _, e := range r.entries {
		if e.newest != nil && e.epoch != epoch {
			missing = append(missing, e.newest)
		}
	}
	r.dirty = len(missing) > 0
	return missing
}

// onlyHere counts the results that neither the store with this epoch nor, as far
// as is known, a browser has.
func (r *refreshes) onlyHere(epoch uint64) (count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.newest != nil && !e.shown && e.epoch != epoch {
			count++
		}
	}
	return count
}

// published notes that the store has s.
func (r *refreshes) published(s *session.Session, epoch uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[s.ID]; e != nil && e.newest == s {
		e.epoch = epoch
	}
}
