package refresh

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// DenyList holds the sessions that were ended before their time.
type DenyList interface {
	// Denied reports whether the session was ended: itself by name ([session.ID.Name]),
	// or with all sessions of sub, or of sid at the provider (empty for none), that
	// began before some moment. It is called on every request: it must not wait for
	// the network.
	Denied(name session.Name, sub, sid string, begun time.Time) bool
	// Deny ends one session, here at once. The entry may be forgotten at until, when
	// the session would have ended anyway. Denying twice is not an error.
	Deny(name session.Name, until time.Time)
	// Replace is Deny for a session whose browser begins another one.
	Replace(name session.Name, until time.Time)
	// Replaced reports whether Replace ended the session so short a time ago, here or in
	// another process, that requests of it may have been on their way already.
	Replaced(name session.Name) bool
}

// Refresher turns a refresh token into new tokens.
type Refresher interface {
	// Refresh makes one call to the provider and verifies the answer against previous:
	// same issuer, same subject. [provider.ErrRejected] means that the provider refused
	// the refresh token for good (invalid_grant), which ends the session. After every
	// other error the session is kept, and a later refresh may succeed:
	// [provider.RetryAfter] says when. If the provider has replaced the refresh token in
	// an answer that cannot be verified yet, the new one and its end come with the error,
	// for the next refresh.
	Refresh(ctx context.Context, previous secret.Tokens) (secret.Tokens, error)
}

// Config is what a [Manager] needs.
type Config struct {
	// Store keeps the sessions in the browser's cookies. Required.
	Store *session.Store
	// Refresher calls the provider. Required.
	Refresher Refresher
	// Denied is asked on every request. Required.
	Denied DenyList
	// RefreshBefore is how long before its end an access token is refreshed.
	RefreshBefore time.Duration
	// RefreshGrace is how long after a refresh a request with an older cookie gets the
	// new tokens.
	RefreshGrace time.Duration
	// RefreshTimeout bounds one call to the provider. Required.
	RefreshTimeout time.Duration
	// DemandBurst refreshes of one session may be demanded at once, and one more every
	// DemandEvery. The provider's quota is shared by all users. Default 10 and 10 seconds.
	DemandBurst int
	DemandEvery time.Duration
	// Replicas is the store that is shared with other processes. It may be nil if there
	// are none, or if RotationGrace covers their races.
	Replicas Replicas
	// RotationGrace is how long the provider accepts a refresh token that it has
	// replaced. With less than 10 seconds, no token is refreshed while Replicas is not
	// reached, unless the provider does not replace refresh tokens: it could take a
	// second use for theft and end the session.
	RotationGrace time.Duration
	// DenyListCurrent reports whether the deny list is known to be up to date. While it
	// returns false, no session opens. Nil means that it does not matter.
	DenyListCurrent func() bool
	// Discard revokes a refresh token that nobody will use. It may be nil.
	Discard func(refresh secret.String)
	// MayRefresh is asked before the provider is called; an error keeps the session, and
	// the token is not refreshed. It may be nil.
	MayRefresh func(ctx context.Context) error
	// Refused is told that the provider has refused to refresh a session: for good if
	// ended is true, which ends the session. ctx is that of the request which began the
	// refresh, without its end. It may be nil.
	Refused func(ctx context.Context, s *session.Session, ended bool)
	// Now is the clock. Required.
	Now func() time.Time
	// Log receives what happens to sessions. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Manager opens, refreshes and ends sessions. It is safe for concurrent use.
type Manager struct {
	cfg     Config
	metrics *Metrics
	memory  memory
	watches watches
	// notRotated tells that the last refresh gave no new refresh token.
	notRotated atomic.Bool
}

// NewManager builds a Manager.
func NewManager(cfg Config) *Manager {
	m := &Manager{cfg: cfg, metrics: cfg.Metrics}
	if m.metrics == nil {
		m.metrics = NewMetrics(nil)
	}
	m.cfg.DemandBurst = cmp.Or(cfg.DemandBurst, defaultDemandBurst)
	m.cfg.DemandEvery = cmp.Or(cfg.DemandEvery, defaultDemandEvery)
	m.memory.cfg, m.memory.records = &m.cfg, make(map[session.ID]*record)
	return m
}

// denied reports whether a session was ended before its time.
func (m *Manager) denied(s *session.Session) bool {
	return m.cfg.Denied.Denied(s.ID.Name(), s.Subject, s.SID, s.Begun)
}

// Drain starts no more refreshes that a request could do without: the process would
// end before a response could carry their results.
func (m *Manager) Drain() { m.memory.stop(draining) }

// Close starts no more refreshes at all and returns when none is running: a process
// that ends during a rotation would lose the only token that still works. It takes
// RefreshTimeout at most, and up to twice the time of a lease more if another replica
// holds the lease.
func (m *Manager) Close() {
	m.memory.stop(closed)
	m.memory.attempts.Wait()
}
