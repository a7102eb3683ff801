package refresh

import (
	"errors"
	"fmt"
	"time"
)

// The reasons why a request has no session, beside those of package session.
var (
	// ErrNone means that the request carries no session cookie.
	ErrNone = errors.New("no session cookie")
	// ErrRevoked means that the session was logged out, or ended by an operator.
	ErrRevoked = errors.New("session revoked")
	// ErrReplaced is an [ErrRevoked]. It means that a login in the same browser has just
	// ended the session. The browser has the cookies of another session by now.
	ErrReplaced = fmt.Errorf("%w: replaced by a login", ErrRevoked)
	// ErrRejected means that the provider refused the refresh token for good.
	ErrRejected = errors.New("refresh token rejected")
	// ErrSuperseded means that the cookie is old: its refresh token was replaced, and
	// RefreshGrace is over. The session goes on in the browser's newer cookie.
	ErrSuperseded = errors.New("cookie superseded by a newer one")
	// ErrDenyListOutdated means that the shared deny list is not reached, and may hold
	// the session.
	ErrDenyListOutdated = errors.New("revocations cannot be checked")
	// ErrStoreUnavailable means that a token was not refreshed, because Replicas is not
	// reached: see [Config.RotationGrace].
	ErrStoreUnavailable = errors.New("the shared store is not reached, and refreshing alone could end the session")
	// ErrNotAllowed means that a token was not refreshed because [Config.MayRefresh] said
	// so.
	ErrNotAllowed = errors.New("refreshing is not allowed now")
)

// UnavailableError means that the access token has ended, and that the provider
// could not renew it now. The session is kept.
type UnavailableError struct {
	// RetryAfter is when a new request makes sense.
	RetryAfter time.Duration
	// Refused tells that the access token has ended, and that the provider, which is
	// reached, does not renew it. A new login is the cure. The session is kept, because the
	// provider did not say invalid_grant.
	Refused bool
	// Unusable tells that the access token has ended, and that the provider, which is
	// reached, has refused this service, or answered what cannot be used, for a minute. A
	// login would meet the same.
	Unusable bool
	// Err is the cause.
	Err error
}

// Error implements error.
func (e *UnavailableError) Error() string {
	return "renewing the access token: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// TooOftenError means that the session was refreshed on demand too often. Nothing
// else is wrong with it.
type TooOftenError struct {
	// RetryAfter is when the next refresh on demand is allowed.
	RetryAfter time.Duration
}

// Error implements error.
func (*TooOftenError) Error() string { return "the session was renewed on demand too often" }

var (
	errClosing = errors.New("the service is shutting down")
	// errStoodStill: see attempt.callTime.
	errStoodStill = errors.New("this process has stood still, and its lease ends")
	// errOutrun: see maxRounds.
	errOutrun = errors.New("every renewed access token had already ended")
)
