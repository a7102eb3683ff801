package refresh

import (
	"context"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

const (
	// replacedFor is how long after a login in the same browser requests of the earlier
	// session are expected that were on their way already.
	replacedFor = time.Minute
	// findTimeout bounds the search for a session's refresh token in the store. The user
	// waits for it.
	findTimeout = time.Second
)

// replacedSessions are the sessions that a login in the same browser has replaced lately.
type replacedSessions struct {
	mu sync.Mutex
	at map[session.ID]time.Time
}

// Replace ends a session because its browser begins another one. From now on no cookie
// of the session is opened or written here. Requests that were on their way already get
// [ErrReplaced]. until is the session's end. The result is false if it had ended before.
func (m *Manager) Replace(id session.ID, until time.Time) bool {
	now := m.cfg.Now()
	if m.cfg.Denied.Denied(id.Name(), "", "", now) {
		return false
	}
	m.replaced.add(id, now)
	m.cfg.Denied.Deny(id.Name(), until)
	return true
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

func (r *replacedSessions) add(id session.ID, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = make(map[session.ID]time.Time)
	}
	for other, at := range r.at {
		if now.Sub(at).Abs() >= replacedFor {
			delete(r.at, other)
		}
	}
	r.at[id] = now
}

func (r *replacedSessions) has(id session.ID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, there := r.at[id]
	return there && now.Sub(at).Abs() < replacedFor
}
