package memory_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/memory"
)

// ofUser is an operator's revocation of the sessions of sub that began before a time.
func ofUser(sub string, before, until time.Time) replicas.Revocation {
	return replicas.Revocation{Kind: replicas.KindSubject, Name: sub, Before: before, Until: until, Operator: true}
}

// ofSession is an operator's revocation of one session.
func ofSession(n int, until time.Time) replicas.Revocation {
	return replicas.Revocation{Kind: replicas.KindSession, Name: id(n).String(), Until: until, Operator: true}
}

// lift takes operators' revocations back, here only.
func lift(t *testing.T, l *memory.List, kind replicas.Kind, name string) (found bool) {
	t.Helper()
	found, err := l.Lift(t.Context(), kind, name, func(_ context.Context, e replicas.Revocation) error {
		_, err := l.Add(e)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

// TestOperatorsRevocationEndsAsItSays: it denies the sessions that had begun, up to its end.
func TestOperatorsRevocationEndsAsItSays(t *testing.T) {
	for name, c := range map[string]struct {
		now, begun float64
		sub        string
		want       bool
	}{
		"begun before":         {6, 4.999, "user", true},
		"begun at that moment": {6, 5, "user", false},
		"begun later":          {6, 5.5, "user", false},
		"another user":         {6, 4, "other", false},
		"before its end":       {59.999, 4, "user", true},
		"at its end":           {60, 4, "user", false},
	} {
		l, clock := newList()
		add(t, l, ofUser("user", at(5), at(60)))
		clock.Set(at(c.now))
		if got := l.Denied(id(1), c.sub, "", at(c.begun)); got != c.want {
			t.Errorf("%s: denied %v", name, got)
		}
	}
	for now, want := range map[float64]bool{0: true, 9.999: true, 10: false} {
		l, clock := newList()
		add(t, l, ofSession(1, at(10)))
		clock.Set(at(now))
		if l.Denied(id(1), "", "", at(0)) != want || l.Denied(id(2), "", "", at(0)) {
			t.Errorf("a session by its name, after %v minutes: denied %v", now, !want)
		}
	}
}

// TestOnEnd: it is told once of each session that an operator ended, and of no other.
func TestOnEnd(t *testing.T) {
	l, c := newList()
	var ended []replicas.Revocation
	l.OnEnd(func(e replicas.Revocation) { ended = append(ended, e) })
	add(t, l, ofUser("user", at(5), at(60)))
	add(t, l, ofSession(2, at(30)))
	endAll(t, l, "logged out", at(5), at(60))
	l.Deny(id(3), at(60))
	c.Set(at(6))
	for range 2 {
		for n, sub := range map[int]string{1: "user", 2: "other", 3: "third", 4: "logged out"} {
			if !l.Denied(id(n), sub, "", at(4)) {
				t.Errorf("session %d is alive", n)
			}
		}
		if !l.Denied(id(5), "logged out", "", at(60)) { // from the future: it gets an entry, but not from an operator
			t.Error("a session from the future is alive")
		}
	}
	if len(ended) == 2 && ended[0].Name == id(2).String() {
		ended[0], ended[1] = ended[1], ended[0]
	}
	want := []replicas.Revocation{
		{Kind: replicas.KindSession, Name: id(1).String(), Until: at(60)},
		{Kind: replicas.KindSession, Name: id(2).String(), Until: at(30).Add(time.Millisecond)}, // distinct from the operator's
	}
	if diff := cmp.Diff(want, ended); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOperatorsRevocationsOfOneUser: each counts by itself, for as long as it lasts, and what
// has ended is forgotten.
func TestOperatorsRevocationsOfOneUser(t *testing.T) {
	l, c := newList()
	for _, e := range []replicas.Revocation{ofUser("user", at(1), at(20)), ofUser("user", at(5), at(20)), ofUser("user", at(6), at(10)), ofUser("gone", at(5), at(10)), ofSession(1, at(10))} {
		if !add(t, l, e) || add(t, l, e) {
			t.Errorf("%v is not new once", e)
		}
	}
	if n := l.Len(); n != 5 {
		t.Errorf("%d entries", n)
	}
	c.Set(at(9))
	if !l.Denied(id(2), "user", "", at(5.5)) {
		t.Error("the revocation with the earlier end does not count")
	}
	c.Set(at(15))
	l.Deny(id(9), at(60)) // sweeps
	if l.Denied(id(3), "user", "", at(5.5)) || !l.Denied(id(4), "user", "", at(4)) {
		t.Error("the later revocation counts on when it has ended, or the others do not")
	}
	if n := l.LenOperators(); n != 2 { // that of the user, and what it amounts to
		t.Errorf("%d operators' entries are remembered", n)
	}
}

// TestRevocationInItsEarlierForm: replicas of earlier releases get an operator's revocation
// as if it were a logout. When it comes back from one, it is the operator's still.
func TestRevocationInItsEarlierForm(t *testing.T) {
	l, _ := newList()
	e := ofUser("user", at(5), at(60))
	add(t, l, e)
	plain, other := e, e
	plain.Operator, other.Operator = false, false
	other.Before = at(4)
	if add(t, l, plain) {
		t.Error("it counts twice")
	}
	if !lift(t, l, e.Kind, e.Name) || l.Denied(id(1), "user", "", at(4.5)) {
		t.Error("it was not taken back")
	}
	if !add(t, l, other) || !l.Denied(id(2), "user", "", at(3)) { // with other times it is a logout
		t.Error("a logout is taken for what an operator did")
	}
}

// TestLiftTakesBackWhatIsNamed, tells whoever has to know, and says when that failed.
func TestLiftTakesBackWhatIsNamed(t *testing.T) {
	l, _ := newList()
	name := id(1).String() // of a session, and of a user
	all := []replicas.Revocation{ofSession(1, at(60)), ofSession(2, at(60)), ofUser(name, at(5), at(60)), ofUser("user", at(5), at(60))}
	for _, e := range all {
		add(t, l, e)
	}
	failed := errors.New("the store is out")
	if found, err := l.Lift(t.Context(), replicas.KindSession, name, func(context.Context, replicas.Revocation) error { return failed }); found || !errors.Is(err, failed) {
		t.Errorf("found %v, %v", found, err)
	}
	var told []replicas.Revocation
	found, err := l.Lift(t.Context(), replicas.KindSession, name, func(_ context.Context, e replicas.Revocation) error {
		told = append(told, e)
		_, err := l.Add(e)
		return err
	})
	lifted := all[0]
	lifted.Lifted = true
	if diff := cmp.Diff([]replicas.Revocation{lifted}, told); diff != "" || !found || err != nil {
		t.Errorf("%v, %v (-want +got):\n%s", found, err, diff)
	}
	if l.Denied(id(1), "", "", at(0)) || !l.Denied(id(2), "", "", at(0)) || !l.Denied(id(3), name, "", at(4)) || !l.Denied(id(4), "user", "", at(4)) {
		t.Error("other revocations were taken back, or this one was not")
	}
	if lift(t, l, replicas.KindSession, name) || lift(t, l, replicas.KindSubject, "nobody") {
		t.Error("there is something to take back")
	}
	add(t, l, all[0]) // another replica brings it once more
	if l.Denied(id(1), "", "", at(0)) {
		t.Error("it came back")
	}
}

// TestEntriesAreSorted by kind, name and end.
func TestEntriesAreSorted(t *testing.T) {
	l, _ := newList()
	var want []string
	for _, name := range []string{"c", "a", "b", "d", "e"} {
		add(t, l, ofUser(name, at(1), at(30)))
		add(t, l, ofUser(name, at(1), at(20)))
		endAll(t, l, name, at(1), at(10))
	}
	for n := range 5 {
		l.Deny(id(5-n), at(10))
		add(t, l, ofSession(5-n, at(5)))
		want = append(want, "session "+id(n+1).String()+" 5m0s", "session "+id(n+1).String()+" 10m0s")
	}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		want = append(want, "sub "+name+" 10m0s", "sub "+name+" 20m0s", "sub "+name+" 30m0s")
	}
	var got []string
	for _, e := range l.Entries() {
		got = append(got, string(e.Kind)+" "+e.Name+" "+e.Until.Sub(at(0)).String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
