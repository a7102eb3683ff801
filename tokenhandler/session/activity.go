package session

import (
	"encoding/binary"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/seal"
)

// TouchEvery is the shortest interval between two writes of the activity cookie.
const TouchEvery = time.Minute

// RequestCookies are the opened cookies of one request: its session and the
// user's activity. It belongs to the goroutine of that request.
type RequestCookies struct {
	// Stored is the session that the cookie holds, even if it has expired or is
	// idle. It is nil if the cookie does not open.
	Stored *Session

	store *Store
	jar   Jar
	// generation is the one that the browser holds.
	generation uint64
	// active is the user's last activity, activeWritten the last one that the
	// browser's cookie holds. The other two are the same for the last probe.
	active, activeWritten time.Time
	probed, probedWritten time.Time
}

// Touch notes that the user is active now.
func (c *RequestCookies) Touch() {
	now := c.store.cfg.Now().Truncate(time.Second)
	every := min(TouchEvery, c.store.cfg.IdleTimeout/4)
	if now.Sub(c.active) >= every {
		c.active = now
	}
}

// Probed is when the provider was last asked whether the user is still good, as
// far as this browser's cookies tell.
func (c *RequestCookies) Probed() time.Time { return c.probed }

// MarkProbed notes that the provider was asked.
func (c *RequestCookies) MarkProbed(at time.Time) { c.probed = at.Truncate(time.Second) }

// Active is the user's last activity, as far as this browser's cookies tell.
func (c *RequestCookies) Active() time.Time { return c.active }

// Jar holds the cookies of the request that are ours.
func (c *RequestCookies) Jar() *Jar { return &c.jar }

// Expire removes the session from the browser.
func (c *RequestCookies) Expire(h http.Header) {
	c.store.cfg.Cookies.ExpireSession(h, &c.jar)
}

// Generation is that of the session that the browser holds, [RequestCookies.Write]
// included.
func (c *RequestCookies) Generation() uint64 { return c.generation }

// Write adds to the response's header the cookies of a session, whose values come
// from [Store.Seal].
func (c *RequestCookies) Write(h http.Header, s *Session, values []string) {
	c.store.cfg.Cookies.setSession(h, &c.jar, values)
	c.generation = s.Generation
}

// WriteActivity adds the activity to the response's header, if it is later than
// what the browser holds.
func (c *RequestCookies) WriteActivity(h http.Header) {
	if c.active.After(c.activeWritten) || c.probed.After(c.probedWritten) {
		c.store.writeActivity(h, c.Stored.ID, c.active, c.probed)
		c.activeWritten, c.probedWritten = c.active, c.probed
	}
}

// activityLen is the size of what the activity cookie holds: the session id, the
// seconds of the last activity and of the last probe.
const activityLen = 16 + 8 + 8

// lastActivity is the later of what the session and the activity cookie say,
// and the last probe; the login counts as one. A missing or foreign activity
// cookie cannot prolong anything; neither can one from the future of a faulty clock.
func (s *Store) lastActivity(stored *Session, sealed string, now time.Time) (active, probed time.Time) {
	active, probed = stored.Active, stored.Begun
	if sealed != "" {
		var plain []byte
		err := s.activityCodec().Decode(s.cfg.Cookies.active, sealed, &plain)
		if err == nil && len(plain) == activityLen && ID(plain[:16]) == stored.ID {
			active = latest(active, plain[16:24])
			probed = latest(probed, plain[24:])
		}
	}
	if active.After(now) {
		active = now.Truncate(time.Second)
	}
	if probed.After(now) {
		probed = stored.Begun
	}
	return active, probed
}

// latest is the later of t and the seconds in raw.
func latest(t time.Time, raw []byte) time.Time {
	at := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0) //nolint:gosec // seconds of a clock
	if at.After(t) {
		return at
	}
	return t
}

func (s *Store) activityCodec() seal.Codec {
	return seal.Codec{Keys: s.cfg.Keys, MaxLength: seal.EncodedLen(activityLen)}
}

func (s *Store) writeActivity(h http.Header, id ID, active, probed time.Time) {
	plain := append(make([]byte, 0, activityLen), id[:]...)
	plain = binary.BigEndian.AppendUint64(plain, uint64(active.Unix())) //nolint:gosec // seconds of a clock
	plain = binary.BigEndian.AppendUint64(plain, uint64(probed.Unix())) //nolint:gosec // seconds of a clock
	sealed := s.cfg.Keys.Seal(nil, s.cfg.Cookies.active, plain)
	s.cfg.Cookies.Set(h, s.cfg.Cookies.active, string(sealed), http.SameSiteStrictMode, 0)
}
