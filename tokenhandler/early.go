package tokenhandler

import (
	"context"
	"sync"

	"cognito-token-handler/tokenhandler/session"
)

// earlyEnds warns of sessions that end earlier than the configuration says, because of
// the tokens that the provider gives. Each cause is logged once in the life of a process:
// it is the same for every user.
type earlyEnds struct {
	cfg *Config

	noRefresh, shortRefresh sync.Once
}

// warn looks at a session that has just begun.
func (e *earlyEnds) warn(ctx context.Context, s *session.Session) {
	life := s.Ends().Sub(e.cfg.Now())
	switch {
	case !s.Renewable:
		e.noRefresh.Do(func() {
			e.cfg.Log.WarnContext(ctx, "sessions end with their access token: the provider issues no refresh tokens",
				"lifetime", life.String(), "cure", "add offline_access to provider.scopes, or allow the client refresh tokens at the provider")
		})
	case s.Ends().Before(s.Expires) && life < e.cfg.Store.IdleTimeout():
		e.shortRefresh.Do(func() {
			e.cfg.Log.WarnContext(ctx, "sessions end before session.idle_timeout without a request: the provider's refresh tokens end earlier",
				"lifetime", life.String(), "idle_timeout", e.cfg.Store.IdleTimeout().String())
		})
	}
}
