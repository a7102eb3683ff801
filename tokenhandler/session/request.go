package session

import (
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/sessions"
)

// TouchEvery is the shortest interval between two writes of the activity cookie.
const TouchEvery = time.Minute

// RequestCookies are the session and the activity of one request. It belongs to the
// goroutine of that request.
type RequestCookies struct {
	// Stored is the session that the cookie holds, even if it has ended. It is nil if
	// there is no session cookie or it does not open.
	Stored *Session

	store   *Store
	request *http.Request
	gorilla *sessions.Session
	// activity is that of a session that has not ended; else nil.
	activity *Activity
	// generation is the one that the browser holds.
	generation uint64
}

// Open opens the session of a request by [Store.New]. Unlike [Store.Get] it adds
// nothing to the request's context, which would cost every request an allocation.
// Errors: those of New, and [ErrNone]. The request's Cookie header must not change
// while the result is in use.
func (s *Store) Open(r *http.Request) (RequestCookies, error) {
	c := RequestCookies{store: s, request: r}
	var err error
	if c.gorilla, err = s.New(r, s.session); err != nil {
		if ended, ok := errors.AsType[*EndedError](err); ok {
			c.Stored = ended.Session
		}
		return c, err
	}
	if c.gorilla.IsNew {
		return c, ErrNone
	}
	c.Stored, _ = c.gorilla.Values[Key].(*Session)
	c.activity, _ = c.gorilla.Values[ActivityKey].(*Activity)
	c.generation = c.Stored.Generation
	return c, nil
}

// Touch notes that the user is active now.
func (c *RequestCookies) Touch() {
	now := c.store.cfg.Now().Truncate(time.Second)
	every := min(TouchEvery, c.store.cfg.IdleTimeout/4)
	if now.Sub(c.activity.Active) >= every {
		c.activity.Active, c.activity.saved = now, false
	}
}

// Active is the user's last activity.
func (c *RequestCookies) Active() time.Time { return c.activity.Active }

// Probed is when the provider was last asked whether the user may still use the
// app. A concurrent request may know a later time.
func (c *RequestCookies) Probed() time.Time { return c.activity.Probed }

// MarkProbed notes that the provider was asked.
func (c *RequestCookies) MarkProbed(at time.Time) {
	at = at.Truncate(time.Second)
	if at.After(c.activity.Probed) {
		c.activity.saved = false
	}
	c.activity.Probed = at
}

// Save adds to the header of an answer what the browser does not hold yet: s, if it
// is of a later generation, and the activity. The error is that of saving s; the
// activity is saved in any case.
func (c *RequestCookies) Save(h http.Header, s *Session) error {
	var err error
	if s.Generation > c.generation {
		c.gorilla.Values[Key] = s
		if err = c.gorilla.Save(c.request, HeaderWriter(h)); err == nil {
			c.generation = s.Generation
			return nil
		}
		c.gorilla.Values[Key] = c.Stored // the browser keeps this one
	}
	if c.activity.saved {
		return err
	}
	return errors.Join(err, c.gorilla.Save(c.request, HeaderWriter(h)))
}
