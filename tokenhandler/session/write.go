package session

import (
	"encoding/binary"
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
func (m *Manager) Begin(h http.Header, tokens secret.Tokens) (s *Session, size int, err error) {
	s = New(m.trim(tokens), m.cfg.Now(), m.cfg.AbsoluteLifetime)
	values, size, err := m.seal(s)
	if err != nil {
		return nil, 0, err
	}
	// Strict cookies do not come along with the provider's redirect: a surplus
	// part of an earlier session cannot be seen here, but must go.
	if len(values) < maxParts {
		m.cfg.Cookies.Expire(h, m.cfg.Cookies.part(1))
	}
	m.cfg.Cookies.setSession(h, &Jar{}, values)
	m.writeActivity(h, s.ID, s.Active, s.Begun)
	return s, size, nil
}

// trim drops the ID token if nothing needs it; its claims stay.
func (m *Manager) trim(tokens secret.Tokens) secret.Tokens {
	if !m.cfg.KeepIDToken {
		tokens.ID = secret.String{}
	}
	return tokens
}

// seal makes the cookie values of a session, within the budget, and their size
// with that of the activity cookie.
func (m *Manager) seal(s *Session) (values []string, size int, err error) {
	name := m.cfg.Cookies.session
	t, err := s.Tokens()
	if err != nil {
		return nil, 0, err
	}
	payload, fits := m.codec.encode(s, t)
	sealed := string(m.cfg.Keys.Seal(nil, name, payload))
	values, ok := split(sealed)
	size = len(sealed)
	for i := range values {
		size += len(m.cfg.Cookies.part(i)) + len("=; ") + 1
	}
	size += len(m.cfg.Cookies.active) + len("=; ") + seal.EncodedLen(activityLen)
	if !fits || !ok || size > Budget {
		m.metrics.TooLarge.Inc()
		return nil, 0, &TooLargeError{
			Bytes: size, Budget: Budget,
			Access: len(t.Access.Reveal()), ID: len(t.ID.Reveal()), Refresh: len(t.Refresh.Reveal()), Claims: len(t.Claims),
		}
	}
	m.metrics.CookieBytes.Observe(float64(size))
	return values, size, nil
}

func (m *Manager) writeActivity(h http.Header, id ID, active, probed time.Time) {
	plain := append(make([]byte, 0, activityLen), id[:]...)
	plain = binary.BigEndian.AppendUint64(plain, uint64(active.Unix())) //nolint:gosec // seconds of a clock
	plain = binary.BigEndian.AppendUint64(plain, uint64(probed.Unix())) //nolint:gosec // seconds of a clock
	sealed := m.cfg.Keys.Seal(nil, m.cfg.Cookies.active, plain)
	m.cfg.Cookies.Set(h, m.cfg.Cookies.active, string(sealed), http.SameSiteStrictMode, 0)
}

// Commit adds to the answer's header what the browser must be told: the newest
// generation, if it holds an older one, and the activity. It is called once,
// right before the header goes out, so that a refresh that finished meanwhile
// is told too. A session that ended meanwhile is not written again: logout
// wins over every request under way.
func (v *Visit) Commit(h http.Header) {
	m, s := v.manager, v.Session
	if s == nil {
		return
	}
	if v.Ended() {
		return // its cookie is dead, and may have been replaced by another session's
	}
	s, _ = m.newest(s)
	v.Session = s
	if s.Generation > v.cookie {
		if values := m.cookiesOf(s); values != nil {
			m.cfg.Cookies.setSession(h, &v.jar, values)
			v.cookie = s.Generation
		}
	}
	if v.active.After(v.recorded) || v.probed.After(v.probeRecorded) {
		m.writeActivity(h, s.ID, v.active, v.probed)
		v.recorded, v.probeRecorded = v.active, v.probed
	}
}
