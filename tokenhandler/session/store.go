package session

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
)

// The keys of a gorilla session's Values.
const (
	// Key is the key of what a cookie holds: a *[Session] in the session cookie, the
	// caller's []byte in the other cookies.
	Key = "session"
	// ActivityKey is the key of the *[Activity] of a session.
	ActivityKey = "activity"
)

// maxLogin and maxSealed are the largest sizes of sealed values in characters.
const (
	maxLogin  = 3800
	maxSealed = 64 << 10
)

// Config is what a [Store] needs.
type Config struct {
	// Keys seal the cookies. Required.
	Keys *seal.Keyring
	// Issuer and ClientID name the provider and the client there, for which the tokens of
	// all sessions were issued. A cookie of another service that has the same keys by
	// mistake does not open: its refresh token would be sent to the wrong provider.
	Issuer, ClientID string
	// Names are the names of the cookies. Required.
	Names Names
	// IdleTimeout is how long a session may go without activity. Required.
	IdleTimeout time.Duration
	// AbsoluteLifetime is how long a session may last, however active its user is.
	// Required.
	AbsoluteLifetime time.Duration
	// Persistent lets the cookies of a session live in the browser until the end of the
	// absolute lifetime. Otherwise they end with the browser.
	Persistent bool
	// KeepIDToken keeps the ID token in the session, and not only its claims.
	KeepIDToken bool
	// Now is the clock. Required.
	Now func() time.Time
	// Log receives a warning of each session that nearly is too large. It may be nil.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Store is a [sessions.Store] that keeps everything in sealed cookies. Every cookie
// of the service is read and written by it:
//
//   - The session, called Names.Session. Its Values hold a *[Session] and an
//     *[Activity]. The activity has a cookie of its own, and a session that is too
//     large for one cookie is split between two.
//   - A login that has not come back from the provider yet. Its name begins with
//     Names.Login, and its Values hold the []byte of the caller.
//   - What the browser began lately, called Names.Began. Its Values are like a login's.
//
// A Store checks whether a session is idle or has expired. It does not check
// whether the session was revoked: whoever authorizes a request has to check that.
//
// A Store is safe for concurrent use.
type Store struct {
	Names

	cfg     Config
	log     *slog.Logger
	metrics *Metrics
	recent  recent

	sessions, activities, logins seal.Codec
}

// NewStore builds a Store.
func NewStore(cfg Config) *Store {
	s := &Store{Names: cfg.Names, cfg: cfg, log: cfg.Log, metrics: cfg.Metrics}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.metrics == nil {
		s.metrics = NewMetrics(nil)
	}
	codec := seal.Codec{Keys: cfg.Keys, Binding: seal.Bind(cfg.Issuer, cfg.ClientID)}
	s.sessions, s.activities, s.logins = codec, codec, codec
	s.sessions.MaxLength, s.sessions.Unbound = maxSealed, s.namesUs
	s.activities.MaxLength, s.activities.Unbound = seal.EncodedLen(activityLen), anyActivity
	s.logins.MaxLength, s.logins.Unbound = maxLogin, anyLogin
	s.CountKeys()
	return s
}

// CountKeys makes the counters of [Metrics.OpenedByKey] exist, at 0, for all keys of the
// keyring. Call it after the keys were replaced.
func (s *Store) CountKeys() {
	if s.cfg.Keys == nil {
		return
	}
	for _, id := range s.cfg.Keys.IDs() {
		s.metrics.OpenedByKey.WithLabelValues(id.String())
	}
}

// IdleTimeout is how long a session may go without activity.
func (s *Store) IdleTimeout() time.Duration { return s.cfg.IdleTimeout }

// Codec returns the codec of the session cookie. It seals a *[Session] for other
// places than cookies, and must be used with another name than a cookie's: then
// nobody who can read the sealed session there can use it as a cookie.
func (s *Store) Codec() securecookie.Codec { return sessionCodec{s.sessions} }

// Sealer returns a codec that seals a []byte for other places than cookies. It must be
// used with another name than a cookie's.
func (s *Store) Sealer() securecookie.Codec { return s.sessions }

// Begin makes the first generation of a session from the tokens of a login. It is
// in no cookie yet: save it as Values[Key]. The session began at begun, which is now
// unless revocations of its user demand a later time (see Session.Begun).
func (s *Store) Begin(tokens secret.Tokens, begun time.Time) *Session {
	return newSession(s.trim(tokens), begun, s.cfg.Now(), s.cfg.AbsoluteLifetime)
}

// Next makes a further generation of a session from its own tokens, previous, and
// the renewed ones that the provider gave for them. If the latter have no access token,
// it makes a [Session.Partial] generation with the renewed refresh token.
func (s *Store) Next(current *Session, previous, renewed secret.Tokens, generation uint64, now time.Time) *Session {
	return current.next(previous, s.trim(renewed), generation, now)
}

// trim removes the ID token if it is not to be kept. Its claims stay.
func (s *Store) trim(tokens secret.Tokens) secret.Tokens {
	if !s.cfg.KeepIDToken {
		tokens.ID = secret.String{}
	}
	return tokens
}

// Get implements [sessions.Store]: further calls with the same request and name
// return the same session.
func (s *Store) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

var errNotOurs = errors.New("not a cookie of this service")

// New implements [sessions.Store]. As gorilla demands, the result is never nil, and
// a request without the cookie gets a new session and no error. Errors:
// [ErrUnreadable], [ErrUnknownKey], [ErrCookiesTooLarge] and, for a session that has ended, an
// [*EndedError]. After an error the session is new and has no Values; saving it with
// a negative MaxAge removes the cookies.
func (s *Store) New(r *http.Request, name string) (*sessions.Session, error) {
	gs := sessions.NewSession(s, name)
	gs.IsNew = true
	*gs.Options = sessions.Options{Path: "/", Secure: !s.insecure, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	switch {
	case name == s.Session:
		return gs, s.openSession(gs, r)
	case s.isLogin(name), name == s.Began:
		// With the provider's redirect to the callback, which comes from another site,
		// browsers send Lax cookies and no Strict ones.
		gs.Options.SameSite = http.SameSiteLaxMode
		return gs, s.openLogin(gs, r)
	}
	return gs, fmt.Errorf("opening %q: %w", name, errNotOurs)
}

// Save implements [sessions.Store]. It writes the cookies whose content differs from
// what the request carried; with a negative MaxAge it removes all of them. If the
// Values hold no activity of the session, Save adds the one that the session begins
// with. Errors: a [*TooLargeError]; those of [Session.Tokens]. After an error nothing
// was written.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, gs *sessions.Session) error {
	switch name := gs.Name(); {
	case name == s.Session:
		return s.saveSession(r, w, gs)
	case s.isLogin(name), name == s.Began:
		return s.saveLogin(w, gs)
	default:
		return fmt.Errorf("saving %q: %w", name, errNotOurs)
	}
}

var _ sessions.Store = (*Store)(nil)
