package refresh

import (
	"errors"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/session"
)

const (
	// clockSkew is how long before its end an access token is not used any more: it
	// has to reach the upstream, whose clock may differ.
	clockSkew = 5 * time.Second
	// retryPause is the shortest time between two failing attempts for one session.
	retryPause = time.Second
	// refusedPause is the same after a refusal that is not known to be for good.
	refusedPause = 10 * time.Second
	// maxServerErrors in a row for one session over serverErrorsFor are taken for a
	// refusal, if the provider refreshes other sessions meanwhile. Some providers answer
	// 500 to the refresh token of a removed user.
	maxServerErrors = 5
	serverErrorsFor = time.Minute
	// unusableFor is how long the provider's answers must be unusable, in a row, until the
	// session counts as one that has no access token.
	unusableFor = time.Minute
	// maxRetryPause is the longest Retry-After of the provider that is respected.
	maxRetryPause = 30 * time.Second
	// defaultDemandBurst and defaultDemandEvery are those of [Config].
	defaultDemandBurst = 10
	defaultDemandEvery = 10 * time.Second
	// retryRefusedEvery is how often a 401 of an upstream may refresh a token. An
	// upstream that answers 401 to everything must not cause a refresh each time.
	retryRefusedEvery = 30 * time.Second
	// shortestGrace is the shortest grace of the provider's rotation that lets replicas
	// refresh at the same time.
	shortestGrace = 10 * time.Second
	// leaseMargin is how much longer a lease lasts than the call that it protects: its
	// holder must be done, or dead, before another replica begins.
	leaseMargin = 2 * time.Second
)

// usable reports whether the access token of s can still be sent to an upstream.
func usable(s *session.Session, now time.Time) bool {
	skew := min(clockSkew, s.AccessExpires.Sub(s.AccessIssued)/8)
	return now.Before(s.AccessExpires.Add(-skew))
}

// due reports whether s is to be refreshed. It spreads the refreshes of sessions that
// began at the same time: each session has its own margin, up to a quarter longer than
// RefreshBefore. The margin is at most a quarter of the token's lifetime.
func (c *Config) due(s *session.Session, now time.Time) bool {
	before := c.RefreshBefore
	before += before * time.Duration(s.ID[0]) / (4 * 256)
	before = min(before, s.AccessExpires.Sub(s.AccessIssued)/4)
	return !now.Before(s.AccessExpires.Add(-before)) || endsUnused(s, now)
}

// endsUnused reports whether the refresh token of s would end before the access token does,
// and has lived half its life. Many providers give a refresh token a new life with every
// use. A request waits for such a refresh: the next one may come when the refresh token of
// the browser's cookie has ended, and with it the session.
func endsUnused(s *session.Session, now time.Time) bool {
	ends := s.RefreshExpires
	return s.Renewable && !ends.IsZero() && ends.Before(s.AccessExpires) && !now.Before(ends.Add(-ends.Sub(s.AccessIssued)/2))
}

// lease is how long a lease lasts.
func (c *Config) lease() time.Duration { return c.RefreshTimeout + leaseMargin }

// keepFor is how long the result of refreshing s is of use. Replicas that have not
// heard of it serve the older cookie its access token until that ends, and the user
// may be active until then; the older cookie is then dead after the idle timeout. A
// replica that waits for the lease finds the result in any case, even if the session
// has ended meanwhile, so that none uses the old refresh token again.
func (c *Config) keepFor(s *session.Session, now time.Time) time.Duration {
	served := max(s.AccessExpires.Sub(now), 0)
	keep := max(served+c.Store.IdleTimeout(), c.RefreshGrace) + touchEvery
	return max(min(keep, s.Ends().Sub(now)), 2*c.lease())
}

// pauseAfter is how long no attempt is made after one that failed with err.
func pauseAfter(err error) time.Duration {
	if errors.Is(err, provider.ErrRefused) {
		return refusedPause
	}
	return min(max(provider.RetryAfter(err), retryPause), maxRetryPause)
}

// isServerError reports whether the provider answered with a 5xx.
func isServerError(err error) bool {
	answered, ok := errors.AsType[*provider.Error](err)
	return ok && answered.Status >= http.StatusInternalServerError
}

// isUnusable reports whether the provider is reached, and refuses this service or answers
// what cannot be used.
func isUnusable(err error) bool {
	return errors.Is(err, provider.ErrMisconfigured) || errors.Is(err, provider.ErrInvalidResponse)
}

// demand limits the refreshes of one session that are not due.
type demand struct {
	// paidUntil moves on by DemandEvery with every refresh that the app demands.
	paidUntil time.Time
	// refusedAt is when a 401 of an upstream last caused a refresh.
	refusedAt time.Time
}

// take counts a refresh for that reason. The error is a [*TooOftenError].
func (d *demand) take(why Reason, cfg *Config, now time.Time) error {
	switch why {
	case IfDue:
	case OnDemand:
		paid := d.paidUntil
		if paid.Before(now) {
			paid = now
		}
		if wait := paid.Sub(now) - time.Duration(cfg.DemandBurst-1)*cfg.DemandEvery; wait > 0 {
			return &TooOftenError{RetryAfter: wait}
		}
		d.paidUntil = paid.Add(cfg.DemandEvery)
	case Refused:
		if wait := retryRefusedEvery - now.Sub(d.refusedAt); wait > 0 {
			return &TooOftenError{RetryAfter: wait}
		}
		d.refusedAt = now
	}
	return nil
}
