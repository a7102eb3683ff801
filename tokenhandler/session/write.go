package session

import (
	"fmt"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
)

// TooLargeError says that a session does not fit the cookie budget, and what
// made it large. It holds sizes only, so it may be logged and shown.
type TooLargeError struct {
	// Bytes is what the cookies would have had, Budget what is allowed.
	Bytes, Budget int
	// Access, ID, Refresh and Claims are the sizes of the parts in bytes.
	Access, ID, Refresh, Claims int
}

// Error lists the sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the session needs %d bytes of cookies, at most %d fit (access token %d, ID token %d, refresh token %d, claims %d bytes)",
		e.Bytes, e.Budget, e.Access, e.ID, e.Refresh, e.Claims)
}

// Begin writes the cookies of a new login and returns its session, and how many
// bytes of the [Budget] they take. The error is a [*TooLargeError]; nothing is
// written then.
func (s *Store) Begin(h http.Header, tokens secret.Tokens) (first *Session, size int, err error) {
	first = New(s.trim(tokens), s.cfg.Now(), s.cfg.AbsoluteLifetime)
	values, size, err := s.Seal(first)
	if err != nil {
		return nil, 0, err
	}
	// Strict cookies do not come along with the provider's redirect: a surplus
	// part of an earlier session cannot be seen here, but must go.
	if len(values) < maxParts {
		s.cfg.Cookies.Expire(h, s.cfg.Cookies.part(1))
	}
	s.cfg.Cookies.setSession(h, &Jar{}, values)
	s.writeActivity(h, first.ID, first.Active, first.Begun)
	return first, size, nil
}

// Next makes the generation that follows s from previous, its tokens, and renewed,
// what the provider gave for them.
func (s *Store) Next(current *Session, previous, renewed secret.Tokens, generation uint64, now time.Time) *Session {
	return current.next(previous, s.trim(renewed), generation, now)
}

// trim drops the ID token if nothing needs it; its claims stay.
func (s *Store) trim(tokens secret.Tokens) secret.Tokens {
	if !s.cfg.KeepIDToken {
		tokens.ID = secret.String{}
	}
	return tokens
}

// Seal makes the cookie values of a session, within the [Budget], and their size
// with that of the activity cookie. The error is a [*TooLargeError], or one of
// [Session.Tokens].
func (s *Store) Seal(sealing *Session) (values []string, size int, err error) {
	name := s.cfg.Cookies.session
	t, err := sealing.Tokens()
	if err != nil {
		return nil, 0, err
	}
	payload, fits := s.codec.encode(sealing, t)
	sealed := string(s.cfg.Keys.Seal(nil, name, payload))
	values, ok := split(sealed)
	size = len(sealed)
	for i := range values {
		size += len(s.cfg.Cookies.part(i)) + len("=; ") + 1
	}
	size += len(s.cfg.Cookies.active) + len("=; ") + seal.EncodedLen(activityLen)
	if !fits || !ok || size > Budget {
		s.metrics.TooLarge.Inc()
		return nil, 0, &TooLargeError{
			Bytes: size, Budget: Budget,
			Access: len(t.Access.Reveal()), ID: len(t.ID.Reveal()), Refresh: len(t.Refresh.Reveal()), Claims: len(t.Claims),
		}
	}
	s.metrics.CookieBytes.Observe(float64(size))
	return values, size, nil
}
