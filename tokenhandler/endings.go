package tokenhandler

import (
	"errors"
	"net/http"
	"sync"

	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// Why a session has ended, as metrics name it.
const (
	endedByLogout  = "logout"
	endedByLogin   = "replaced" // by a login in the same browser
	endedIdle      = "idle"
	endedExpired   = "expired"
	endedRevoked   = "revoked" // by an operator, the provider, or its user elsewhere
	endedByRefusal = "refused" // the provider refused the refresh token
)

// maxEndings bounds how many ended sessions are remembered.
const maxEndings = 20_000

// endings records each end of a session once, with the first cause: a browser may send many
// requests with the cookie of a session that has ended.
type endings struct {
	cfg *Config

	mu sync.Mutex
	// recent holds up to half of maxEndings. When it is full it becomes older, and what is
	// in older is forgotten.
	recent, older map[session.ID]bool
}

// end records that a session ends now, or is found to have ended. sub is empty if it is
// not known.
func (e *endings) end(r *http.Request, id session.ID, sub, cause string) {
	if !e.isNew(id) {
		return
	}
	e.cfg.Metrics.Ended.WithLabelValues(cause).Inc()
	e.cfg.Audit.Note(r.Context(), audit.Event{Name: audit.SessionEnded, Cause: cause, Subject: sub, Session: id.String(), Caller: e.cfg.Site.CallerOf(r)})
}

// seen records that a request has shown a session that has ended, if that is what err says.
func (e *endings) seen(r *http.Request, s *session.Session, err error) {
	if cause := endingOf(err); cause != "" {
		e.end(r, s.ID, s.Subject, cause)
	}
}

// endingOf returns why a session has ended that a request shows, or "" if it goes on.
func endingOf(err error) string {
	switch {
	case errors.Is(err, session.ErrIdle):
		return endedIdle
	case errors.Is(err, session.ErrExpired):
		return endedExpired
	case errors.Is(err, refresh.ErrRevoked):
		return endedRevoked
	case errors.Is(err, refresh.ErrRejected):
		return endedByRefusal
	}
	return ""
}

func (e *endings) isNew(id session.ID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.recent[id] || e.older[id] {
		return false
	}
	if e.recent == nil || len(e.recent) >= maxEndings/2 {
		e.older, e.recent = e.recent, make(map[session.ID]bool)
	}
	e.recent[id] = true
	return true
}
