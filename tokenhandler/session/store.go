package session

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"cognito-token-handler/tokenhandler/seal"
)

// Key is where a [Store] puts the [*Session] among a gorilla session's values.
const Key = "session"

// Config is what a [Store] needs.
type Config struct {
	// Keys seals the cookies. Required.
	Keys *seal.Keyring
	// Cookies are their names. Required.
	Cookies Cookies
	// IdleTimeout is how long a session may go without activity. Required.
	IdleTimeout time.Duration
	// AbsoluteLifetime is how long a session may last, whatever its user does. Required.
	AbsoluteLifetime time.Duration
	// KeepIDToken stores the ID token itself, not only its claims.
	KeepIDToken bool
	// Now is the clock. Required.
	Now func() time.Time
	// Metrics may be nil.
	Metrics *Metrics
}

// Store keeps sessions in the cookies of the browser. It is a gorilla session
// store: Values[Key] of a gorilla session holds the [*Session]. It is safe for
// concurrent use.
type Store struct {
	cfg     Config
	codec   *codec
	metrics *Metrics
}

// NewStore builds a Store.
func NewStore(cfg Config) (*Store, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, codec: c, metrics: cfg.Metrics}
	if s.metrics == nil {
		s.metrics = NewMetrics(nil)
	}
	return s, nil
}

// Cookies are the names of the cookies.
func (s *Store) Cookies() Cookies { return s.cfg.Cookies }

// IdleTimeout is how long a session may go without activity.
func (s *Store) IdleTimeout() time.Duration { return s.cfg.IdleTimeout }

// Get implements [sessions.Store]: one session per request and name.
func (s *Store) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New implements [sessions.Store]. As gorilla asks, the session is never nil;
// it is new when the request has none that is alive, and the error then says
// why, unless there simply is no cookie.
func (s *Store) New(r *http.Request, name string) (*sessions.Session, error) {
	session := sessions.NewSession(s, name)
	session.Options = &sessions.Options{Path: "/", Secure: s.cfg.Cookies.secure, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	session.IsNew = true
	cookies, err := s.Open(r.Header)
	if errors.Is(err, ErrNone) {
		return session, nil
	}
	if err != nil {
		return session, err
	}
	session.IsNew = false
	session.ID = cookies.Stored.ID.String()
	session.Values[Key] = cookies.Stored
	return session, nil
}

// Save implements [sessions.Store]: it writes Values[Key]. With a negative
// MaxAge, or without a value, it expires the cookies.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	jar, err := s.cfg.Cookies.Read(r.Header)
	if err != nil {
		return err
	}
	value, ok := session.Values[Key].(*Session)
	if !ok || session.Options.MaxAge < 0 {
		s.cfg.Cookies.ExpireSession(w.Header(), &jar)
		return nil
	}
	values, _, err := s.Seal(value)
	if err != nil {
		return fmt.Errorf("saving session: %w", err)
	}
	s.cfg.Cookies.setSession(w.Header(), &jar, values)
	return nil
}

// Codec returns the codec of the session cookie, for tools that open a value
// without a request. It encodes and decodes [*Session].
func (s *Store) Codec() securecookie.Codec { return codecOf{s} }

type codecOf struct{ store *Store }

// Encode implements [securecookie.Codec].
func (c codecOf) Encode(name string, value any) (string, error) {
	s, ok := value.(*Session)
	if !ok {
		return "", fmt.Errorf("encoding session: a %T is no session", value)
	}
	t, err := s.Tokens()
	if err != nil {
		return "", err
	}
	payload, ok := c.store.codec.encode(s, t)
	if !ok {
		return "", errors.New("encoding session: its tokens are too large")
	}
	return string(c.store.cfg.Keys.Seal(nil, name, payload)), nil
}

// Decode implements [securecookie.Codec].
func (c codecOf) Decode(name, value string, dst any) error {
	s, ok := dst.(*Session)
	if !ok {
		return fmt.Errorf("decoding session: a %T is no session", dst)
	}
	opened, err := c.store.openSession(name, []string{value})
	if err != nil {
		return err
	}
	*s = *opened
	return nil
}

var _ sessions.Store = (*Store)(nil)
