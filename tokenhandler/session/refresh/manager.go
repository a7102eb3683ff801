package refresh

import (
	"context"
	"log/slog"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// DenyList knows which sessions were ended before their time.
type DenyList interface {
	// Denied reports whether the session was ended: itself by name ([ID.Name]), or
	// with all sessions of sub, or of sid at the provider (empty for none), that
	// began before some moment. It is asked on every request: it must not wait
	// for the network.
	Denied(name session.Name, sub, sid string, begun time.Time) bool
	// Deny ends one session, here at once. The entry may be forgotten at until,
	// when the session would have ended anyway. Denying twice is not an error.
	Deny(name session.Name, until time.Time)
}

// Refresher turns a refresh token into new tokens.
type Refresher interface {
	// Refresh makes one call to the provider and verifies what it answers
	// against previous: same issuer, same subject. provider.ErrRejected means that
	// the provider refused the refresh token for good, and ends the session. Every
	// other error keeps it; provider.RetryAfter says when to try again.
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
	// RefreshBefore is how long before its end an access token is renewed.
	RefreshBefore time.Duration
	// RefreshGrace is how long an older cookie is served the newer tokens.
	RefreshGrace time.Duration
	// RefreshTimeout bounds one call to the provider. Required.
	RefreshTimeout time.Duration
	// Replicas is what is shared with other processes; nil for a single one, or
	// for several if the provider's grace covers their races.
	Replicas Replicas
	// RotationGrace is how long the provider accepts a refresh token that it has
	// replaced.
	RotationGrace time.Duration
	// DenyListCurrent reports whether the deny list is known to be up to date; while
	// it is not, no session opens. Nil means that it does not matter.
	DenyListCurrent func() bool
	// Discard gives back a refresh token that nobody will use; nil drops it.
	Discard func(refresh secret.String)
	// Now is the clock. Required.
	Now func() time.Time
	// Log receives what happens to sessions. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Manager opens, refreshes and ends sessions. It is safe for concurrent use.
type Manager struct {
	cfg       Config
	metrics   *Metrics
	refreshes refreshes
	watchers  watchers
}

// NewManager builds a Manager.
func NewManager(cfg Config) *Manager {
	m := &Manager{cfg: cfg, metrics: cfg.Metrics}
	if m.metrics == nil {
		m.metrics = NewMetrics(nil)
	}
	m.refreshes.entries = make(map[session.ID]*entry)
	return m
}
