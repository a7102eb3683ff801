package session

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
)

// touchEvery is how often the activity cookie is written at most.
const touchEvery = time.Minute

// DenyList knows which sessions were ended before their time.
type DenyList interface {
	// Denied reports whether the session was ended: itself by name ([ID.Name]), or
	// with all sessions of sub, or of sid at the provider (empty for none), that
	// began before some moment. It is asked on every request: it must not wait
	// for the network.
	Denied(session Name, sub, sid string, begun time.Time) bool
	// Deny ends one session, here at once. The entry may be forgotten at until,
	// when the session would have ended anyway. Denying twice is not an error.
	Deny(session Name, until time.Time)
}

// Refresher turns a refresh token into new tokens.
type Refresher interface {
	// Refresh makes one call to the provider and verifies what it answers
	// against previous: same issuer, same subject. An error that has a method
	// Rejected() bool returning true means that the provider refused the refresh
	// token for good (invalid_grant); one with RetryAfter() time.Duration says
	// when to try again. Every other error is passing: the session stays.
	Refresh(ctx context.Context, previous secret.Tokens) (secret.Tokens, error)
}

// Config is what a [Manager] needs.
type Config struct {
	// Keys seals the cookies. Required.
	Keys *seal.Keyring
	// Cookies are their names. Required.
	Cookies Cookies
	// Refresher calls the provider. Required.
	Refresher Refresher
	// Denied is asked on every request. Required.
	Denied DenyList
	// IdleTimeout ends a session without activity. Required.
	IdleTimeout time.Duration
	// AbsoluteLifetime ends every session. Required.
	AbsoluteLifetime time.Duration
	// RefreshBefore is how long before its end an access token is renewed.
	RefreshBefore time.Duration
	// RefreshGrace is how long an older cookie is served the newer tokens.
	RefreshGrace time.Duration
	// RefreshTimeout bounds one call to the provider. Required.
	RefreshTimeout time.Duration
	// Replicas is what is shared with other processes; nil for a single one, or
	// for several if the provider's grace covers their races.
	Replicas Replicas
	// RotationGrace is how long the provider accepts a refresh token that it has
	// replaced (FACTS COG-ROT-01).
	RotationGrace time.Duration
	// Certain reports whether the deny list is known to be up to date; while it is
	// not, no session opens. Nil means that it does not matter.
	Certain func() bool
	// Discard gives back a refresh token that nobody will use; nil drops it.
	Discard func(refresh secret.String)
	// KeepIDToken stores the ID token itself, not only its claims.
	KeepIDToken bool
	// Now is the clock. Required.
	Now func() time.Time
	// Log receives what happens to sessions. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Manager opens, writes, refreshes and ends sessions. It is safe for
// concurrent use.
type Manager struct {
	cfg       Config
	codec     *codec
	metrics   *Metrics
	refreshes refreshes
	watchers  watchers
}

// NewManager builds a Manager.
func NewManager(cfg Config) (*Manager, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	m := &Manager{cfg: cfg, codec: c, metrics: cfg.Metrics}
	if m.metrics == nil {
		m.metrics = NewMetrics(nil)
	}
	m.refreshes.entries = make(map[ID]*entry)
	return m, nil
}

// Cookies are the names of the cookies.
func (m *Manager) Cookies() Cookies { return m.cfg.Cookies }

// Visit is what one request shows of its session. It belongs to the goroutine
// of that request.
type Visit struct {
	// Session is the newest generation known, not necessarily the cookie's.
	Session *Session

	manager *Manager
	jar     Jar
	// over is the cookie's own session, also if it is over.
	over *Session
	// cookie is the generation that the browser holds.
	cookie uint64
	// active is the user's last activity, recorded what the browser holds of it;
	// the same for the last probe.
	active, recorded      time.Time
	probed, probeRecorded time.Time
}

// Open reads the session of a request: local work, no network. Errors:
// [ErrNone], [ErrUnreadable], [ErrIdle], [ErrExpired], [ErrRevoked],
// [ErrRejected], [ErrCookiesTooLarge], [ErrUncertain]. The visit is never nil; after an error it has no
// session but can [Visit.Expire] what the browser holds.
func (m *Manager) Open(h http.Header) (*Visit, error) {
	v := &Visit{manager: m}
	var err error
	if v.jar, err = m.cfg.Cookies.Read(h); err == nil {
		err = v.open()
	}
	if !errors.Is(err, ErrNone) {
		m.metrics.Opened.WithLabelValues(openOutcome(err)).Inc()
	}
	return v, err
}

func openOutcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrIdle):
		return "idle"
	case errors.Is(err, ErrExpired):
		return "expired"
	case errors.Is(err, ErrRevoked), errors.Is(err, ErrRejected):
		return "revoked"
	case errors.Is(err, ErrCookiesTooLarge):
		return "too_large"
	case errors.Is(err, ErrUncertain):
		return "uncertain"
	}
	return "unreadable"
}

