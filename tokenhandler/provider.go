package tokenhandler

import (
	"context"
	"errors"
	"time"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// revoker revokes the refresh tokens of sessions that have ended.
type revoker struct{ cfg *Config }

// revokeSession revokes the refresh token of a session. A failure is counted and
// logged.
func (r revoker) revokeSession(ctx context.Context, s *session.Session) {
	tokens, err := s.Tokens()
	if err != nil {
		r.cfg.Metrics.Revocations.WithLabelValues("failed").Inc()
		r.cfg.Log.WarnContext(ctx, "refresh token not revoked", "error", err.Error())
		return
	}
	r.revoke(ctx, tokens.Refresh)
}

// revoke revokes a refresh token. A failure is counted and logged: a logout
// succeeds without it.
func (r revoker) revoke(ctx context.Context, token secret.String) {
	if token.IsZero() {
		return
	}
	switch err := r.cfg.Provider.Revoke(ctx, token); {
	case err == nil:
		r.cfg.Metrics.Revocations.WithLabelValues("ok").Inc()
	case errors.Is(err, provider.ErrUnsupported):
		r.cfg.Metrics.Revocations.WithLabelValues("unsupported").Inc()
	default:
		r.cfg.Metrics.Revocations.WithLabelValues("failed").Inc()
		r.cfg.Log.WarnContext(ctx, "refresh token not revoked", "error", err.Error())
	}
}

// retryAfter returns how long to wait before a new try, or 0 if that is not known.
func retryAfter(err error) time.Duration {
	if unavailable, ok := errors.AsType[*refresh.UnavailableError](err); ok {
		return unavailable.RetryAfter
	}
	return provider.RetryAfter(err)
}

// providerProblem returns the answer for an error of the provider.
func providerProblem(err error) *web.Problem {
	retry := retryAfter(err)
	if errors.Is(err, provider.ErrRateLimited) {
		return web.NewProblem(web.CodeRateLimited, "the identity provider asks to slow down", err).RetryAfter(retry).By(web.LimitProvider)
	}
	if errors.Is(err, provider.ErrUnavailable) {
		return web.NewProblem(web.CodeProviderUnavailable, "the identity provider cannot be reached; try again", err).RetryAfter(retry)
	}
	return web.NewProblem(web.CodeProviderError, "the identity provider's answer cannot be used", err)
}
