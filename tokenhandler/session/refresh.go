package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/secret"
)

// UnavailableError says that the access token has ended and that the provider
// could not renew it now. The session is kept.
type UnavailableError struct {
	// RetryAfter is when a new try makes sense.
	RetryAfter time.Duration
	// Err is the cause.
	Err error
}

// Error names the cause.
func (e *UnavailableError) Error() string {
	return "renewing the access token: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

const (
	// clockSkew is how early an access token counts as ended: it has to reach
	// the upstream and be checked there.
	clockSkew = 5 * time.Second
	// retryPause is the least time between two failing calls for one session.
	retryPause = time.Second
	// maxRetryPause bounds a provider's Retry-After.
	maxRetryPause = 30 * time.Second
	// maxEntries bounds the memory of refreshes. At 5 KB each it is 100 MB.
	maxEntries = 20000
	sweepEvery = 10 * time.Second
)

// refreshes remembers what became of sessions that were refreshed here.
type refreshes struct {
	mu      sync.Mutex
	entries map[ID]*entry // session → its refreshes
	swept   time.Time

	flights sync.WaitGroup
}

// entry is the memory of one session. All fields are guarded by refreshes.mu.
type entry struct {
	// newest is the latest generation. It stays until the grace is over and, if
	// the refresh token was rotated, until the browser has shown that it holds
	// it: its cookie may have been lost with a broken connection, and then this
	// is the only copy of the only token that is still good.
	newest *Session
	// generation is newest's, also when newest is gone.
	generation uint64
	rotated    bool
	shown      bool
	graceEnds  time.Time
	ends       time.Time // the session's own end
	// rejected is the generation whose refresh token the provider refused.
	rejected uint64
	// failed is the last passing error; until retryAt it is the answer.
	failed  error
	retryAt time.Time
	flight  *flight
}

// flight is one call to the provider, for all requests that wait for it.
type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

// newest returns the latest generation of s that is known here, and whether
// the provider refused to renew it.
func (m *Manager) newest(s *Session) (newest *Session, rejected bool) {
	r := &m.refreshes
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[s.ID]
	if e == nil {
		return s, false
	}
	if s.Generation >= e.generation {
		e.shown = true
	} else if e.newest != nil {
		s = e.newest
	}
	return s, e.rejected >= s.Generation
}

// forget drops what is known of a session that has ended.
func (m *Manager) forget(id ID) {
	r := &m.refreshes
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[id]; e != nil {
		e.newest = nil
	}
}

// Fresh makes sure that the visit's access token is good. If it is due but has
// not ended, the refresh runs beside the request and the request goes on with
// the token it has. forced asks for new tokens in any case and waits for them.
//
// Errors: [ErrRejected], when the provider refused the refresh token of the
// newest generation: the session is over. [ErrSuperseded]. [*UnavailableError]
// for everything that may pass: the session is kept. The context's error.
func (v *Visit) Fresh(ctx context.Context, forced bool) error {
	m := v.manager
	now := m.cfg.Now()
	ends := v.Session.AccessExpires
	usable := now.Before(ends.Add(-clockSkew))
	if !forced && usable && now.Before(ends.Add(-m.refreshBefore(v.Session.ID))) {
		return nil
	}
	f, err := m.join(v.Session, now) //nolint:contextcheck // the call is detached from the request, see refresh
	if err != nil || f == nil {
		return v.settle(err, usable && !forced)
	}
	if usable && !forced {
		return nil
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // the caller's own
	}
	return v.settle(f.err, false)
}

// settle takes over what the refreshes of this session came to.
func (v *Visit) settle(err error, usable bool) error {
	v.Session, _ = v.manager.newest(v.Session)
	if usable && !errors.Is(err, ErrRejected) {
		return nil
	}
	return err
}

// refreshBefore spreads the refreshes of many sessions that began together:
// each session has its own margin, up to a quarter longer.
func (m *Manager) refreshBefore(id ID) time.Duration {
	before := m.cfg.RefreshBefore
	return before + before*time.Duration(id[0])/(4*256)
}

// join returns the refresh under way for s, starting one if there is none. It
// returns nothing if a newer generation is already there.
func (m *Manager) join(s *Session, now time.Time) (*flight, error) {
	r := &m.refreshes
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[s.ID]
	if e == nil {
		r.sweep(now)
		e = &entry{generation: s.Generation, ends: s.Expires, shown: true}
		r.entries[s.ID] = e
	}
	switch {
	case s.Generation < e.generation && e.newest != nil:
		return nil, nil //nolint:nilnil // neither: the newer generation is in memory
	case s.Generation < e.generation && e.rotated:
		// This refresh token was used up long ago. Showing it again would look
		// like theft to the provider and end the session everywhere.
		return nil, ErrSuperseded
	case e.rejected >= s.Generation:
		return nil, ErrRejected
	case e.flight != nil:
		m.metrics.Coalesced.Inc()
		return e.flight, nil
	case e.failed != nil && now.Before(e.retryAt):
		return nil, &UnavailableError{RetryAfter: e.retryAt.Sub(now), Err: e.failed}
	}
	e.flight = &flight{done: make(chan struct{})}
	f := e.flight
	r.flights.Go(func() { m.refresh(s, e, f) })
	return f, nil
}

// refresh makes the call, detached from every request: a client that leaves
// must not cancel it, because after a rotation its answer holds the only token
// that is still good (FACTS COG-ROT-07).
func (m *Manager) refresh(s *Session, e *entry, f *flight) {
	ctx, cancel := context.WithTimeout(context.Background(), m.cfg.RefreshTimeout) //nolint:forbidigo // detached, see above
	defer cancel()
	start := m.cfg.Now()
	previous, tokens, err := m.renew(ctx, s)
	now := m.cfg.Now()
	m.metrics.RefreshSeconds.Observe(now.Sub(start).Seconds())

	r := &m.refreshes
	r.mu.Lock()
	defer r.mu.Unlock()
	e.flight, e.failed = nil, nil
	switch {
	case err == nil:
		tokens = m.trim(tokens)
		rotated := !tokens.Refresh.IsZero() && !tokens.Refresh.Equal(previous.Refresh)
		next := s.next(previous, tokens)
		next.Generation = max(s.Generation, e.generation) + 1
		e.newest, e.generation = next, next.Generation
		e.rotated, e.shown = e.rotated || rotated, !rotated
		e.graceEnds = now.Add(m.cfg.RefreshGrace)
		m.metrics.Refreshes.WithLabelValues(map[bool]string{false: "ok", true: "rotated"}[rotated]).Inc()
	case isRejected(err):
		e.rejected = s.Generation
		f.err = ErrRejected
		m.metrics.Refreshes.WithLabelValues("rejected").Inc()
		m.cfg.Log.Info("session ended: refresh token rejected", "session", s.ID, "sub", s.Subject)
	default:
		pause, outcome := pauseAfter(err)
		e.failed, e.retryAt = err, now.Add(pause)
		f.err = &UnavailableError{RetryAfter: pause, Err: err}
		m.metrics.Refreshes.WithLabelValues(outcome).Inc()
		m.cfg.Log.Warn("refresh failed, session kept", "session", s.ID, "error", err.Error())
	}
	close(f.done)
}

func (m *Manager) renew(ctx context.Context, s *Session) (previous, renewed secret.Tokens, err error) {
	if previous, err = s.Tokens(); err != nil {
		return previous, renewed, err
	}
	renewed, err = m.cfg.Refresher.Refresh(ctx, previous)
	return previous, renewed, err //nolint:wrapcheck // classified by the caller
}

func isRejected(err error) bool {
	rejected, ok := errors.AsType[interface {
		error
		Rejected() bool
	}](err)
	return ok && rejected.Rejected()
}

// pauseAfter tells how long to leave the provider alone, and the outcome's name.
func pauseAfter(err error) (time.Duration, string) {
	asked, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	if !ok || asked.RetryAfter() <= 0 {
		return retryPause, "error"
	}
	return min(max(asked.RetryAfter(), retryPause), maxRetryPause), "unavailable"
}

// Wait returns when no refresh is under way: a process that ends in the middle
// of a rotation would lose the only token that is still good. It takes at most
// RefreshTimeout; no request may come in meanwhile.
func (m *Manager) Wait() { m.refreshes.flights.Wait() }

// sweep forgets what is over, at most every [sweepEvery]. The caller holds mu.
func (r *refreshes) sweep(now time.Time) {
	if now.Sub(r.swept) < sweepEvery {
		return
	}
	r.swept = now
	for id, e := range r.entries {
		if !now.Before(e.ends) {
			delete(r.entries, id)
			continue
		}
		if e.newest == nil || now.Before(e.graceEnds) {
			continue
		}
		if e.shown || len(r.entries) > maxEntries {
			e.newest = nil
		}
	}
}
