package session

import (
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
