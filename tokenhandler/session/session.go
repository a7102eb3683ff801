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

// ID names a session: 128 random bits (ASVS V7.2.3). It is a secret of the
// server; logs hold its [ID.Name].
type ID [16]byte

// Name returns the session's name.
func (id ID) Name() Name {
	sum := sha256.Sum256(id[:])
	return Name(sum[:len(Name{})])
}

// NewID returns a fresh random id.
func NewID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // never fails (Go 1.24)
	return id
}

// String is [ID.Name] in hexadecimal: an id that slips into a format string
// reveals nothing.
func (id ID) String() string { return id.Name().String() }

// LogValue implements [slog.LogValuer].
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// Session is one login of one user in one browser, in one generation of its
// tokens. It is immutable once made: a refresh makes the next generation.
// Times have the resolution of a second, but for Begun.
type Session struct {
	// ID stays the same through all generations.
	ID ID
	// Generation counts the refreshes; the login is 1.
	Generation uint64
	// Begun is when the login was completed here, to the millisecond: a user who
	// ends all sessions and logs in again does both within one second.
	Begun time.Time
	// Expires is the end of the absolute lifetime (ASVS V7.3.2).
	Expires time.Time
	// RefreshExpires is the end of the refresh token, if the provider said so;
	// without a refresh token it is the access token's. Else zero.
	RefreshExpires time.Time
	// Active is the user's last activity as known when this was written; the
	// activity cookie may know a later one (ASVS V7.3.1).
	Active time.Time
	// Subject is the user's sub, SID the provider's session, if it has a name.
	Subject, SID string
	// Access is the access token, from AccessIssued to AccessExpires.
	Access                      secret.String
	AccessIssued, AccessExpires time.Time
	// Rotates: a refresh gave another refresh token at least once.
	Rotates bool

	// tokens are all of them, if they are at hand; else they are in the cookie
	// that source kept: most requests need the access token only.
	tokens *secret.Tokens
	source source
}

// source is where a session was opened from.
type source struct {
	store *Store
	name  string
	parts [maxParts]string
	n     int
}

// Tokens returns all tokens and what they say of the user. The error is
// [ErrUnreadable]: only if the keys were replaced since the session was opened.
func (s *Session) Tokens() (secret.Tokens, error) {
	if s.tokens != nil {
		return *s.tokens, nil
	}
	if s.source.store == nil {
		return secret.Tokens{}, ErrUnreadable
	}
	return s.source.store.openTokens(s.source.name, s.source.parts[:s.source.n])
}

// Format prints a session without what is in it.
func (s *Session) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "session %s generation %d", s.ID.String(), s.Generation)
}

// LogValue implements [slog.LogValuer].
func (s *Session) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// New makes the first generation of a session from the tokens of a login.
func New(tokens secret.Tokens, now time.Time, lifetime time.Duration) *Session {
	begun := now.Truncate(time.Millisecond)
	now = now.Truncate(time.Second)
	s := &Session{ID: NewID(), Generation: 1, Begun: begun, Expires: now.Add(lifetime), Active: now}
	s.hold(tokens, now)
	return s
}

func (s *Session) hold(tokens secret.Tokens, now time.Time) {
	s.tokens, s.source = &tokens, source{}
	s.Subject, s.SID = tokens.Subject, tokens.SID
	s.Access, s.AccessIssued, s.AccessExpires = tokens.Access, now.Truncate(time.Second), tokens.AccessExpires
	s.RefreshExpires = tokens.RefreshExpires
	if tokens.Refresh.IsZero() {
		s.RefreshExpires = tokens.AccessExpires
	}
}

// Ends is when the session is over whatever its user does: it never outlives
// its refresh token.
func (s *Session) Ends() time.Time {
	if !s.RefreshExpires.IsZero() && s.RefreshExpires.Before(s.Expires) {
		return s.RefreshExpires
	}
	return s.Expires
}

// next makes the next generation from previous, the session's own tokens, and
// renewed. What the provider left out of its answer stays as it was: without
// rotation there is no new refresh token (FACTS COG-TOK-03), and an OpenID
// provider need not send a new ID token.
func (s *Session) next(previous, renewed secret.Tokens, generation uint64, now time.Time) *Session {
	next := *s
	next.Generation = generation
	tokens := previous
	tokens.Access, tokens.AccessExpires = renewed.Access, renewed.AccessExpires
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

// The reasons why a request has no session.
var (
	// ErrNone: the request carries no session cookie.
	ErrNone = errors.New("no session cookie")
	// ErrUnreadable: a cookie that does not open, or not into a session.
	ErrUnreadable = errors.New("unreadable session cookie")
	// ErrIdle: no activity for the idle timeout.
	ErrIdle = errors.New("session idle for too long")
	// ErrExpired: the absolute lifetime is over.
	ErrExpired = errors.New("session lifetime over")
	// ErrCookiesTooLarge: more or larger cookies than are looked at.
	ErrCookiesTooLarge = errors.New("cookies too large")
)
