package memory_test

import (
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
)

// covering is the revocation of a user's sessions that is made now, as Cover returns it.
func covering(t *testing.T, now time.Time, cover func(replicas.Revocation, bool) replicas.Revocation) replicas.Revocation {
	t.Helper()
	e := cover(replicas.Revocation{Kind: replicas.KindSubject, Name: "user", Before: now, Until: now.Add(time.Hour)}, false)
	if e.Until.Sub(e.Before) != time.Hour {
		t.Errorf("it lasts for %s", e.Until.Sub(e.Before))
	}
	return e
}

// TestCoverIsLaterThanWhatWasSeen: than every session that has begun or was used here, in
// whatever order, and than the entries of the user that other replicas made.
func TestCoverIsLaterThanWhatWasSeen(t *testing.T) {
	l, c := newList()
	now := c.Now()
	for _, ahead := range []time.Duration{3 * time.Second, time.Second, -time.Hour} {
		if l.Denied(id(1), "another", "", now.Add(ahead)) {
			t.Error("denied, and nothing was revoked")
		}
	}
	if e := covering(t, now, l.Cover); !e.Before.Equal(now.Add(3*time.Second + time.Millisecond)) {
		t.Errorf("with a session that began 3 s ahead, it covers up to %s", e.Before.Sub(now))
	}
	endAll(t, l, "user", now.Add(4*time.Second), now.Add(time.Hour)) // by a replica whose clock is ahead
	if e := covering(t, now, l.Cover); !e.Before.Equal(now.Add(4*time.Second + time.Millisecond)) {
		t.Errorf("with an entry 4 s ahead, it covers up to %s", e.Before.Sub(now))
	}
}

// TestCoverHasWholeMilliseconds, as sessions have: a fraction would be lost on the way to
// another replica, and with it a session that began right before.
func TestCoverHasWholeMilliseconds(t *testing.T) {
	l, c := newList()
	now := c.Now()
	for after, want := range map[time.Duration]time.Duration{0: 0, time.Nanosecond: time.Millisecond, 300 * time.Microsecond: time.Millisecond, time.Millisecond: time.Millisecond} {
		if e := covering(t, now.Add(after), l.Cover); e.Before.Sub(now) != want {
			t.Errorf("made %s after a millisecond, it covers up to %s", after, e.Before.Sub(now))
		}
	}
}
