package session

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
)

// Key is where a [Store] puts the [*Session] among a gorilla session's values.
const Key = "session"

// Store is a gorilla session store over a [Manager]'s cookies, for handlers
// that speak gorilla: Values[Key] holds the [*Session].
type Store struct {
	// Manager opens and writes the cookies. Required.
	Manager *Manager
}

// Get implements [sessions.Store]: one session per request and name.
func (s Store) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New implements [sessions.Store]. As gorilla asks, the session is never nil;
// it is new when the request has none that is alive, and the error then says
// why, unless there simply is no cookie.
func (s Store) New(r *http.Request, name string) (*sessions.Session, error) {
	session := sessions.NewSession(s, name)
	session.Options = &sessions.Options{Path: "/", Secure: s.Manager.cfg.Cookies.secure, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	session.IsNew = true
	visit, err := s.Manager.Open(r.Header)
	if errors.Is(err, ErrNone) {
		return session, nil
	}
	if err != nil {
		return session, err
	}
	session.IsNew = false
	session.ID = visit.Session.ID.String()
	session.Values[Key] = visit.Session
	return session, nil
}

// Save implements [sessions.Store]: it writes Values[Key]. With a negative
// MaxAge, or without a value, it expires the cookies.
func (s Store) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	m := s.Manager
	jar, err := m.cfg.Cookies.Read(r.Header)
	if err != nil {
		return err
	}
	value, ok := session.Values[Key].(*Session)
	if !ok || session.Options.MaxAge < 0 {
		m.cfg.Cookies.ExpireSession(w.Header(), &jar)
		return nil
	}
	values, _, err := m.seal(value)
	if err != nil {
		return fmt.Errorf("saving session: %w", err)
	}
	m.cfg.Cookies.setSession(w.Header(), &jar, values)
	return nil
}

// Codec returns the codec of the session cookie, for tools that open a value
// without a request. It encodes and decodes [*Session].
func (s Store) Codec() securecookie.Codec { return codecOf{s.Manager} }

type codecOf struct{ m *Manager }

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
	payload, ok := c.m.codec.encode(s, t)
	if !ok {
		return "", errors.New("encoding session: its tokens are too large")
	}
	return string(c.m.cfg.Keys.Seal(nil, name, payload)), nil
}

// Decode implements [securecookie.Codec].
func (c codecOf) Decode(name, value string, dst any) error {
	s, ok := dst.(*Session)
	if !ok {
		return fmt.Errorf("decoding session: a %T is no session", dst)
	}
	opened, err := c.m.openSession(name, []string{value})
	if err != nil {
		return err
	}
	*s = *opened
	return nil
}

var _ sessions.Store = Store{}