func (v *Visit) open() error {
	m := v.manager
	parts, n, err := v.jar.sessionParts()
	if err != nil {
		return err
	}
	s, err := m.openSession(m.cfg.Cookies.session, parts[:n])
	if err != nil {
		return err
	}
	now := m.cfg.Now()
	// An operator who shortens the lifetime means the sessions that exist, too.
	if limit := s.Begun.Add(m.cfg.AbsoluteLifetime); limit.Before(s.Expires) {
		s.Expires = limit
	}
	v.over = s
	if !now.Before(s.Ends()) {
		return ErrExpired
	}
	v.active, v.probed = m.lastActivity(s, v.jar.active, now)
	v.recorded, v.probeRecorded = v.active, v.probed
	if !now.Before(v.active.Add(m.cfg.IdleTimeout)) {
		return ErrIdle
	}
	if m.cfg.Denied.Denied(s.ID.Name(), s.Subject, s.SID, s.Begun) {
		return ErrRevoked
	}
	if m.cfg.Certain != nil && !m.cfg.Certain() {
		return ErrUncertain
	}
	v.cookie = s.Generation
	var rejected bool
	if v.Session, rejected = m.see(s); rejected {
		return ErrRejected
	}
	if v.Session != s {
		m.metrics.Superseded.Inc()
	}
	return nil
}

// openSession decodes, opens and parses: the hot path of every request.
func (m *Manager) openSession(name string, parts []string) (*Session, error) {
	buf, err := m.borrow()
	if err != nil {
		return nil, err
	}
	defer m.codec.scratch.Put(buf)
	payload, key, err := m.openPayload(name, parts, buf)
	if err != nil {
		return nil, err
	}
	m.metrics.OpenedByKey.WithLabelValues(key.String()).Inc()
	s, err := decode(payload, buf)
	if err != nil {
		return nil, err
	}
	s.source = source{manager: m, name: name, n: len(parts)}
	copy(s.source.parts[:], parts)
	return s, nil
}

// openTokens opens the same again for all tokens.
func (m *Manager) openTokens(name string, parts []string) (secret.Tokens, error) {
	buf, err := m.borrow()
	if err != nil {
		return secret.Tokens{}, err
	}
	defer m.codec.scratch.Put(buf)
	payload, _, err := m.openPayload(name, parts, buf)
	if err != nil {
		return secret.Tokens{}, err
	}
	return decodeTokens(payload, buf)
}

func (m *Manager) borrow() (*scratch, error) {
	if buf, ok := m.codec.scratch.Get().(*scratch); ok {
		return buf, nil
	}
	return nil, ErrUnreadable
}

// openPayload returns the payload inside buf.
func (m *Manager) openPayload(name string, parts []string, buf *scratch) ([]byte, seal.KeyID, error) {
	sealed := buf.sealed[:0]
	for _, part := range parts {
		var err error
		if sealed, err = seal.AppendDecode(sealed, part); err != nil {
			return nil, seal.KeyID{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
	}
	buf.sealed = sealed
	payload, key, err := m.cfg.Keys.Open(name, sealed)
	if err != nil {
		return nil, key, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return payload, key, nil
}

// activityLen is the size of what the activity cookie holds: the session id, the
// seconds of the last activity and of the last probe.
const activityLen = 16 + 8 + 8

// lastActivity is the later of what the session and the activity cookie say,
// and the last probe; the login counts as one. A missing or foreign activity
// cookie cannot prolong anything; neither can one from the future of a faulty clock.
func (m *Manager) lastActivity(s *Session, sealed string, now time.Time) (active, probed time.Time) {
	active, probed = s.Active, s.Begun
	if sealed != "" {
		var plain []byte
		err := m.activityCodec().Decode(m.cfg.Cookies.active, sealed, &plain)
		if err == nil && len(plain) == activityLen && ID(plain[:16]) == s.ID {
			active = latest(active, plain[16:24])
			probed = latest(probed, plain[24:])
		}
	}
	if active.After(now) {
		active = now.Truncate(time.Second)
	}
	if probed.After(now) {
		probed = s.Begun
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

func (m *Manager) activityCodec() seal.Codec {
	return seal.Codec{Keys: m.cfg.Keys, MaxLength: seal.EncodedLen(activityLen)}
}

// Touch notes that the user is active now.
func (v *Visit) Touch() {
	now := v.manager.cfg.Now().Truncate(time.Second)
	every := min(touchEvery, v.manager.cfg.IdleTimeout/4)
	if now.Sub(v.active) >= every {
		v.active = now
	}
}

// Probed is when the provider was last asked whether the user is still good, as
// far as this browser's cookies tell.
func (v *Visit) Probed() time.Time { return v.probed }

// MarkProbed notes that the provider was asked.
func (v *Visit) MarkProbed(at time.Time) { v.probed = at.Truncate(time.Second) }

// IdleExpires is when the session ends if the user does nothing.
func (v *Visit) IdleExpires() time.Time {
	idle := v.active.Add(v.manager.cfg.IdleTimeout)
	if v.Session != nil && v.Session.Ends().Before(idle) {
		return v.Session.Ends()
	}
	return idle
}

// Jar is what the request carried of our cookies.
func (v *Visit) Jar() *Jar { return &v.jar }

// Expire removes the session from the browser.
func (v *Visit) Expire(h http.Header) {
	v.manager.cfg.Cookies.ExpireSession(h, &v.jar)
}

// End is logout: from now on no cookie of this session is opened or written
// here, not even by a refresh under way.
func (v *Visit) End() {
	m := v.manager
	s := cmp.Or(v.Session, v.over)
	m.cfg.Denied.Deny(s.ID.Name(), s.Expires)
	m.forget(s.ID)
}

// Ended reports whether the session was ended since it was opened.
func (v *Visit) Ended() bool {
	s := v.Session
	return v.manager.cfg.Denied.Denied(s.ID.Name(), s.Subject, s.SID, s.Begun)
}

// Over is the session whose cookie the request carries, also if it is over: its
// refresh token may still be good. It is nil if the cookie does not open.
func (v *Visit) Over() *Session { return v.over }
