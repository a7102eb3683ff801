package session

import (
	"encoding/binary"
	"time"
)

// Activity is what the activity cookie holds. It changes up to once a minute, so
// that it has a cookie of its own: the tokens take twenty times as many bytes.
type Activity struct {
	// Session is the session that the activity belongs to.
	Session ID
	// Active is the user's last activity, to the second.
	Active time.Time
	// Probed is when the provider was last asked whether the user may still use the
	// app, to the second.
	Probed time.Time

	// savedActive and savedProbed are the times that the browser has.
	savedActive, savedProbed time.Time
}

// activity is the activity that a session begins with: the login. The login was
// also the last time that the provider was asked about the user.
func (s *Session) activity() *Activity {
	return &Activity{Session: s.ID, Active: s.Active, Probed: s.vouched()}
}

// vouched is the last time, as far as the session itself knows, that the provider was
// asked about the user: the login. Begun may be in the future.
func (s *Session) vouched() time.Time {
	if s.Active.Before(s.Begun) {
		return s.Active
	}
	return s.Begun
}

// since replaces the times that are earlier than the login. It also replaces times
// in the future, which a faulty clock has written: they would keep the session from
// becoming idle.
func (a *Activity) since(s *Session, now time.Time) {
	a.Session = s.ID
	if a.Active.Before(s.Active) {
		a.Active = s.Active
	}
	if a.Active.After(now) {
		a.Active = now.Truncate(time.Second)
	}
	if vouched := s.vouched(); a.Probed.Before(vouched) || a.Probed.After(now) {
		a.Probed = vouched
	}
}

func (a *Activity) noteSaved() { a.savedActive, a.savedProbed = a.Active, a.Probed }

func (a *Activity) saved() bool {
	return a.Active.Equal(a.savedActive) && a.Probed.Equal(a.savedProbed)
}

// activityLen is the size of an encoded [Activity]: the session's id, and the two
// times in seconds.
const activityLen = 16 + 8 + 8

// activityCode encodes and decodes an [Activity] for a securecookie.Codec.
type activityCode struct{ *Activity }

// MarshalBinary implements [encoding.BinaryMarshaler].
func (a activityCode) MarshalBinary() ([]byte, error) {
	out := append(make([]byte, 0, activityLen), a.Session[:]...)
	out = binary.BigEndian.AppendUint64(out, uint64(a.Active.Unix()))       //nolint:gosec // a clock's seconds
	return binary.BigEndian.AppendUint64(out, uint64(a.Probed.Unix())), nil //nolint:gosec // a clock's seconds
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler]. The error is
// [ErrUnreadable].
func (a activityCode) UnmarshalBinary(data []byte) error {
	if len(data) != activityLen {
		return ErrUnreadable
	}
	*a.Activity = Activity{
		Session: ID(data[:16]),
		Active:  time.Unix(int64(binary.BigEndian.Uint64(data[16:24])), 0), //nolint:gosec // a clock's seconds
		Probed:  time.Unix(int64(binary.BigEndian.Uint64(data[24:])), 0),   //nolint:gosec // a clock's seconds
	}
	return nil
}
