package session

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gorilla/sessions"

	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
)

// EndedError says that a request carries a session that has ended by itself. It is
// an [ErrIdle] or an [ErrExpired]. The refresh token of the session may still be
// valid, so that it can be revoked at the provider.
type EndedError struct {
	error

	// Session is the session that has ended.
	Session *Session
}

// Unwrap returns the reason.
func (e *EndedError) Unwrap() error { return e.error }

// opened is a session with its activity. They are one allocation, because every
// request makes one.
type opened struct {
	session  Session
	activity Activity
}

// openSession opens a request's session and activity cookies into the Values of gs.
func (s *Store) openSession(gs *sessions.Session, r *http.Request) error {
	j := s.read(r.Header)
	parts, n, err := j.session()
	switch {
	case errors.Is(err, errNone):
		return nil
	case err != nil:
		return err
	}
	found, err := s.openParts(parts, n)
	if err != nil {
		return err
	}
	o := &opened{session: found.session}
	known := s.openActivity(&j, o)
	reason := s.ended(o)
	switch {
	case reason == nil:
	case errors.Is(reason, ErrIdle) && !known:
		return fmt.Errorf("opening the activity: %w", ErrUnknownKey)
	default:
		return &EndedError{error: reason, Session: &o.session}
	}
	gs.IsNew = false
	gs.Values[Key], gs.Values[ActivityKey] = &o.session, &o.activity
	return nil
}

// openParts opens the n parts of a sealed session, unless they were opened lately.
func (s *Store) openParts(parts sealedParts, n int) (*remembered, error) {
	keys, now := s.cfg.Keys.Version(), s.cfg.Now()
	found := s.recent.find(&parts, keys, now)
	if found == nil {
		found = &remembered{}
		var err error
		if found.key, err = s.sessions.DecodeParts(s.Session, found, parts[:n]...); err != nil {
			return nil, unreadable(err)
		}
		found.session.source = source{store: s, parts: parts, n: n}
		found.session.logName = found.session.ID.String()
		s.recent.remember(found, keys, now)
	}
	s.metrics.opened(found.key)
	return found, nil
}

// openActivity opens the activity cookie. If it is missing, does not open, or
// belongs to another session, nothing is known but what the session itself says. It
// returns false if the cookie was sealed with an unknown key: then the user may have
// been active later than is known.
func (s *Store) openActivity(j *jar, o *opened) (known bool) {
	known = true
	if j.active != "" {
		err := s.activities.Decode(s.Active, j.active, activityCode{&o.activity})
		known = !errors.Is(err, seal.ErrUnknownKey)
		if err != nil || o.activity.Session != o.session.ID {
			o.activity = Activity{}
		}
	}
	o.activity.since(&o.session, s.cfg.Now())
	o.activity.noteSaved()
	return known
}

// ended returns [ErrExpired] or [ErrIdle] if the session has ended.
func (s *Store) ended(o *opened) error {
	now := s.cfg.Now()
	// When an operator shortens the lifetime, that holds for existing sessions too.
	if limit := o.session.Begun.Add(s.cfg.AbsoluteLifetime); limit.Before(o.session.Expires) {
		o.session.Expires = limit
	}
	switch {
	case !now.Before(o.session.Ends()):
		return ErrExpired
	case !now.Before(o.activity.Active.Add(s.cfg.IdleTimeout)):
		return ErrIdle
	}
	return nil
}

// openTokens opens the session cookie again, for all of its tokens.
func (s *Store) openTokens(from source) (secret.Tokens, error) {
	var all tokens
	if _, err := s.sessions.DecodeParts(s.Session, &all, from.parts[:from.n]...); err != nil {
		return secret.Tokens{}, unreadable(err)
	}
	return all.Tokens, nil
}

// unreadable makes an error of a codec an [ErrUnreadable], or an [ErrUnknownKey].
func unreadable(err error) error {
	switch {
	case errors.Is(err, ErrUnreadable):
		return err
	case errors.Is(err, seal.ErrUnknownKey):
		return fmt.Errorf("%w: %w", ErrUnknownKey, err)
	}
	return fmt.Errorf("%w: %w", ErrUnreadable, err)
}

// openLogin opens a request's login cookie, or the one that says that a login began,
// into the Values of gs.
func (s *Store) openLogin(gs *sessions.Session, r *http.Request) error {
	var sealed string
	var there bool
	each(r.Header, func(name, value string) bool {
		if name == gs.Name() {
			sealed, there = value, true
		}
		return true
	})
	if !there {
		return nil
	}
	var payload []byte
	if err := s.logins.Decode(gs.Name(), sealed, &payload); err != nil {
		return unreadable(err)
	}
	gs.IsNew, gs.Values[Key] = false, payload
	return nil
}
