package refresh

import "errors"

// The reasons why a request has no session, beside those of package session.
var (
	// ErrRevoked means that the session was logged out, or ended by an operator.
	ErrRevoked = errors.New("session revoked")
	// ErrRejected means that the provider refused the refresh token for good.
	ErrRejected = errors.New("refresh token rejected")
	// ErrSuperseded means that the cookie is old: its refresh token was rotated away,
	// and the grace is over. The session goes on in the browser's newer cookie.
	ErrSuperseded = errors.New("cookie superseded by a newer one")
	// ErrDenyListOutdated means that the shared deny list is not reached, and may
	// hold the session.
	ErrDenyListOutdated = errors.New("revocations cannot be checked")
)
