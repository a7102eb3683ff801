package refresh

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/sessions"

	"cognito-token-handler/tokenhandler/session"
)

// RequestSession is the session of one request. It belongs to the goroutine of
// that request.
type RequestSession struct {
	// Session is the newest generation known, which may be newer than the cookie's.
	// It is nil if the request has no session that is alive.
	Session *session.Session
	// Stored is the session that the cookie holds, even if it has ended. It is nil if
	// there is no session cookie or it does not open.
	Stored *session.Session

	manager *Manager
	request *http.Request
	cookie  *sessions.Session
	// activity is nil if the session has ended by itself.
	activity *session.Activity
	// written is the generation that the browser holds, touched whether the activity
	// changed since it was written.
	written uint64
	touched bool
}

// Open opens the session of a request. It uses no network. Errors: [ErrNone], those
// of [session.Store.New], [ErrRevoked], [ErrRejected], [ErrDenyListOutdated]. The
// result is never nil; after an error it has no Session. The request's Cookie header
// must not change while the result is in use.
func (m *Manager) Open(request *http.Request) (*RequestSession, error) {
	r := &RequestSession{manager: m, request: request}
	err := r.open()
	if err == nil {
		r.Session, err = m.newest(r.Stored)
	}
	if !errors.Is(err, ErrNone) {
		m.metrics.Opened.WithLabelValues(openOutcome(err)).Inc()
	}
	return r, err
}

// open opens the cookies. It calls New and not Get, which would add a value to the
// context of every request.
func (r *RequestSession) open() error {
	store := r.manager.cfg.Store
	cookie, err := store.New(r.request, store.Session)
	switch {
	case err != nil:
		if ended, ok := errors.AsType[*session.EndedError](err); ok {
			r.Stored = ended.Session
		}
		return err
	case cookie.IsNew:
		return ErrNone
	}
	r.cookie = cookie
	r.Stored, _ = cookie.Values[session.Key].(*session.Session)
	r.activity, _ = cookie.Values[session.ActivityKey].(*session.Activity)
	r.written = r.Stored.Generation
	return nil
}

// newest returns the newest generation of a session that a cookie holds.
func (m *Manager) newest(stored *session.Session) (*session.Session, error) {
	if m.denied(stored) {
		if m.cfg.Denied.Replaced(stored.ID.Name()) {
			return nil, ErrReplaced
		}
		return nil, ErrRevoked
	}
	if m.cfg.DenyListCurrent != nil && !m.cfg.DenyListCurrent() {
		return nil, ErrDenyListOutdated
	}
	newest, rejected := m.memory.cookieSeen(stored)
	if rejected {
		return nil, ErrRejected
	}
	if newest != stored {
		m.metrics.Superseded.Inc()
	}
	return newest, nil
}

func openOutcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, session.ErrIdle):
		return "idle"
	case errors.Is(err, session.ErrExpired):
		return "expired"
	case errors.Is(err, ErrRevoked), errors.Is(err, ErrRejected):
		return "revoked"
	case errors.Is(err, session.ErrCookiesTooLarge):
		return "too_large"
	case errors.Is(err, session.ErrUnknownKey):
		return "unknown_key"
	case errors.Is(err, ErrDenyListOutdated):
		return "uncertain"
	}
	return "unreadable"
}

// Reason is why a token is refreshed.
type Reason int

const (
	// IfDue refreshes a token only if it has ended or soon will.
	IfDue Reason = iota
	// OnDemand refreshes because the app asked for it.
	OnDemand
	// Refused refreshes because an upstream answered 401 to the token.
	Refused
)

// maxRounds bounds how often a request asks for a token that has not ended. What
// another request or replica found may be so old that it has ended, too, or be partial; a
// round later nothing newer can be known.
const maxRounds = 3

