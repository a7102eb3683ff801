package session

import (
	"errors"
	"fmt"

	"cognito-token-handler/tokenhandler/secret"
)

// TooLargeError says that a session does not fit into the [Budget] of its
// cookies, and what made it large. It holds nothing but sizes, so that it may be
// logged and shown.
type TooLargeError struct {
	// Bytes is how much the cookies would take, Budget how much they may take.
	Bytes, Budget int
	// Access, ID, Refresh and Claims are the sizes of the session's parts in bytes.
	Access, ID, Refresh, Claims int
}

func tooLarge(size int, t secret.Tokens) *TooLargeError {
	return &TooLargeError{
		Bytes: size, Budget: Budget,
		Access: len(t.Access.Reveal()), ID: len(t.ID.Reveal()), Refresh: len(t.Refresh.Reveal()), Claims: len(t.Claims),
	}
}

// Error lists the sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the session needs %d bytes of cookies, at most %d fit (access token %d, ID token %d, refresh token %d, claims %d bytes)",
		e.Bytes, e.Budget, e.Access, e.ID, e.Refresh, e.Claims)
}

// nearBytes is the size of a session's cookies from which on the operator is warned: 90 %
// of the [Budget].
const nearBytes = Budget * 9 / 10

// warnIfNear warns of a session that takes more than 90 % of the [Budget], before its
// user gets so many more groups or claims that it does not fit any more.
func (s *Store) warnIfNear(session *Session, size int) {
	if size <= nearBytes {
		return
	}
	s.metrics.NearlyTooLarge.Inc()
	s.log.Warn("session takes more than 90 % of the cookie budget", "session", session.ID, "sub", session.Subject,
		"generation", session.Generation, "bytes", size, "budget", Budget)
}

// Fits checks whether the cookies of a session fit into the [Budget]. The error is a
// [*TooLargeError] if they do not: then the browser keeps an older generation, and this
// one is only in the memory of the service and in the store that its replicas share.
func (s *Store) Fits(session *Session) error {
	if session.cookies == nil {
		return nil // it was opened from cookies
	}
	_, err := s.values(session)
	if large, ok := errors.AsType[*TooLargeError](err); ok {
		return large
	}
	return nil
}
