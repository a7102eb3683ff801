package refresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// attempt is one refresh, for all requests that wait for it. The package comment lists
// its steps and the events that it may end with.
type attempt struct {
	manager *Manager
	// session is the generation that is refreshed, record that of its session.
	session *session.Session
	record  *record
	// known is the latest generation that was known when the attempt began. If it is
	// later than that of session, its tokens are no longer in memory.
	known uint64
	// resultOnly: the refresh token of session was replaced, so that only a result of
	// another replica is of use.
	resultOnly bool

	done chan struct{}
	err  error // for the requests; set before done is closed
}

// event is what an attempt ends with.
type event int

const (
	eventNone event = iota // the attempt goes on
	eventMade
	eventPartial
	eventFound
	eventRefused
	eventRevoked
	eventSuperseded
	eventFailed
)

// outcome is an event with what belongs to it.
type outcome struct {
	event event
	// next is the new generation, with eventMade, eventPartial and eventFound.
	next *session.Session
	// epoch is that of the store which has next; 0 for none.
	epoch uint64
	// tooLarge tells that next does not fit into cookies.
	tooLarge bool
	// unused is a generation that was made after its session was revoked.
	unused *session.Session
	// err is the cause of eventFailed and eventPartial.
	err error
}

func failed(err error) outcome { return outcome{event: eventFailed, err: err} }

// asError is what a request gets that waited for the attempt.
func (o outcome) asError() error {
	switch o.event {
	case eventRefused:
		return ErrRejected
	case eventRevoked:
		return ErrRevoked
	case eventSuperseded:
		return ErrSuperseded
	case eventFailed, eventPartial:
		return &UnavailableError{RetryAfter: pauseAfter(o.err), Err: o.err}
	case eventNone, eventMade, eventFound:
	}
	return nil
}

// run makes the attempt and tells the requests that wait for it.
func (a *attempt) run(ctx context.Context) {
	o := a.steps(ctx)
	a.report(ctx, o)
	o.tooLarge = o.next != nil && a.manager.cfg.Store.Fits(o.next) != nil // here, because it seals
	a.manager.memory.finish(a, o)
	if o.event == eventRefused {
		a.manager.Recheck()
	}
	a.giveBack(o.unused) // when no request waits any more
}

// steps takes the steps of the attempt, up to the one that ends it.
func (a *attempt) steps(ctx context.Context) outcome {
	shared, cancel := context.WithTimeout(ctx, 2*a.manager.cfg.lease())
	defer cancel()
	lease, o := a.claim(shared)
	if o.event == eventNone {
		o = a.call(ctx, lease)
	}
	if lease != nil {
		a.share(shared, lease, &o)
	}
	if o.event <= eventRefused && a.manager.denied(a.session) {
		ended := outcome{event: eventRevoked}
		if o.event == eventMade || o.event == eventPartial {
			ended.unused = o.next
		}
		return ended
	}
	return o
}

// lease is the permission of all replicas to refresh one session.
type lease struct {
	name  string
	epoch uint64 // of the store that gave it
	ends  time.Time
}

// left is for how long the lease lasts. While a process or its whole machine stands
// still, one of its two clocks may stand still, too.
func (l *lease) left(now time.Time) time.Duration {
	return min(l.ends.Sub(now), l.ends.Round(0).Sub(now.Round(0)))
}

// claim asks the store for the lease of the session. Without one it goes on alone.
func (a *attempt) claim(ctx context.Context) (*lease, outcome) {
	m := a.manager
	if m.cfg.Replicas == nil {
		return nil, outcome{}
	}
	epoch := m.cfg.Replicas.Epoch()
	claim, err := m.cfg.Replicas.Claim(ctx, a.session.ID.Name(), a.claimed(), m.cfg.lease())
	switch {
	case err != nil && !a.resultOnly && m.mayRace(a.session):
		m.metrics.Unshared.Inc()
		return nil, outcome{}
	case err != nil:
		return nil, failed(errors.Join(ErrStoreUnavailable, err))
	case claim.Lease != "" && a.resultOnly:
		return &lease{claim.Lease, epoch, claim.Ends}, outcome{event: eventSuperseded}
	case claim.Lease != "":
		return &lease{claim.Lease, epoch, claim.Ends}, outcome{}
	case len(claim.Sealed) == 0:
		return nil, outcome{event: eventRefused}
	}
	next, err := m.cfg.open(a.session.ID, claim.Generation, claim.Sealed)
	if err != nil {
		// The store's value is at fault and not the cookie: it must not count as the cookie's error.
		return nil, failed(fmt.Errorf("%w: opening another replica's result: %s", ErrStoreUnavailable, err.Error()))
	}
	return nil, outcome{event: eventFound, next: next, epoch: epoch}
}

// claimed is the generation beyond which a result of another replica is of use.
func (a *attempt) claimed() uint64 {
	if a.known > a.session.Generation {
		return a.known - 1
	}
	return a.session.Generation
}

// makes is the generation that the attempt makes: later than all that are known.
func (a *attempt) makes() uint64 { return max(a.session.Generation, a.known) + 1 }

// check looks at what became known while the attempt waited for the lease, or since
// its request opened the session: a process that has just started may see an older
// cookie before it sees the newer one.
func (a *attempt) check() outcome {
	newer, _ := a.manager.memory.current(a.session)
	switch {
	case newer.Generation > a.session.Generation:
		return outcome{event: eventFound, next: newer}
	case a.manager.denied(a.session):
		return outcome{event: eventRevoked}
	}
	return outcome{}
}

