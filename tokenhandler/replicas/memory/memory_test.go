package memory_test

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/session"
)

// at returns the time that many minutes after the beginning of the test.
func at(minutes float64) time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(minutes * float64(time.Minute)))
}

func newList() (*memory.List, *testkit.Clock) {
	c := testkit.NewClock(at(0))
	return memory.New(c.Now), c
}

func id(n int) (out session.Name) {
	binary.BigEndian.PutUint64(out[:], uint64(n))
	return out
}

// endAll revokes the sessions of sub that began before the given time.
func endAll(t *testing.T, l *memory.List, sub string, before, until time.Time) {
	t.Helper()
	if _, err := l.Add(replicas.Revocation{Kind: replicas.KindSubject, Name: sub, Before: before, Until: until}); err != nil {
		t.Error(err)
	}
}

func TestDeny(t *testing.T) {
	l, c := newList()
	l.Deny(id(1), at(10))
	for _, s := range []struct {
		name string
		now  float64
		id   session.Name
		want bool
	}{
		{"at once", 0, id(1), true},
		{"another session", 0, id(2), false},
		{"the zero session", 0, id(0), false},
		{"shortly before its end", 9.999, id(1), true},
		{"at its end", 10, id(1), false},
		{"after its end", 11, id(1), false},
	} {
		t.Run(s.name, func(t *testing.T) {
			c.Set(at(s.now))
			if got := l.Denied(s.id, "user", "", at(-1)); got != s.want {
				t.Errorf("denied: %v, want %v", got, s.want)
			}
		})
	}
}

// Denying again must never make the end earlier, or the session would work again.
func TestDenyKeepsTheLatestEnd(t *testing.T) {
	for name, ends := range map[string][]float64{"shorter later": {10, 5}, "longer later": {5, 10}, "the past later": {10, -5}} {
		t.Run(name, func(t *testing.T) {
			l, c := newList()
			for _, end := range ends {
				l.Deny(id(1), at(end))
			}
			c.Set(at(9))
			if !l.Denied(id(1), "user", "", at(-1)) {
				t.Error("the session came back")
			}
			c.Set(at(10))
			if l.Denied(id(1), "user", "", at(-1)) {
				t.Error("denied for too long")
			}
		})
	}
}

func TestDenySubject(t *testing.T) {
	l, c := newList()
	endAll(t, l, "user", at(5), at(60))
	for _, s := range []struct {
		name  string
		now   float64
		sub   string
		begun float64
		want  bool
	}{
		{"begun before", 6, "user", 4, true},
		{"begun long before", 6, "user", -1e6, true},
		{"begun just before", 6, "user", 4.999, true},
		{"begun at that moment", 6, "user", 5, false},
		{"a new login", 6, "user", 5.5, false},
		{"another user", 6, "user2", 4, false},
		{"nobody", 6, "", 4, false},
		{"shortly before its end", 59.999, "user", 4, true},
		{"at its end", 60, "user", 4, false},
	} {
		t.Run(s.name, func(t *testing.T) {
			c.Set(at(s.now))
			if got := l.Denied(id(1), s.sub, "", at(s.begun)); got != s.want {
				t.Errorf("denied: %v, want %v", got, s.want)
			}
		})
	}
}

func TestDenySubjectAgain(t *testing.T) {
	type call struct{ before, until float64 }
	for name, calls := range map[string][]call{
		"later":                   {{1, 20}, {5, 30}},
		"earlier":                 {{5, 30}, {1, 20}},
		"later, with earlier end": {{1, 30}, {5, 20}},
		"earlier, with later end": {{5, 20}, {1, 30}},
		"three times":             {{5, 10}, {1, 30}, {2, 20}},
	} {
		t.Run(name, func(t *testing.T) {
			l, c := newList()
			for _, one := range calls {
				endAll(t, l, "user", at(one.before), at(one.until))
			}
			c.Set(at(29))
			if !l.Denied(id(1), "user", "", at(4)) {
				t.Error("a session came back")
			}
			if l.Denied(id(1), "user", "", at(5)) {
				t.Error("a new login is denied")
			}
			c.Set(at(30))
			if l.Denied(id(1), "user", "", at(4)) {
				t.Error("denied for too long")
			}
			if l.Len() != 1 {
				t.Errorf("%d entries, want 1", l.Len())
			}
		})
	}
}

