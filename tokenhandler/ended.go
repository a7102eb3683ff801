package tokenhandler

import (
	"errors"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/wire"
)

// whyEnded returns why a session is over that the request has a cookie of. err is that of
// [Handler.open]. It is "" if there was no session, if the browser has another one by now,
// or if the cookie does not open.
func (h *Handler) whyEnded(current *refresh.RequestSession, err error) wire.Ended {
	switch {
	case errors.Is(err, refresh.ErrReplaced), errors.Is(err, refresh.ErrSuperseded):
		return ""
	case errors.Is(err, session.ErrIdle):
		return wire.EndedIdle
	case errors.Is(err, session.ErrExpired):
		return wire.EndedExpired
	case errors.Is(err, refresh.ErrRevoked) && h.loggedOut.has(current.Stored):
		return wire.EndedLogout
	case errors.Is(err, refresh.ErrRevoked):
		return wire.EndedRevoked
	case errors.Is(err, refresh.ErrRejected), needsLogin(err):
		return wire.EndedRefused
	}
	return ""
}

// maxLoggedOut bounds how many logouts are remembered.
const maxLoggedOut = 20_000

// loggedOut remembers which sessions their users have ended in this process, so that other
// tabs and browsers can be told so. The deny list only knows that they have ended. What
// is forgotten counts as ended by somebody else. The zero value is empty.
type loggedOut struct {
	mu sync.Mutex
	// recent holds up to half of maxLoggedOut. When it is full it becomes older, and what
	// is in older is forgotten.
	recent, older logouts
}

// logouts are sessions that have ended.
type logouts struct {
	sessions map[session.ID]bool
	// users maps a sub to the time before which all of the user's sessions have begun that
	// were ended.
	users map[string]time.Time
}

// addSession notes that the user has logged out of one session.
func (l *loggedOut) addSession(id session.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.makeRoom()
	l.recent.sessions[id] = true
}

// addUser notes that the user has logged out everywhere.
func (l *loggedOut) addUser(sub string, before time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.makeRoom()
	l.recent.users[sub] = before
}

// makeRoom forgets the older half if the recent one is full. The caller holds mu.
func (l *loggedOut) makeRoom() {
	if l.recent.sessions != nil && len(l.recent.sessions)+len(l.recent.users) < maxLoggedOut/2 {
		return
	}
	l.older = l.recent
	l.recent = logouts{sessions: make(map[session.ID]bool), users: make(map[string]time.Time)}
}

// has reports whether the user has logged out of s.
func (l *loggedOut) has(s *session.Session) bool {
	if s == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recent.has(s) || l.older.has(s)
}

func (l *logouts) has(s *session.Session) bool {
	return l.sessions[s.ID] || s.Begun.Before(l.users[s.Subject])
}