// Refresh makes sure that the access token is good. If the token is due but has not
// ended, the refresh runs in the background and the request goes on with the token
// that it has, unless the refresh token ends first. For another reason than [IfDue], Refresh waits for a new token.
//
// Errors: [ErrRejected] if the provider refused the refresh token of the newest
// generation: the session has ended. [ErrSuperseded]. [ErrRevoked]. [*TooOftenError].
// [*UnavailableError] for everything that may pass: the session is kept. The error of
// ctx.
func (r *RequestSession) Refresh(ctx context.Context, why Reason) error {
	needed := why != IfDue
	for range maxRounds {
		err := r.refreshOnce(ctx, why, needed)
		needed = needed && r.Session.Partial
		if err != nil || !needed && usable(r.Session, r.manager.cfg.Now()) || !r.Session.Renewable {
			return err
		}
		why = IfDue
	}
	return &UnavailableError{RetryAfter: retryPause, Err: errOutrun}
}

// refreshOnce is one round of [RequestSession.Refresh]. The newer token that it finds
// may have ended. needed tells that the request waits for a new token, even if the one
// that it has is usable.
func (r *RequestSession) refreshOnce(ctx context.Context, why Reason, needed bool) error {
	m, s := r.manager, r.Session
	now := m.cfg.Now()
	needed = needed || !usable(s, now)
	if !s.Renewable || !needed && !m.cfg.due(s, now) {
		return nil // without a refresh token, the session ends with its access token
	}
	a, joined, err := m.memory.ask(s, why, needed, func(a *attempt) {
		a.manager = m
		a.run(context.WithoutCancel(ctx))
	})
	if joined {
		m.metrics.Coalesced.Inc()
	}
	if a != nil {
		if !needed && !endsUnused(s, now) {
			return nil
		}
		select {
		case <-a.done:
			err = a.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return r.takeNewest(err, needed)
}

// takeNewest goes on with the newest generation. An error counts only if the request
// needed a new token and there is none.
func (r *RequestSession) takeNewest(err error, needed bool) error {
	before := r.Session.Generation
	newest, rejected := r.manager.memory.current(r.Session)
	r.Session = newest
	switch {
	case rejected:
		return ErrRejected
	case errors.Is(err, ErrRevoked), !needed && r.Ended(): // while the request waited
		return ErrRevoked
	case newest.Generation > before && !newest.Partial, err == nil, !needed:
		return nil
	case errors.Is(err, ErrRejected):
		// An older generation was refused, and this one was not.
		return &UnavailableError{RetryAfter: retryPause, Err: err}
	}
	return err
}

// endedFor is how long it is remembered that a session was ended which was over already.
const endedFor = time.Hour

// End is logout: from now on no cookie of this session is opened or written
// here, not even by a refresh that is still running. It returns false if the session was
// known to be ended before, or its refresh token to be dead: then nothing is left to
// revoke.
func (r *RequestSession) End() bool {
	m, s := r.manager, cmp.Or(r.Session, r.Stored)
	now := m.cfg.Now()
	_, rejected := m.memory.current(s)
	dead := rejected || m.denied(s) || !s.RefreshExpires.IsZero() && !now.Before(s.RefreshExpires)
	until := s.Expires
	if soonest := now.Add(endedFor); until.Before(soonest) {
		until = soonest
	}
	m.cfg.Denied.Deny(s.ID.Name(), until)
	m.memory.forget(s.ID)
	return !dead
}

// Ended reports whether the session was revoked since it was opened.
func (r *RequestSession) Ended() bool { return r.manager.denied(r.Session) }

// Commit writes to the response what the browser does not hold yet: the newest
// generation and the user's activity. Call it once, right before the header is sent,
// so that it includes a refresh that finished meanwhile. Only the header of w is
// changed. A session that was revoked meanwhile is not written again: logout wins
// over every request that is still running.
func (r *RequestSession) Commit(w http.ResponseWriter) {
	if r.Session == nil || r.Ended() {
		return // the browser may hold the cookie of another session by now
	}
	m := r.manager
	r.Session, _ = m.memory.current(r.Session)
	if r.Session.Generation > r.written {
		r.cookie.Values[session.Key] = r.Session
		err := r.cookie.Save(r.request, w)
		if err == nil {
			r.written, r.touched = r.Session.Generation, false
			return
		}
		m.memory.held(r.Session).notWritten(m.cfg.Log, err)
		r.cookie.Values[session.Key] = r.Stored // the browser keeps it
	}
	if r.touched {
		_ = r.cookie.Save(r.request, w) // the activity, which always fits
		r.touched = false
	}
}
