package refresh

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/session"
)

// RequestSession is the session of one request. It belongs to the goroutine of
// that request.
type RequestSession struct {
	*session.RequestCookies

	// Session is the newest generation known, which may be newer than the cookie's.
	// It is nil if the request has no session that is alive.
	Session *session.Session

	manager *Manager
}

// Open opens the session of a request. It uses no network. Errors: those of
// [session.Store.Open], [ErrRevoked], [ErrRejected], [ErrDenyListOutdated]. The
// result is never nil: after an error it has no Session, but can remove the cookies
// from the browser.
func (m *Manager) Open(h http.Header) (*RequestSession, error) {
	cookies, err := m.cfg.Store.Open(h)
	r := &RequestSession{RequestCookies: cookies, manager: m}
	if err == nil {
		err = r.open()
	}
	if !errors.Is(err, session.ErrNone) {
		m.metrics.Opened.WithLabelValues(openOutcome(err)).Inc()
	}
	return r, err
}

func (r *RequestSession) open() error {
	m := r.manager
	if r.denied(r.Stored) {
		return ErrRevoked
	}
	if m.cfg.DenyListCurrent != nil && !m.cfg.DenyListCurrent() {
		return ErrDenyListOutdated
	}
	newest, rejected := m.see(r.Stored)
	if rejected {
		return ErrRejected
	}
	if newest != r.Stored {
		m.metrics.Superseded.Inc()
	}
	r.Session = newest
	return nil
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
	case errors.Is(err, ErrDenyListOutdated):
		return "uncertain"
	}
	return "unreadable"
}

// IdleExpires is when the session ends if the user does nothing.
func (r *RequestSession) IdleExpires() time.Time {
	idle := r.Active().Add(r.manager.cfg.Store.IdleTimeout())
	if r.Session != nil && r.Session.Ends().Before(idle) {
		return r.Session.Ends()
	}
	return idle
}

// End is logout: from now on no cookie of this session is opened or written
// here, not even by a refresh that is still running.
func (r *RequestSession) End() {
	s := cmp.Or(r.Session, r.Stored)
	r.manager.cfg.Denied.Deny(s.ID.Name(), s.Expires)
	r.manager.forget(s.ID)
}

// Ended reports whether the session was revoked since it was opened.
func (r *RequestSession) Ended() bool { return r.denied(r.Session) }

func (r *RequestSession) denied(s *session.Session) bool {
	return r.manager.cfg.Denied.Denied(s.ID.Name(), s.Subject, s.SID, s.Begun)
}

// Commit adds to the response's header what the browser does not hold yet: the
// newest generation and the user's activity. Call it once, right before the header
// is sent, so that it includes a refresh that finished meanwhile. A session that
// was revoked meanwhile is not written again: logout wins over every request that
// is still running.
func (r *RequestSession) Commit(h http.Header) {
	if r.Session == nil || r.Ended() {
		return // the browser may hold the cookie of another session by now
	}
	r.Session, _ = r.manager.newest(r.Session)
	if r.Session.Generation > r.Generation() {
		if values := r.manager.cookiesOf(r.Session); values != nil {
			r.Write(h, r.Session, values)
		}
	}
	r.WriteActivity(h)
}