// A session is denied if either its own entry or that of its user says so.
func TestSessionAndSubject(t *testing.T) {
	l, c := newList()
	l.Deny(id(1), at(10))
	endAll(t, l, "user", at(0), at(20))
	for _, now := range []float64{0, 15} {
		c.Set(at(now))
		if !l.Denied(id(1), "user", "", at(-1)) || !l.Denied(id(2), "user", "", at(-1)) {
			t.Errorf("minute %v: a session of the user is alive", now)
		}
	}
	c.Set(at(5))
	if !l.Denied(id(1), "user", "", at(3)) {
		t.Error("the session by its id is alive")
	}
	if l.Denied(id(2), "user", "", at(3)) {
		t.Error("a new login is denied")
	}
}

func TestSweepRemovesEndedEntries(t *testing.T) {
	l, c := newList()
	for n := range 50 {
		l.Deny(id(n), at(float64(n)))
		endAll(t, l, string(rune('a'+n)), at(0), at(float64(n)))
	}
	c.Set(at(25))
	l.Deny(id(1000), at(100))
	// Of each kind 26 to 49 are left; 25 has ended.
	if got, want := l.Len(), 2*24+1; got != want {
		t.Errorf("%d entries, want %d", got, want)
	}
	c.Set(at(60))
	endAll(t, l, "last", at(60), at(100))
	if got, want := l.Len(), 2; got != want {
		t.Errorf("%d entries, want %d: the sweep of the other call", got, want)
	}
}

// A sweep reads everything; a flood of logouts must not make each one do it.
func TestSweepIsRare(t *testing.T) {
	l, c := newList()
	l.Deny(id(1), at(0.1)) // sweeps
	c.Set(at(0.9))
	l.Deny(id(2), at(10))
	if got := l.Len(); got != 2 {
		t.Errorf("%d entries, want 2: swept within the minute", got)
	}
	if l.Denied(id(1), "user", "", at(-1)) {
		t.Error("an entry that has ended counts until the sweep")
	}
	c.Set(at(1))
	l.Deny(id(3), at(10))
	if got := l.Len(); got != 2 {
		t.Errorf("%d entries, want 2: not swept after a minute", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	l, c := newList()
	const users, rounds = 8, 200
	var all sync.WaitGroup
	for u := range users {
		all.Go(func() {
			for n := range rounds {
				session := id(u*rounds + n)
				l.Deny(session, at(1000))
				// From now on the session is denied for every caller.
				if !l.Denied(session, "nobody", "", at(0)) {
					t.Errorf("session %d is alive", n)
				}
			}
		})
		all.Go(func() {
			sub := string(rune('a' + u))
			for n := range rounds {
				endAll(t, l, sub, at(float64(n+1)), at(1000))
				if !l.Denied(id(-1), sub, "", at(float64(n))) {
					t.Errorf("sessions of %s are alive", sub)
				}
			}
		})
		all.Go(func() {
			for n := range rounds {
				c.Set(at(float64(n)))
				_ = l.Len()
			}
		})
	}
	all.Wait()
	if got, want := l.Len(), users*rounds+users; got != want {
		t.Errorf("%d entries, want %d", got, want)
	}
}

func TestProviderSession(t *testing.T) {
	l, c := newList()
	add(t, l, replicas.Revocation{Kind: replicas.KindProviderSession, Name: "sid-1", Before: at(5), Until: at(60)})
	c.Set(at(6))
	for name, s := range map[string]struct {
		sid   string
		begun float64
		want  bool
	}{"its own": {"sid-1", 4, true}, "begun later": {"sid-1", 5, false}, "another": {"sid-2", 4, false}, "none": {"", 4, false}} {
		if got := l.Denied(id(1), "user", s.sid, at(s.begun)); got != s.want {
			t.Errorf("%s: denied %v", name, got)
		}
	}
}

// A list that is filled with the entries of another one denies the same sessions.
func TestEntriesMakeTheSameList(t *testing.T) {
	l, c := newList()
	for _, e := range []replicas.Revocation{
		{Kind: replicas.KindSession, Name: "0102030405060708", Until: at(30)},
		{Kind: replicas.KindSession, Name: "0000000000000001", Until: at(5)}, // has ended by then
		{Kind: replicas.KindSubject, Name: "user", Before: at(1), Until: at(40)},
		{Kind: replicas.KindProviderSession, Name: "sid-1", Before: at(2), Until: at(50)},
	} {
		if !add(t, l, e) {
			t.Errorf("%v is not new", e)
		}
		if add(t, l, e) {
			t.Errorf("%v is new a second time", e)
		}
	}
	c.Set(at(10))
	other := memory.New(c.Now)
	for _, e := range l.Entries() {
		add(t, other, e)
	}
	if diff := cmp.Diff(l.Entries(), other.Entries()); diff != "" || other.Len() != 3 {
		t.Errorf("%d entries, %s", other.Len(), diff)
	}
}

func TestMalformedEntryIsRefused(t *testing.T) {
	l, _ := newList()
	if _, err := l.Add(replicas.Revocation{Kind: replicas.KindSession, Name: "x", Until: at(1)}); err == nil || l.Len() != 0 {
		t.Errorf("%v, %d entries", err, l.Len())
	}
}

func add(t *testing.T, l *memory.List, e replicas.Revocation) bool {
	t.Helper()
	added, err := l.Add(e)
	if err != nil {
		t.Error(err)
	}
	return added
}

// OnGrowth's function is called for additions that revoke something, and may use the list.
func TestOnGrowth(t *testing.T) {
	l, _ := newList()
	entries := 0
	l.OnGrowth(func() { entries += l.Len() })
	entry := replicas.Revocation{Kind: replicas.KindSubject, Name: "user", Before: at(1), Until: at(40)}
	for range 3 {
		l.Deny(id(1), at(10))
	}
	for range 3 {
		add(t, l, entry)
	}
	_, _ = l.Add(replicas.Revocation{Kind: "unknown"})
	if entries != 1+2 {
		t.Errorf("the calls saw %d entries in all, want 3", entries)
	}
}

// revoke ends the sessions of sub that have begun, as a replica does that gets the request.
func revoke(t *testing.T, l *memory.List, c *testkit.Clock, sub string) {
	t.Helper()
	now := c.Now()
	add(t, l, l.Cover(replicas.Revocation{Kind: replicas.KindSubject, Name: sub, Before: now, Until: now.Add(12 * time.Hour)}, false))
}

// TestClockThatIsSetBack: the clock was ahead when something happened, and is right
// afterwards. Sessions that had begun stay ended, and those that begin later live, now and
// when the clock has caught up.
func TestClockThatIsSetBack(t *testing.T) {
	for _, ahead := range []time.Duration{time.Millisecond, time.Second, 2 * time.Second, time.Minute, 2 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			l, c := newList()
			right := c.Now()
			c.Set(right.Add(ahead))
			first := l.Begin("user", "")
			c.Set(right)
			revoke(t, l, c, "user")
			second := l.Begin("user", "")
			c.Set(right.Add(ahead))
			revoke(t, l, c, "other")
			c.Set(right)
			third := l.Begin("other", "")
			for _, later := range []time.Duration{0, ahead, ahead + time.Second, 11 * time.Hour} {
				c.Set(right.Add(later))
				if !l.Denied(id(1), "user", "", first) {
					t.Errorf("after %s the session that began while the clock was ahead is alive", later)
				}
				if l.Denied(id(2), "user", "", second) || l.Denied(id(3), "other", "", third) {
					t.Errorf("after %s a session that began after the revocation is denied", later)
				}
			}
			revoke(t, l, c, "user")
			revoke(t, l, c, "other")
			if !l.Denied(id(2), "user", "", second) || !l.Denied(id(3), "other", "", third) {
				t.Error("the next revocation does not end the sessions that began after the first")
			}
		})
	}
}

