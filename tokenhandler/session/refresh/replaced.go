package refresh

import (
	"context"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// findTimeout bounds the search for a session's refresh token in the store. The user waits
// for it.
const findTimeout = time.Second

// Replace ends a session because its browser begins another one. From now on no cookie
// of the session is opened or written here. For a minute, its requests get [ErrReplaced] in
// all processes. until is the session's end. The result is false if it had ended before.
func (m *Manager) Replace(id session.ID, until time.Time) bool {
	if m.cfg.Denied.Denied(id.Name(), "", "", m.cfg.Now()) {
		return false
	}
	m.cfg.Denied.Replace(id.Name(), until)
	return true
}

// MayLive reports whether a session with this end may be alive, as far as its id tells.
func (m *Manager) MayLive(id session.ID, ends time.Time) bool {
	now := m.cfg.Now()
	return now.Before(ends) && !m.cfg.Denied.Denied(id.Name(), "", "", now)
}

// TakeToken returns the newest refresh token of a session that has ended, if this
// process or the store has it, and forgets it here.
func (m *Manager) TakeToken(ctx context.Context, id session.ID) (token secret.String, found bool) {
	s := m.memory.take(id)
	if s == nil {
		s = m.stored(ctx, id)
	}
	if s == nil {
		return secret.String{}, false
	}
	tokens, err := s.Tokens()
	return tokens.Refresh, err == nil && !tokens.Refresh.IsZero()
}

// stored returns the newest generation of a session that the store has, or nil.
func (m *Manager) stored(ctx context.Context, id session.ID) *session.Session {
	if m.cfg.Replicas == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	claim, err := m.cfg.Replicas.Claim(ctx, id.Name(), 0, findTimeout)
	switch {
	case err != nil:
		return nil // a replica that is refreshing the session revokes what it gets
	case claim.Lease != "":
		_ = m.cfg.Replicas.Release(ctx, id.Name(), claim.Lease) // if it fails, the lease runs out
		return nil
	case len(claim.Sealed) == 0:
		return nil // the provider refused the refresh token
	}
	s, err := m.cfg.open(id, claim.Generation, claim.Sealed)
	if err != nil {
		return nil
	}
	return s
}

// take returns the newest generation of a session that is in memory, or nil, and
// releases it.
func (m *memory) take(id session.ID) *session.Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[id]
	if r == nil || r.newest.held == nil {
		return nil
	}
	s := r.newest.held.Session
	r.newest.release()
	return s
}
