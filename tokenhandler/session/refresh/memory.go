package refresh

import (
	"errors"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/session"
)

// memory holds the records of all sessions that were refreshed here. Nothing is
// sealed, compressed, logged or sent while mu is held: every request takes it.
type memory struct {
	cfg      *Config
	attempts sync.WaitGroup // that run

	mu      sync.Mutex
	records map[session.ID]*record
	swept   time.Time
	renewed time.Time // when a refresh last gave new tokens
	// unpublished tells that the store with that epoch may lack a generation.
	unpublished bool
	epoch       uint64
	stopping    stopping
}

// stopping is how far the process has got in shutting down.
type stopping int

const (
	serving  stopping = iota
	draining          // no attempt starts unless a request needs it
	closed            // no attempt starts
)

// sweepEvery is the shortest interval between two searches for records that are of no
// more use.
const sweepEvery = 10 * time.Second

// cookieSeen notes that a browser's cookie holds s, and returns the newest generation and
// whether the provider refused to refresh it. It is for cookies only: a generation
// that a request got from memory is not in the browser before its response is.
func (m *memory) cookieSeen(s *session.Session) (newest *session.Session, rejected bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[s.ID]
	if r == nil {
		return s, false
	}
	m.adopt(r, s, m.cfg.Now())
	return r.current(s)
}

// adopt applies the event that a browser shows s to its record. The caller holds mu.
func (m *memory) adopt(r *record, s *session.Session, now time.Time) {
	if r.newest.cookieSeen(s, now.Add(m.cfg.RefreshGrace)) {
		r.keep(now.Add(m.cfg.keepFor(s, now)))
		m.unpublished = true
	}
}

// current returns the newest generation of s that is known here, and whether the
// provider refused to refresh it.
func (m *memory) current(s *session.Session) (newest *session.Session, rejected bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.records[s.ID]; r != nil {
		return r.current(s)
	}
	return s, false
}

// held returns s as it is in memory.
func (m *memory) held(s *session.Session) *generation {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.records[s.ID]; r != nil && r.newest.held != nil && r.newest.held.Session == s {
		return r.newest.held
	}
	return &generation{Session: s}
}

// end is when the session of s ends by itself, as far as is known here: a refresh may
// have prolonged it. The second result tells whether the provider ended it already.
func (m *memory) end(s *session.Session) (ends time.Time, rejected bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[s.ID]
	if r == nil {
		return s.Ends(), false
	}
	ends = s.Ends()
	if r.newest.number > s.Generation {
		ends = r.newest.ends
	}
	_, rejected = r.current(s)
	return ends, rejected
}

// forget is the event that the user logged out.
func (m *memory) forget(id session.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.records[id]; r != nil {
		r.newest.release()
	}
}

// ask is the event that a request with s needs a new token, or that s is due. It
// returns the attempt to wait for, which was started with run if none was running;
// nil if a newer generation is in memory already, or if s is due only and the process
// shuts down.
func (m *memory) ask(s *session.Session, why Reason, needed bool, run func(*attempt)) (a *attempt, joined bool, err error) {
	now := m.cfg.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(now)
	r := m.record(s, now)
	switch r.stateOf(s, m.cfg.Replicas != nil, now) {
	case replaced:
		return nil, false, nil
	case superseded:
		return nil, false, ErrSuperseded
	case refused:
		return nil, false, ErrRejected
	case running:
		return r.attempt, true, nil
	case paused:
		return nil, false, m.judged(r, s, &UnavailableError{RetryAfter: r.retryAt.Sub(now), Err: r.failure}, now)
	case ready:
	}
	switch {
	case m.stopping == serving, m.stopping == draining && needed:
	case needed:
		return nil, false, &UnavailableError{RetryAfter: retryPause, Err: errClosing}
	default:
		return nil, false, nil
	}
	if err := r.demand.take(why, m.cfg, now); err != nil {
		return nil, false, err
	}
	r.attempt = &attempt{session: s, record: r, known: r.newest.number, resultOnly: r.newest.supersedes(s), done: make(chan struct{})}
	a = r.attempt
	m.attempts.Go(func() { run(a) })
	return a, false, nil
}

// record returns the record of s, and makes one if there is none. The caller holds mu.
func (m *memory) record(s *session.Session, now time.Time) *record {
	r := m.records[s.ID]
	if r == nil {
		r = &record{}
		m.records[s.ID] = r
	}
	if s.Generation > r.newest.number { // only a cookie can have brought it here
		m.adopt(r, s, now)
	}
	r.keep(now.Add(m.cfg.keepFor(s, now)))
	return r
}

// finish applies the event that an attempt ended with, and wakes its requests.
func (m *memory) finish(a *attempt, o outcome) {
	now := m.cfg.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	r := a.record
	r.finish(a, o, now, m.cfg.RefreshGrace)
	if o.next != nil {
		r.keep(now.Add(m.cfg.keepFor(o.next, now)))
		m.unpublished = m.unpublished || o.epoch != m.epoch // the store may have lost it already
	}
	if o.event == eventMade {
		m.renewed = now
	}
	a.err = o.asError()
	if failed, ok := errors.AsType[*UnavailableError](a.err); ok {
		a.err = m.judged(r, a.session, failed, now)
	}
	close(a.done)
}

// judged tells in the error for requests with s whether the provider has refused it, or this
// service. The caller holds mu.
func (m *memory) judged(r *record, s *session.Session, err *UnavailableError, now time.Time) error {
	if usable(s, now) {
		return err
	}
	err.Refused = r.refusedBy(err.Err, m.renewed, now)
	err.Unusable = isUnusable(err.Err) && now.Sub(r.unusableFrom) >= unusableFor
	return err
}

// sweep releases and deletes what is of no more use, every [sweepEvery] at most. The
// caller holds mu.
func (m *memory) sweep(now time.Time) {
	if now.Sub(m.swept) < sweepEvery {
		return
	}
	m.swept = now
	for id, r := range m.records {
		switch {
		case r.attempt != nil:
		case !now.Before(r.keepUntil):
			delete(m.records, id)
		case r.newest.state == confirmed && !now.Before(r.newest.graceEnds):
			r.newest.release()
		}
	}
}

// stop changes how far the process has got in shutting down.
func (m *memory) stop(to stopping) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopping = max(m.stopping, to)
}

// missing returns the generations in memory that the store with that epoch lacks.
func (m *memory) missing(epoch uint64) []*generation {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.unpublished && epoch == m.epoch {
		return nil
	}
	var missing []*generation
	for _, r := range m.records {
		if g := r.newest.held; g != nil && g.epoch != epoch {
			missing = append(missing, g)
		}
	}
	m.unpublished, m.epoch = len(missing) > 0, epoch
	return missing
}

// published notes that the store with that epoch has g.
func (m *memory) published(g *generation, epoch uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g.epoch = epoch
}

// onlyHere counts the generations that neither the store with that epoch nor, as far
// as is known, a browser has.
func (m *memory) onlyHere(epoch uint64) (count int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		if g := r.newest.held; g != nil && r.newest.state == unconfirmed && g.epoch != epoch {
			count++
		}
	}
	return count
}