// TestSessionFromTheFuture: a session that began by a clock which was an hour ahead, and
// which this process sees for the first time after the revocation, falls under it. It
// stays denied when its time has come.
func TestSessionFromTheFuture(t *testing.T) {
	l, c := newList()
	now := c.Now()
	revoke(t, l, c, "user")
	future := now.Add(time.Hour)
	if l.Denied(id(1), "nobody", "", future) {
		t.Error("a session from the future is denied, but nothing was revoked")
	}
	if !l.Denied(id(2), "user", "", future) {
		t.Error("a session from the future is alive")
	}
	for _, later := range []time.Duration{time.Hour, 2 * time.Hour, 12 * time.Hour} { // it ends after 13 hours
		c.Set(now.Add(later))
		if !l.Denied(id(2), "user", "", future) {
			t.Errorf("the session came back after %s", later)
		}
	}
}

// TestReplicaWithAnotherClock: sessions that another replica begins while its clock is some
// seconds ahead are ended by a revocation made here, and are not denied for an old one.
func TestReplicaWithAnotherClock(t *testing.T) {
	l, c := newList()
	now := c.Now()
	entry := replicas.Revocation{Kind: replicas.KindProviderSession, Name: "sid", Before: now, Until: now.Add(time.Hour)}
	add(t, l, l.Cover(entry, true))
	if !l.Denied(id(1), "user", "sid", now.Add(2*time.Second)) {
		t.Error("a session that had begun 2 s ahead is alive")
	}
	c.Set(now.Add(time.Minute))
	if l.Denied(id(2), "user", "sid", c.Now().Add(2*time.Second)) {
		t.Error("a session that begins 2 s ahead, long after the revocation, is denied")
	}
	entry.Name = ""
	if got := l.Cover(entry, true); got != entry {
		t.Errorf("a malformed revocation became %v", got)
	}
}
