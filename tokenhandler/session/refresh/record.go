package refresh

import (
	"errors"
	"time"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/session"
)

// record is what this process knows of one session that was refreshed here. It is
// guarded by memory.mu. Its state machines are in the package comment.
type record struct {
	newest newest
	// attempt is the one that runs, or nil.
	attempt *attempt
	// refused is the latest generation that the provider refused to refresh.
	refused uint64
	// failure is why the last attempt failed; until retryAt it is the answer to every
	// request.
	failure error
	retryAt time.Time
	// serverErrors counts the 5xx of the provider since the last success, from
	// serverErrorsFrom on.
	serverErrors     int
	serverErrorsFrom time.Time
	// unusableFrom is since when every answer of the provider was unusable and no access
	// token worked; zero if the last one was not.
	unusableFrom time.Time
	demand       demand
	// keepUntil is when no cookie of an older generation can be alive any more.
	keepUntil time.Time
}

// state is what a request with some generation finds.
type state int

const (
	ready state = iota
	replaced
	superseded
	refused
	running
	paused
)

// stateOf returns the state for a request that has s. shared tells whether a store
// may hold what memory has released.
func (r *record) stateOf(s *session.Session, shared bool, now time.Time) state {
	switch {
	case r.newest.replaces(s):
		return replaced
	case r.newest.supersedes(s) && !shared:
		return superseded
	case r.refused >= s.Generation:
		return refused
	case r.attempt != nil && r.attempt.session.Generation >= s.Generation:
		return running
	case r.failure != nil && now.Before(r.retryAt):
		return paused
	}
	return ready
}

// finish applies the event that an attempt ended with.
func (r *record) finish(a *attempt, o outcome, now time.Time, grace time.Duration) {
	latest := r.attempt == a // else a newer generation appeared meanwhile, and has an attempt of its own
	if latest {
		r.attempt = nil
	}
	if o.next != nil {
		r.newest.made(o, now.Add(grace))
	}
	switch o.event {
	case eventMade, eventFound:
		r.failure, r.serverErrors, r.unusableFrom = nil, 0, time.Time{}
	case eventRefused:
		r.refused = max(r.refused, a.session.Generation)
	case eventFailed, eventPartial:
		if latest {
			r.failure, r.retryAt = o.err, now.Add(pauseAfter(o.err))
		}
		r.noteServerError(o.err, now)
		r.noteUnusable(a.session, o.err, now)
	case eventNone, eventRevoked, eventSuperseded:
	}
}

// noteServerError counts a failure that is a 5xx of the provider.
func (r *record) noteServerError(err error, now time.Time) {
	if !isServerError(err) {
		return
	}
	if r.serverErrors == 0 {
		r.serverErrorsFrom = now
	}
	r.serverErrors++
}

// noteUnusable notes since when the answers of the provider are unusable, and s, which is
// refreshed, has no access token that works.
func (r *record) noteUnusable(s *session.Session, err error, now time.Time) {
	switch {
	case usable(s, now), !isUnusable(err):
		r.unusableFrom = time.Time{}
	case r.unusableFrom.IsZero():
		r.unusableFrom = now
	}
}

// refusedBy reports whether err means that the provider does not renew this session any
// more. It last renewed one, of any session, at renewed.
func (r *record) refusedBy(err error, renewed, now time.Time) bool {
	return errors.Is(err, provider.ErrRefused) ||
		isServerError(err) && r.serverErrors >= maxServerErrors && now.Sub(r.serverErrorsFrom) >= serverErrorsFor && renewed.After(r.serverErrorsFrom)
}

// current returns the newest generation that a request with s can have, and whether
// the provider refused to refresh it.
func (r *record) current(s *session.Session) (newest *session.Session, rejected bool) {
	if r.newest.replaces(s) {
		s = r.newest.held.Session
	}
	return s, r.refused >= s.Generation
}

// keep extends how long the record is kept.
func (r *record) keep(until time.Time) {
	if until.After(r.keepUntil) {
		r.keepUntil = until
	}
}

// newest is what is known of a session's newest generation.
type newest struct {
	state newestState
	// held is the generation with its tokens; nil if unknown or released.
	held *generation
	// number and ends are the generation's, and the end of its session. rotates tells
	// whether its refresh token replaced another one. They stay when it is released.
	number  uint64
	ends    time.Time
	rotates bool
	// graceEnds is until when requests with older cookies are expected.
	graceEnds time.Time
}

type newestState int

const (
	unknown newestState = iota
	unconfirmed
	confirmed
	released
)

// replaces reports whether a later generation than that of s can be handed out.
func (n *newest) replaces(s *session.Session) bool {
	return n.held != nil && s.Generation < n.number
}

// supersedes reports whether the refresh token of s was replaced by another one.
func (n *newest) supersedes(s *session.Session) bool {
	return s.Generation < n.number && n.rotates
}

// cookieSeen is the event that a browser's cookie holds s. It returns true if s is later
// than all that was known here.
func (n *newest) cookieSeen(s *session.Session, graceEnds time.Time) bool {
	switch {
	case s.Generation > n.number:
		n.hold(s, 0, confirmed, graceEnds) // the process that made it may have gone before it could publish it
		return true
	case s.Generation == n.number && n.state == unconfirmed:
		n.state = confirmed
	}
	return false
}

// made is the event that an attempt made or found a generation, whole or partial. An older
// cookie is as good if the provider does not rotate, but not if no browser can get a newer
// one: then every request would find its token due.
func (n *newest) made(o outcome, graceEnds time.Time) {
	s := o.next
	if s.Generation < n.number || s.Generation == n.number && n.held != nil {
		return // another attempt was faster, or a browser
	}
	state := unconfirmed
	if !s.Rotates && !o.tooLarge {
		state = confirmed
	}
	n.hold(s, o.epoch, state, graceEnds)
}

func (n *newest) hold(s *session.Session, epoch uint64, state newestState, graceEnds time.Time) {
	*n = newest{
		state: state, held: &generation{Session: s, epoch: epoch},
		number: s.Generation, ends: s.Ends(), rotates: s.Rotates, graceEnds: graceEnds,
	}
}

// release is the event that the tokens are of no more use.
func (n *newest) release() {
	if n.held != nil {
		n.state, n.held = released, nil
	}
}
