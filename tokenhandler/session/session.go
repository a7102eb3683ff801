package session

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cognito-token-handler/tokenhandler/secret"
)

// ID identifies a session: 128 random bits (ASVS V7.2.3). It never leaves the
// sealed cookies; logs show its [ID.Name].
type ID [16]byte

// Name returns the session's public name.
func (id ID) Name() Name {
	sum := sha256.Sum256(id[:])
	return Name(sum[:len(Name{})])
}

// newID returns a fresh random id.
func newID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // never fails (Go 1.24)
	return id
}

// String returns the session's public name and not the id itself, so that
// printing an id by mistake reveals nothing.
func (id ID) String() string { return id.Name().String() }

// LogValue implements [slog.LogValuer]: logs show [ID.String].
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// Session is the login of one user in one browser, with one generation of its
// tokens. It is immutable: a refresh makes a new Session of the next generation.
// Times have a resolution of one second, except Begun.
type Session struct {
	// ID is the same in all generations.
	ID ID
	// Generation is 1 after the login; each refresh adds 1.
	Generation uint64
	// Begun is when the login was completed. It has a resolution of a millisecond,
	// because a user may end all sessions and log in again within one second. It may be
	// later than that, and in the future: a session that begins after a revocation of
	// its user's sessions must not seem to have begun before it, whatever clocks say.
	Begun time.Time
	// Expires is the end of the absolute lifetime (ASVS V7.3.2).
	Expires time.Time
	// RefreshExpires is the end of the refresh token, or zero if the provider did
	// not say when that is. Without a refresh token it is the end of the access
	// token.
	RefreshExpires time.Time
	// Active is the user's last activity when this generation was made. The
	// activity cookie may know a later one (ASVS V7.3.1).
	Active time.Time
	// Subject is the user's sub. SID is the id of the session at the provider, or
	// empty.
	Subject, SID string
	// Access is the access token. It was received at AccessIssued and ends at
	// AccessExpires.
	Access                      secret.String
	AccessIssued, AccessExpires time.Time
	// Renewable reports whether there is a refresh token.
	Renewable bool
	// Rotates reports whether a refresh has replaced the refresh token.
	Rotates bool
	// Partial reports whether this generation has a new refresh token only: the tokens
	// that came with it could not be verified yet, so the others, Access too, are those
	// of the generation before.
	Partial bool

	// logName is the name in logs, which are many for one session; empty if it was not
	// needed yet.
	logName string
	// tokens are all tokens. They are nil in a session that was opened from a
	// cookie: most requests need only the access token, and [Session.Tokens] opens
	// the cookie again for the others.
	tokens *secret.Tokens
	source source
	// cookies are the values that were sealed for this generation; nil in a session
	// that was opened from a cookie.
	cookies *cookieValues
}

// LogName returns the name that logs show, see [ID.String].
func (s *Session) LogName() string {
	if s.logName == "" {
		return s.ID.String()
	}
	return s.logName
}

// LogSubject returns the user's sub.
func (s *Session) LogSubject() string { return s.Subject }

// source is the cookie that a session was opened from. The zero value means that
// it was not opened from a cookie.
type source struct {
	store *Store
	parts sealedParts
	n     int
}

// Tokens returns all tokens of the session and the user's claims. The error is
// [ErrUnreadable], or [ErrUnknownKey] if the keys were replaced after the session was
// opened.
func (s *Session) Tokens() (secret.Tokens, error) {
	if s.tokens != nil {
		return *s.tokens, nil
	}
	if s.source.store == nil {
		return secret.Tokens{}, ErrUnreadable
	}
	return s.source.store.openTokens(s.source)
}

// Format prints the session's name and generation, and none of its contents.
func (s *Session) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "session %s generation %d", s.ID.String(), s.Generation)
}

// LogValue implements [slog.LogValuer].
func (s *Session) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// newSession makes the first generation of a session from the tokens of a login. The
// session ends lifetime after now at the latest.
func newSession(tokens secret.Tokens, begun, now time.Time, lifetime time.Duration) *Session {
	now = now.Truncate(time.Second)
	s := &Session{ID: newID(), Generation: 1, Begun: begun.Truncate(time.Millisecond), Expires: now.Add(lifetime), Active: now}
	s.hold(tokens, now)
	return s
}

// hold makes tokens the session's own.
func (s *Session) hold(tokens secret.Tokens, now time.Time) {
	s.tokens, s.source, s.cookies = &tokens, source{}, new(cookieValues)
	s.Subject, s.SID = tokens.Subject, tokens.SID
	s.Access, s.AccessIssued, s.AccessExpires = tokens.Access, now.Truncate(time.Second), tokens.AccessExpires
	s.RefreshExpires, s.Renewable = tokens.RefreshExpires, !tokens.Refresh.IsZero()
	if !s.Renewable {
		s.RefreshExpires = tokens.AccessExpires
	}
}

// Ends is when the session ends even if its user is active: at the end of its
// absolute lifetime, or of its refresh token if that comes first.
func (s *Session) Ends() time.Time {
	if !s.RefreshExpires.IsZero() && s.RefreshExpires.Before(s.Expires) {
		return s.RefreshExpires
	}
	return s.Expires
}

// next makes a further generation from the session's own tokens, previous, and the
// renewed ones. What the provider left out of its answer stays as it was: without
// rotation there is no new refresh token (RFC 6749 §6), and a refresh need not
// return a new ID token (OpenID Connect Core §12.2). Without a renewed access token
// the generation is partial.
func (s *Session) next(previous, renewed secret.Tokens, generation uint64, now time.Time) *Session {
	next := *s
	next.Generation = generation
	tokens := previous
	next.Partial = renewed.Access.IsZero()
	if next.Partial {
		now = s.AccessIssued
	} else {
		tokens.Access, tokens.AccessExpires = renewed.Access, renewed.AccessExpires
	}
	if !renewed.Refresh.IsZero() && !renewed.Refresh.Equal(previous.Refresh) {
		tokens.Refresh, next.Rotates = renewed.Refresh, true
	}
	if !renewed.RefreshExpires.IsZero() {
		tokens.RefreshExpires = renewed.RefreshExpires
	}
	if renewed.Claims != "" {
		tokens.ID, tokens.Claims = renewed.ID, renewed.Claims
	}
	next.hold(tokens, now)
	return &next
}

// errNone: the request carries no session cookie.
var errNone = errors.New("no session cookie")

// The reasons why the cookies of a request hold no session.
var (
	// ErrUnreadable: the cookie does not open, or does not hold a session.
	ErrUnreadable = errors.New("unreadable session cookie")
	// ErrUnknownKey: the cookie was sealed with a key that this process does not have.
	// While keys are rotated, another replica may have loaded the key already. So the
	// session may be alive, and its cookies must be kept.
	ErrUnknownKey = errors.New("session cookie sealed by an unknown key")
	// ErrIdle: there was no activity for the idle timeout.
	ErrIdle = errors.New("session idle for too long")
	// ErrExpired: the absolute lifetime is over.
	ErrExpired = errors.New("session lifetime over")
	// ErrCookiesTooLarge: the request carries more or larger cookies of this
	// service than the service sets.
	ErrCookiesTooLarge = errors.New("cookies too large")
)
