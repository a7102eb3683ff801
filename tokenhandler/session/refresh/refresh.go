package refresh

import (
	"context"
	"errors"
	"time"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/session"
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

// TooOftenError says that the session was renewed on demand too often. Nothing
// else is wrong with it.
type TooOftenError struct {
	// RetryAfter is when the next time is allowed.
	RetryAfter time.Duration
}

// Error says so.
func (*TooOftenError) Error() string { return "the session was renewed on demand too often" }

const (
	// clockSkew is how early an access token counts as ended: it has to reach
	// the upstream and be checked there.
	clockSkew = 5 * time.Second
	// retryPause is the least time between two failing calls for one session.
	retryPause = time.Second
	// maxRetryPause bounds a provider's Retry-After.
	maxRetryPause = 30 * time.Second
	// forcedBurst refreshes of one session may be asked for at once, and one more
	// each forcedEvery: the provider's quota is everybody's (FACTS A.9).
	forcedBurst = 10
	forcedEvery = 10 * time.Second
	// retriedEvery is how often an upstream's 401 may renew a token at most: one
	// that says 401 to everything must not refresh on every request.
	retriedEvery = 30 * time.Second
)

// Reason is why a token is renewed.
type Reason int

const (
	// IfDue: only if it has ended or soon will.
	IfDue Reason = iota
	// OnDemand: the app asked for it.
	OnDemand
	// Refused: an upstream did not take the token.
	Refused
)

// Fresh makes sure that the visit's access token is good. If it is due but has
// not ended, the refresh runs beside the request and the request goes on with
// the token it has. For another reason than [IfDue] it waits for new tokens.
//
// Errors: [ErrRejected], when the provider refused the refresh token of the
// newest generation: the session is over. [ErrSuperseded]. [*TooOftenError].
// [*UnavailableError] for everything that may pass: the session is kept. The
// context's error.
func (r *RequestSession) Fresh(ctx context.Context, why Reason) error {
	for range maxTurns {
		err := r.fresh(ctx, why)
		if err != nil || r.usable(r.manager.cfg.Now()) || !renewable(r.Session) {
			return err
		}
		why = IfDue
	}
	return &UnavailableError{RetryAfter: retryPause, Err: errOutrun}
}

// maxTurns bounds how often a request asks for a token that is still good: what
// another request or replica came to may be so old that it has ended, too, but
// then a turn later nothing newer can be known.
const maxTurns = 3

var errOutrun = errors.New("every renewed access token had already ended")

// usable reports whether the access token has not ended.
func (r *RequestSession) usable(now time.Time) bool {
	return now.Before(r.Session.AccessExpires.Add(-skew(r.Session)))
}

// fresh is one turn of [RequestSession.Fresh]. It may end with a newer token that has
// ended.
func (r *RequestSession) fresh(ctx context.Context, why Reason) error {
	m, s := r.manager, r.Session
	now := m.cfg.Now()
	usable := r.usable(now)
	if why == IfDue && usable && now.Before(s.AccessExpires.Add(-m.refreshBefore(s))) {
		return nil
	}
	if !renewable(s) {
		return nil // it ends with its access token
	}
	needed := why != IfDue || !usable
	f, err := m.join(ctx, s, why, needed, now)
	if err != nil || f == nil {
		return r.settle(err, needed)
	}
	if !needed {
		return nil
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return r.settle(f.err, true)
}

// settle takes over what the refreshes of this session came to. A failure
// counts only if the request needed a new token and none is there.
func (r *RequestSession) settle(err error, needed bool) error {
	before := r.Session.Generation
	newest, rejected := r.manager.newest(r.Session)
	r.Session = newest
	switch {
	case rejected:
		return ErrRejected
	case newest.Generation > before, err == nil, !needed:
		return nil
	case errors.Is(err, ErrRejected):
		// An older generation was: this one is not refused.
		return &UnavailableError{RetryAfter: retryPause, Err: err}
	}
	return err
}

// refreshBefore is how long before its end a token is due. It spreads the
// refreshes of sessions that began together: each session has its own margin,
// up to a quarter longer. A token that lives shortly is not due all its life.
func (m *Manager) refreshBefore(s *session.Session) time.Duration {
	before := m.cfg.RefreshBefore
	before += before * time.Duration(s.ID[0]) / (4 * 256)
	return min(before, s.AccessExpires.Sub(s.AccessIssued)/4)
}

// renewable reports whether there is a refresh token.
func renewable(s *session.Session) bool { return !s.RefreshExpires.Equal(s.AccessExpires) }

func skew(s *session.Session) time.Duration {
	return min(clockSkew, s.AccessExpires.Sub(s.AccessIssued)/8)
}

// join returns the refresh under way for s, starting one if there is none. It
// returns nothing if a newer generation is already there, or if the process is
// about to end and the request does not need a refresh.
func (m *Manager) join(ctx context.Context, s *session.Session, why Reason, needed bool, now time.Time) (*flight, error) {
	r := &m.refreshes
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(now)
	e := m.entry(s, now)
	switch {
	case s.Generation < e.generation && e.newest != nil:
		return nil, nil
	case s.Generation < e.generation && e.rotated && m.cfg.Replicas == nil:
		// This refresh token was used up long ago. Showing it again would look
		// like theft to the provider and end the session everywhere.
		return nil, ErrSuperseded
	case e.rejected >= s.Generation:
		return nil, ErrRejected
	case e.flight != nil && e.flight.generation >= s.Generation:
		m.metrics.Coalesced.Inc()
		return e.flight, nil
	case e.failed != nil && now.Before(e.retryAt):
		return nil, &UnavailableError{RetryAfter: e.retryAt.Sub(now), Err: e.failed}
	case r.closed, r.draining && !needed:
		return nil, closing(needed)
	}
	if err := e.mayForce(why, now); err != nil {
		return nil, err
	}
	e.flight = &flight{done: make(chan struct{}), generation: s.Generation, known: e.generation, superseded: s.Generation < e.generation && e.rotated}
	f := e.flight
	r.flights.Go(func() { m.refresh(context.WithoutCancel(ctx), s, e, f) })
	return f, nil
}

var errClosing = errors.New("the service is shutting down")

func closing(needed bool) error {
	if !needed {
		return nil
	}
	return &UnavailableError{RetryAfter: retryPause, Err: errClosing}
}

// refresh makes the call, detached from every request: a client that leaves
// must not cancel it, because after a rotation its answer holds the only token
// that is still good (FACTS COG-ROT-07). ctx is that of the request that asked
// first, and never ends.
func (m *Manager) refresh(ctx context.Context, s *session.Session, e *entry, f *flight) {
	o := m.renew(ctx, s, f)
	if o.err == nil && m.cfg.Denied.Denied(s.ID.Name(), s.Subject, s.SID, s.Begun) {
		defer m.discard(o) // when nobody waits any more
		o = outcome{err: ErrRevoked}
	}
	m.land(s, e, f, o)
}

// land takes up what a refresh came to, and tells who waits for it.
func (m *Manager) land(s *session.Session, e *entry, f *flight, o outcome) {
	r := &m.refreshes
	r.mu.Lock()
	defer r.mu.Unlock()
	now := m.cfg.Now()
	if e.flight == f {
		e.flight = nil
	}
	switch {
	case o.next != nil:
		m.succeeded(e, o, now)
	case o.rejected:
		e.rejected = max(e.rejected, s.Generation)
		f.err = ErrRejected
		m.Recheck()
		m.cfg.Log.Info("session ended: refresh token rejected", "session", s.ID, "sub", s.Subject)
	case errors.Is(o.err, ErrRevoked), errors.Is(o.err, ErrSuperseded):
		f.err = o.err
	default:
		pause, name := pauseAfter(o.err)
		e.failed, e.retryAt = o.err, now.Add(pause)
		f.err = &UnavailableError{RetryAfter: pause, Err: o.err}
		m.metrics.Refreshes.WithLabelValues(name).Inc()
		m.cfg.Log.Warn("refresh failed, session kept", "session", s.ID, "error", o.err.Error())
	}
	close(f.done)
}

// succeeded takes up the next generation. The caller holds refreshes.mu.
func (m *Manager) succeeded(e *entry, o outcome, now time.Time) {
	e.failed = nil
	if o.next.Generation < e.generation || o.next.Generation == e.generation && e.newest != nil {
		return // another refresh has come further
	}
	e.generation, e.newest, e.lasts = o.next.Generation, o.next, o.next.Ends()
	e.cookies, e.unwritable = nil, false
	e.rotated, e.shown = o.next.Rotates, !o.next.Rotates
	e.graceEnds, e.ends = now.Add(m.cfg.RefreshGrace), now.Add(m.keepFor(o.next))
	e.epoch = o.epoch
	m.refreshes.dirty = m.refreshes.dirty || o.epoch == 0
}

// call makes the one call to the provider. What it makes is later than all that
// is known here: the tokens of a later generation may be gone.
func (m *Manager) call(ctx context.Context, s *session.Session, f *flight) outcome {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.RefreshTimeout)
	defer cancel()
	if m.cfg.Denied.Denied(s.ID.Name(), s.Subject, s.SID, s.Begun) {
		return outcome{err: ErrRevoked} // while it waited for the lease
	}
	previous, err := s.Tokens()
	if err != nil {
		return outcome{err: err}
	}
	start := m.cfg.Now()
	renewed, err := m.cfg.Refresher.Refresh(ctx, previous)
	now := m.cfg.Now()
	m.metrics.RefreshSeconds.Observe(now.Sub(start).Seconds())
	if err != nil {
		if errors.Is(err, provider.ErrRejected) {
			m.metrics.Refreshes.WithLabelValues("rejected").Inc()
			return outcome{rejected: true}
		}
		return outcome{err: err}
	}
	next := m.cfg.Store.Next(s, previous, renewed, f.makes(), now)
	rotated := !renewed.Refresh.IsZero() && !renewed.Refresh.Equal(previous.Refresh)
	m.refreshes.steady.Store(!rotated)
	m.metrics.Refreshes.WithLabelValues(map[bool]string{false: "ok", true: "rotated"}[rotated]).Inc()
	return outcome{next: next}
}

// discard gives back the tokens of a session that ended while they were made.
func (m *Manager) discard(o outcome) {
	if o.next == nil || o.shared || m.cfg.Discard == nil {
		return
	}
	if t, err := o.next.Tokens(); err == nil {
		m.cfg.Discard(t.Refresh)
	}
}

// pauseAfter tells how long to leave the provider alone, and the outcome's name.
func pauseAfter(err error) (time.Duration, string) {
	asked := provider.RetryAfter(err)
	if asked <= 0 {
		return retryPause, "error"
	}
	return min(max(asked, retryPause), maxRetryPause), "unavailable"
}

// Drain starts no more refreshes that a request could do without: their results
// would reach nobody once the process has ended.
func (m *Manager) Drain() {
	m.refreshes.mu.Lock()
	defer m.refreshes.mu.Unlock()
	m.refreshes.draining = true
}

// Close starts no more refreshes at all and returns when none is under way: a
// process that ends in the middle of a rotation would lose the only token that
// is still good. It takes at most RefreshTimeout.
func (m *Manager) Close() {
	m.refreshes.mu.Lock()
	m.refreshes.closed = true
	m.refreshes.mu.Unlock()
	m.refreshes.flights.Wait()
}
