package session_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/session"
)

func TestIdleTimeoutIsExact(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	f.now = f.now.Add(time.Hour - time.Second)
	f.mustOpen(t, j)
	f.now = f.now.Add(time.Second)
	if _, err := f.Open(j.header()); !errors.Is(err, session.ErrIdle) {
		t.Errorf("after the idle timeout: %v", err)
	}
}

func TestActivityProlongsAndIsWrittenOnceAMinute(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	tokenCookie, writes := j[sessionCookie], 0
	for range 180 { // three hours of a request a minute, and one in between
		for _, step := range []time.Duration{30 * time.Second, 30 * time.Second} {
			f.now = f.now.Add(step)
			v := f.mustOpen(t, j)
			v.Touch()
			h := make(http.Header)
			v.Commit(h)
			writes += len(h["Set-Cookie"])
			j.take(t, h)
		}
	}
	if writes != 180 {
		t.Errorf("%d cookies written in 180 minutes", writes)
	}
	if j[sessionCookie] != tokenCookie {
		t.Error("activity rewrote the tokens")
	}
}

// TestLookingDoesNotProlong: polling the session endpoint keeps nobody alive.
func TestLookingDoesNotProlong(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	begun := f.now
	for f.now.Sub(begun) < time.Hour-time.Minute {
		f.now = f.now.Add(time.Minute)
		v := f.mustOpen(t, j)
		h := make(http.Header)
		v.Commit(h)
		if len(h) != 0 {
			t.Fatalf("looking wrote %v", h)
		}
		if want := begun.Add(time.Hour); !v.IdleExpires().Equal(want) {
			t.Fatalf("idle expiry moved to %v", v.IdleExpires())
		}
	}
	f.now = begun.Add(time.Hour)
	if _, err := f.Open(j.header()); !errors.Is(err, session.ErrIdle) {
		t.Errorf("%v", err)
	}
}

func TestAbsoluteLifetimeIsExactWhateverTheActivity(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	end := f.now.Add(12 * time.Hour)
	for f.now = f.now.Add(30 * time.Minute); f.now.Before(end); f.now = f.now.Add(30 * time.Minute) {
		v := f.mustOpen(t, j)
		v.Touch()
		h := make(http.Header)
		v.Commit(h)
		j.take(t, h)
		if v.IdleExpires().After(end) {
			t.Fatalf("idle expiry %v after the absolute end", v.IdleExpires())
		}
	}
	f.now = end.Add(-time.Second)
	f.mustOpen(t, j)
	f.now = end
	if _, err := f.Open(j.header()); !errors.Is(err, session.ErrExpired) {
		t.Errorf("at the absolute end: %v", err)
	}
}

func TestShortenedLifetimeMeansExistingSessions(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	strict := newFixture(t, func(c *session.Config) { c.AbsoluteLifetime = 10 * time.Minute })
	strict.now = f.now.Add(10 * time.Minute)
	if _, err := strict.Open(j.header()); !errors.Is(err, session.ErrExpired) {
		t.Errorf("%v", err)
	}
}

// TestActivityCookieCannotBeBorrowed: without it, with another session's, or
// with one of a clock that runs ahead, nothing is prolonged.
func TestActivityCookieCannotBeBorrowed(t *testing.T) {
	f := newFixture(t)
	mine := f.login(t, tokens(1, f.now))
	f.now = f.now.Add(50 * time.Minute)
	other := f.login(t, tokens(2, f.now))
	f.now = f.now.Add(20 * time.Minute)
	for name, active := range map[string]string{"none": "", "another session's": other[activeCookie], "garbage": "AAAA"} {
		j := jar{sessionCookie: mine[sessionCookie], activeCookie: active}
		if _, err := f.Open(j.header()); !errors.Is(err, session.ErrIdle) {
			t.Errorf("%s: %v", name, err)
		}
	}

	f.now = f.now.Add(24 * time.Hour)
	ahead := f.login(t, tokens(3, f.now))
	f.now = f.now.Add(-10 * time.Hour)
	v := f.mustOpen(t, ahead)
	if v.IdleExpires().After(f.now.Add(time.Hour)) {
		t.Errorf("activity from the future idles out only at %v", v.IdleExpires())
	}
}

// TestEndedSessionIsDeadAtOnce: a copy of the cookie does not outlive logout
// (ASVS V7.4.1), and nothing writes it again.
func TestEndedSessionIsDeadAtOnce(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	underWay := f.mustOpen(t, j)
	f.now = f.now.Add(2 * time.Minute)
	underWay.Touch()

	f.mustOpen(t, j).End()
	if _, err := f.Open(j.header()); !errors.Is(err, session.ErrRevoked) {
		t.Errorf("after logout: %v", err)
	}
	h := make(http.Header)
	underWay.Commit(h)
	if j.take(t, h); len(j) != 0 {
		t.Errorf("a request under way left the cookies %v", keys(j))
	}
}

func TestDeniedSubjectEndsOnlySessionsBegunBefore(t *testing.T) {
	f := newFixture(t)
	before := f.login(t, tokens(1, f.now))
	f.now = f.now.Add(time.Minute)
	f.endAll(t, tokens(1, f.now).Subject)
	after := f.login(t, tokens(1, f.now))
	stranger := f.login(t, tokens(2, f.now))
	if _, err := f.Open(before.header()); !errors.Is(err, session.ErrRevoked) {
		t.Errorf("begun before: %v", err)
	}
	f.mustOpen(t, after)
	f.mustOpen(t, stranger)
}
