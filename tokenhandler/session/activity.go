package session

import (
	"encoding/binary"
	"time"
)

// Activity is what the activity cookie holds. It changes up to once a minute, so
// that it has a cookie of its own: the tokens take fifty times as many bytes.
type Activity struct {
	// Session is the session that the activity belongs to.
	Session ID
	// Active is the user's last activity, to the second.
	Active time.Time
	// Probed is when the provider was last asked whether the user may still use the
	// app, to the second.
	Probed time.Time

	saved bool // the browser has it
}

// Activity returns the activity that a session begins with: its login. It was
// also the last time that the provider was asked about the user.
func (s *Session) Activity() *Activity {
	return &Activity{Session: s.ID, Active: s.Active, Probed: s.Begun}
}

// activityLen is the size of an encoded [Activity]: the session's id, and the two
// times in seconds.
const activityLen = 16 + 8 + 8

// MarshalBinary implements [encoding.BinaryMarshaler].
func (a *Activity) MarshalBinary() ([]byte, error) {
	out := append(make([]byte, 0, activityLen), a.Session[:]...)
	out = binary.BigEndian.AppendUint64(out, uint64(a.Active.Unix()))       //nolint:gosec // a clock's seconds
	return binary.BigEndian.AppendUint64(out, uint64(a.Probed.Unix())), nil //nolint:gosec // a clock's seconds
}

// UnmarshalBinary implements [encoding.BinaryUnmarshaler]. The error is
// [ErrUnreadable].
func (a *Activity) UnmarshalBinary(data []byte) error {
	if len(data) != activityLen {
		return ErrUnreadable
	}
	*a = Activity{
		Session: ID(data[:16]),
		Active:  time.Unix(int64(binary.BigEndian.Uint64(data[16:24])), 0), //nolint:gosec // a clock's seconds
		Probed:  time.Unix(int64(binary.BigEndian.Uint64(data[24:])), 0),   //nolint:gosec // a clock's seconds
	}
	return nil
}

// since replaces the times that are earlier than those that the session began
// with. It also replaces times in the future, which a faulty clock has written:
// they would keep the session from becoming idle.
func (a *Activity) since(begin *Activity, now time.Time) {
	a.Session = begin.Session
	if a.Active.Before(begin.Active) {
		a.Active = begin.Active
	}
	if a.Active.After(now) {
		a.Active = now.Truncate(time.Second)
	}
	if a.Probed.Before(begin.Probed) || a.Probed.After(now) {
		a.Probed = begin.Probed
	}
}
