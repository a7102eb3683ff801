package session

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/sessions"

	"cognito-token-handler/tokenhandler/seal"
)

var errNoValue = errors.New("its Values hold nothing to save")

// saveLogin writes or removes a login cookie, or the one that says that a login began.
func (s *Store) saveLogin(w http.ResponseWriter, gs *sessions.Session) error {
	if gs.Options.MaxAge < 0 {
		removeCookie(w, gs.Name(), gs.Options)
		return nil
	}
	payload, ok := gs.Values[Key].([]byte)
	if !ok {
		return fmt.Errorf("saving a login: %w", errNoValue)
	}
	sealed, err := s.logins.Encode(gs.Name(), payload)
	if err != nil {
		return fmt.Errorf("saving a login: %w", err)
	}
	setCookie(w, gs.Name(), sealed, gs.Options)
	return nil
}

// saveSession writes or removes the cookies of a session and its activity.
func (s *Store) saveSession(r *http.Request, w http.ResponseWriter, gs *sessions.Session) error {
	j := s.read(r.Header)
	if gs.Options.MaxAge < 0 {
		s.removeSession(w, &j, gs.Options)
		return nil
	}
	session, ok := gs.Values[Key].(*Session)
	if !ok {
		return fmt.Errorf("saving a session: %w", errNoValue)
	}
	o := s.lasting(*gs.Options, session)
	if !session.openedFrom(&j) {
		values, err := s.values(session)
		if err != nil {
			return err
		}
		s.writeSession(w, &j, values, gs.IsNew, o)
	}
	activity, ok := gs.Values[ActivityKey].(*Activity)
	if !ok || activity.Session != session.ID {
		activity = session.activity()
		gs.Values[ActivityKey] = activity
	}
	return s.saveActivity(w, activity, o)
}

// lasting returns the options with which the cookies of a session are set.
func (s *Store) lasting(o sessions.Options, session *Session) *sessions.Options {
	if s.cfg.Persistent && o.MaxAge == 0 {
		left := session.Expires.Sub(s.cfg.Now()) / time.Second
		o.MaxAge = int(max(left, 1)) // 0 would mean: until the browser ends
	}
	return &o
}

// saveActivity writes the activity cookie, unless the browser has it.
func (s *Store) saveActivity(w http.ResponseWriter, activity *Activity, o *sessions.Options) error {
	if activity.saved() {
		return nil
	}
	sealed, err := s.activities.Encode(s.Active, activityCode{activity})
	if err != nil {
		return fmt.Errorf("saving the activity: %w", err)
	}
	setCookie(w, s.Active, sealed, o)
	activity.noteSaved()
	return nil
}

// writeSession writes the cookies of a session, and removes the second cookie if
// the session needs only one. For a new session it does so even if the request does
// not carry a second cookie: browsers send no Strict cookies with the provider's
// redirect, so that those of an earlier session cannot be seen.
func (s *Store) writeSession(w http.ResponseWriter, j *jar, values []string, isNew bool, o *sessions.Options) {
	for i := range maxParts {
		switch {
		case i < len(values):
			setCookie(w, s.part(i), values[i], o)
		case j.there[i] || isNew:
			removeCookie(w, s.part(i), o)
		}
	}
}

// removeSession removes all cookies of a session.
func (s *Store) removeSession(w http.ResponseWriter, j *jar, o *sessions.Options) {
	removeCookie(w, s.Session, o)
	if j.there[1] {
		removeCookie(w, s.second, o)
	}
	removeCookie(w, s.Active, o)
}

// openedFrom reports whether the session was opened from these cookies.
func (s *Session) openedFrom(j *jar) bool {
	parts, n, err := j.session()
	return err == nil && n == s.source.n && parts == s.source.parts
}

// cookieValues are the values of the cookies of one generation. All answers that
// set it share them, because compressing and sealing takes ten times as long as
// opening.
type cookieValues struct {
	once   sync.Once
	values []string
	err    error
}

// values returns the values of a session's cookies. With the activity cookie they
// take at most [Budget] bytes. The error is a [*TooLargeError], or one of
// [Session.Tokens].
func (s *Store) values(session *Session) ([]string, error) {
	if c := session.cookies; c != nil {
		c.once.Do(func() { c.values, c.err = s.sealValues(session) })
		return c.values, c.err
	}
	// The session was opened from another request's cookies: they can be written as
	// they came.
	if session.source.n == 0 {
		return nil, ErrUnreadable
	}
	return split(session.source.parts[0] + session.source.parts[1]), nil
}

// sealValues seals a session and splits it into the values of its cookies.
func (s *Store) sealValues(session *Session) ([]string, error) {
	sealed, err := s.Codec().Encode(s.Session, session)
	if err != nil {
		if large, ok := errors.AsType[*TooLargeError](err); ok {
			s.metrics.TooLarge.Inc()
			return nil, large
		}
		return nil, fmt.Errorf("saving a session: %w", err)
	}
	values := split(sealed)
	size := bytesOf(s.Active, "") + seal.EncodedLen(activityLen)
	for i, value := range values {
		size += bytesOf(s.part(i), value)
	}
	if size > Budget-beganBytes {
		s.metrics.TooLarge.Inc()
		t, err := session.Tokens()
		if err != nil {
			return nil, err
		}
		return nil, tooLarge(size, t)
	}
	s.metrics.CookieBytes.Observe(float64(size))
	s.warnIfNear(session, size)
	return values, nil
}
