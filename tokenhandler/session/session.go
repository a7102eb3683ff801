package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cognito-token-handler/tokenhandler/secret"
)

// ID names a session: 128 random bits (ASVS V7.2.3). It is a secret of the
// server; logs hold its [ID.Hash].
type ID [16]byte

// NewID returns a fresh random id.
func NewID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // never fails (Go 1.24)
	return id
}

// Hash is a short name for logs that does not reveal the id (ASVS V16.2.5).
func (id ID) Hash() string {
	sum := sha256.Sum256(id[:])
	return hex.EncodeToString(sum[:6])
}

// String is [ID.Hash]: an id that slips into a format string reveals nothing.
func (id ID) String() string { return id.Hash() }

// LogValue implements [slog.LogValuer].
func (id ID) LogValue() slog.Value { return slog.StringValue(id.Hash()) }

// Session is one login of one user in one browser, in one generation of its
// tokens. It is immutable once made: a refresh makes the next generation.
// Times have the resolution of a second.
type Session struct {
	// ID stays the same through all generations.
	ID ID
	// Generation counts the refreshes; the login is 1.
	Generation uint64
	// Begun is when the login was completed here.
	Begun time.Time
	// Expires is the end of the absolute lifetime (ASVS V7.3.2).
	Expires time.Time
	// Active is the user's last activity as known when this was written; the
	// activity cookie may know a later one (ASVS V7.3.1).
	Active time.Time
	// Subject is the user's sub.
	Subject string
	// Access is the access token, AccessExpires its end.
	Access        secret.String
	AccessExpires time.Time

	// tokens are all of them, if they are at hand; else they are in the cookie
	// that source kept: most requests need the access token only.
	tokens *secret.Tokens
	source source
}

// source is where a session was opened from.
type source struct {
	manager *Manager
	name    string
	parts   [maxParts]string
	n       int
}

// Tokens returns all tokens and what they say of the user. The error is
// [ErrUnreadable]: only if the keys were replaced since the session was opened.
func (s *Session) Tokens() (secret.Tokens, error) {
	if s.tokens != nil {
		return *s.tokens, nil
	}
	if s.source.manager == nil {
		return secret.Tokens{}, ErrUnreadable
	}
	return s.source.manager.openTokens(s.source.name, s.source.parts[:s.source.n])
}

// Format prints a session without what is in it.
func (s *Session) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "session %s generation %d", s.ID.Hash(), s.Generation)
}

// LogValue implements [slog.LogValuer].
func (s *Session) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// New makes the first generation of a session from the tokens of a login.
func New(tokens secret.Tokens, now time.Time, lifetime time.Duration) *Session {
	now = now.Truncate(time.Second)
	s := &Session{ID: NewID(), Generation: 1, Begun: now, Expires: now.Add(lifetime), Active: now}
	s.hold(tokens)
	return s
}

func (s *Session) hold(tokens secret.Tokens) {
	s.tokens, s.source = &tokens, source{}
	s.Subject, s.Access, s.AccessExpires = tokens.Subject, tokens.Access, tokens.AccessExpires
}

// next makes the next generation from previous, the session's own tokens, and
// renewed. What the provider left out of its answer stays as it was: without
// rotation there is no new refresh token (FACTS COG-TOK-03), and an OpenID
// provider need not send a new ID token.
func (s *Session) next(previous, renewed secret.Tokens) *Session {
	next := *s
	next.Generation++
	tokens := previous
	tokens.Access, tokens.AccessExpires = renewed.Access, renewed.AccessExpires
	if !renewed.Refresh.IsZero() {
		tokens.Refresh = renewed.Refresh
	}
	if renewed.Claims != "" {
		tokens.ID, tokens.Claims = renewed.ID, renewed.Claims
	}
	next.hold(tokens)
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
	// ErrRevoked: logged out, or ended by an operator.
	ErrRevoked = errors.New("session revoked")
	// ErrRejected: the provider refused the refresh token, for good.
	ErrRejected = errors.New("refresh token rejected")
	// ErrSuperseded: an old cookie whose refresh token was rotated away, shown
	// after the grace. The session itself goes on in the browser's newer cookie.
	ErrSuperseded = errors.New("cookie superseded by a newer one")
	// ErrCookiesTooLarge: more or larger cookies than are looked at.
	ErrCookiesTooLarge = errors.New("cookies too large")
)