// callTime is how long a call to the provider may take that begins now, which is shorter
// than the lease. It is 0 if the lease will end too soon: this process has stood still
// since it got the lease, and another one may begin.
func (a *attempt) callTime(l *lease) time.Duration {
	most := a.manager.cfg.RefreshTimeout
	if l == nil {
		return most
	}
	left := l.left(a.manager.cfg.Now()) - leaseMargin/2
	if left < most/2 {
		return 0 // if the call were cut off, the provider's answer would be lost
	}
	return min(most, left)
}

// call makes the one call to the provider, right after the checks.
func (a *attempt) call(ctx context.Context, l *lease) outcome {
	m := a.manager
	ctx, cancel := context.WithTimeout(ctx, m.cfg.RefreshTimeout)
	defer cancel()
	previous, err := a.session.Tokens()
	if err != nil {
		return failed(err)
	}
	if m.cfg.MayRefresh != nil {
		if err := m.cfg.MayRefresh(ctx); err != nil {
			return failed(errors.Join(ErrNotAllowed, err))
		}
	}
	if o := a.check(); o.event != eventNone {
		return o
	}
	most := a.callTime(l)
	if most == 0 {
		return failed(errStoodStill)
	}
	ctx, cancelCall := context.WithTimeout(ctx, most)
	defer cancelCall()
	start := m.cfg.Now()
	renewed, err := m.cfg.Refresher.Refresh(ctx, previous)
	now := m.cfg.Now()
	m.metrics.RefreshSeconds.Observe(now.Sub(start).Seconds())
	if errors.Is(err, provider.ErrRejected) {
		m.metrics.Refreshes.WithLabelValues("rejected").Inc()
		return outcome{event: eventRefused}
	}
	rotated := !renewed.Refresh.IsZero() && !renewed.Refresh.Equal(previous.Refresh)
	switch {
	case err != nil && rotated:
		m.notRotated.Store(false)
		unverified := secret.Tokens{Refresh: renewed.Refresh, RefreshExpires: renewed.RefreshExpires}
		return outcome{event: eventPartial, next: m.cfg.Store.Next(a.session, previous, unverified, a.makes(), now), err: err}
	case err != nil:
		return failed(err)
	}
	m.notRotated.Store(!rotated)
	m.metrics.Refreshes.WithLabelValues(map[bool]string{false: "ok", true: "rotated"}[rotated]).Inc()
	return outcome{event: eventMade, next: m.cfg.Store.Next(a.session, previous, renewed, a.makes(), now)}
}

// share tells the other replicas of a result and gives up the lease. If the store
// takes the result, o.epoch says so.
func (a *attempt) share(ctx context.Context, l *lease, o *outcome) {
	m, name := a.manager, a.session.ID.Name()
	result := Result{Generation: a.makes()}
	if o.next != nil {
		result.Generation = o.next.Generation
		sealed, err := m.cfg.seal(o.next)
		if err != nil {
			m.cfg.Log.ErrorContext(ctx, "refresh not shared", "error", err.Error(), "session", a.session.ID)
			o.epoch = l.epoch // it can never be sealed: Run must not try again
		}
		result.Sealed = sealed
	}
	if o.event != eventRefused && result.Sealed == nil {
		_ = m.cfg.Replicas.Release(ctx, name, l.name) // if it fails, the lease runs out
		return
	}
	err := m.cfg.Replicas.Publish(ctx, name, l.name, result, m.cfg.keepFor(a.session, m.cfg.Now()))
	if err != nil {
		m.cfg.Log.WarnContext(ctx, "refresh not shared yet", "error", err.Error(), "session", a.session.ID)
		return
	}
	o.epoch = l.epoch
}

// report logs and counts how the attempt ended, before its requests go on.
func (a *attempt) report(ctx context.Context, o outcome) {
	m, s := a.manager, a.session
	if ended := o.event == eventRefused; m.cfg.Refused != nil && (ended || o.event == eventFailed && errors.Is(o.err, provider.ErrRefused)) {
		m.cfg.Refused(ctx, s, ended)
	}
	switch o.event {
	case eventRefused:
		m.cfg.Log.InfoContext(ctx, "session ended: refresh token rejected", "session", s.ID, "sub", s.Subject)
	case eventFailed, eventPartial:
		m.metrics.Refreshes.WithLabelValues(failureName(o.err)).Inc()
		m.cfg.Log.WarnContext(ctx, "refresh failed, session kept", "session", s.ID, "new_refresh_token", o.event == eventPartial, "error", o.err.Error())
	case eventNone, eventMade, eventFound, eventRevoked, eventSuperseded:
	}
}

// failureName is the outcome of a failed refresh in the metrics.
func failureName(err error) string {
	switch {
	case errors.Is(err, ErrStoreUnavailable):
		return "store_unavailable"
	case errors.Is(err, ErrNotAllowed):
		return "not_allowed"
	case errors.Is(err, provider.ErrRefused):
		return "refused"
	case provider.RetryAfter(err) > 0:
		return "unavailable"
	}
	return "error"
}

// giveBack revokes the refresh token of a generation that nobody will use.
func (a *attempt) giveBack(unused *session.Session) {
	if unused == nil || a.manager.cfg.Discard == nil {
		return
	}
	if t, err := unused.Tokens(); err == nil {
		a.manager.cfg.Discard(t.Refresh)
	}
}
