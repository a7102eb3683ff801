package refresh_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
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
			v.Commit(headerWriter(h))
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

// TestLookingDoesNotProlong: polling the session endpoint is no activity, so that an
// absent user is logged out.
func TestLookingDoesNotProlong(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	begun := f.now
	for f.now.Sub(begun) < time.Hour-time.Minute {
		f.now = f.now.Add(time.Minute)
		v := f.mustOpen(t, j)
		h := make(http.Header)
		v.Commit(headerWriter(h))
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
		v.Commit(headerWriter(h))
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
	strict := newFixture(t, func(c *settings) { c.AbsoluteLifetime = 10 * time.Minute })
	strict.now = f.now.Add(10 * time.Minute)
	if _, err := strict.Open(j.header()); !errors.Is(err, session.ErrExpired) {
		t.Errorf("%v", err)
	}
}

// TestActivityCookieCannotBeBorrowed: a session does not live longer without its
// activity cookie, with that of another session, or with one that was written by a
// clock that runs ahead.
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

// TestEndedSessionIsDeadAtOnce: after logout a copy of the cookie does not work (ASVS
// V7.4.1), and no response writes the cookie again. No response removes it either,
// because the browser may hold the cookie of another session by then.
func TestEndedSessionIsDeadAtOnce(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	underWay := f.mustOpen(t, j)
	f.now = f.now.Add(2 * time.Minute)
	underWay.Touch()

	f.mustOpen(t, j).End()
	if _, err := f.Open(j.header()); !errors.Is(err, refresh.ErrRevoked) {
		t.Errorf("after logout: %v", err)
	}
	h := make(http.Header)
	underWay.Commit(headerWriter(h))
	if len(h) != 0 {
		t.Errorf("a request under way wrote %v", h)
	}
}

func TestDeniedSubjectEndsOnlySessionsBegunBefore(t *testing.T) {
	f := newFixture(t)
	before := f.login(t, tokens(1, f.now))
	f.now = f.now.Add(time.Minute)
	f.endAll(t, tokens(1, f.now).Subject)
	after := f.login(t, tokens(1, f.now))
	stranger := f.login(t, tokens(2, f.now))
	if _, err := f.Open(before.header()); !errors.Is(err, refresh.ErrRevoked) {
		t.Errorf("begun before: %v", err)
	}
	f.mustOpen(t, after)
	f.mustOpen(t, stranger)
}

// TestSessionEndsWithItsRefreshToken: if the provider says when the refresh token
// ends, the session ends in the same second, and the provider is not asked any more.
func TestSessionEndsWithItsRefreshToken(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*secret.Tokens, time.Time)
		ends   time.Duration
	}{
		"told":                  {func(t *secret.Tokens, now time.Time) { t.RefreshExpires = now.Add(30 * time.Minute) }, 30 * time.Minute},
		"told, later than ours": {func(t *secret.Tokens, now time.Time) { t.RefreshExpires = now.Add(24 * time.Hour) }, time.Hour},
		"no refresh token": {func(t *secret.Tokens, now time.Time) {
			t.Refresh, t.AccessExpires = secret.String{}, now.Add(20*time.Minute)
		}, 20 * time.Minute},
		"not told": {func(*secret.Tokens, time.Time) {}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(c *settings) { c.AbsoluteLifetime = time.Hour })
			f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
				t.Error("the provider was asked")
				return secret.Tokens{}, errors.New("no")
			}
			given := tokens(1, f.now)
			given.AccessExpires = f.now.Add(2 * time.Hour)
			c.change(&given, f.now)
			j := f.login(t, given)
			end := f.now.Add(c.ends)
			if v := f.mustOpen(t, j); !v.Session.Ends().Equal(end) || v.IdleExpires().After(end) {
				t.Errorf("it says that it ends at %v, idle at %v, want %v", v.Session.Ends(), v.IdleExpires(), end)
			}
			f.now = end.Add(-time.Second)
			if err := f.mustOpen(t, j).Refresh(t.Context(), refresh.IfDue); err != nil {
				t.Errorf("one second before its end: %v", err)
			}
			f.now = end
			if _, err := f.Open(j.header()); !errors.Is(err, session.ErrExpired) && !errors.Is(err, session.ErrIdle) {
				t.Errorf("at its end: %v", err)
			}
		})
	}
}

// TestRefreshMovesTheEndOfTheRefreshToken: if each refresh prolongs the refresh token,
// the session goes on, up to its absolute end.
func TestRefreshMovesTheEndOfTheRefreshToken(t *testing.T) {
	f := newFixture(t)
	given := tokens(1, f.now)
	given.RefreshExpires = f.now.Add(30 * time.Minute)
	f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
		return secret.Tokens{Access: secret.New("next"), AccessExpires: f.now.Add(time.Hour), RefreshExpires: f.now.Add(40 * time.Minute)}, nil
	}
	v := f.mustOpen(t, f.login(t, given))
	f.now = f.now.Add(20 * time.Minute)
	if err := v.Refresh(t.Context(), refresh.OnDemand); err != nil || !v.Session.Ends().Equal(f.now.Add(40*time.Minute)) {
		t.Errorf("ends at %v, %v", v.Session.Ends(), err)
	}
}

// TestLogoutEverywhereAndLoginWithinASecond: the session of the new login is not
// ended.
func TestLogoutEverywhereAndLoginWithinASecond(t *testing.T) {
	f := newFixture(t)
	before := f.login(t, tokens(1, f.now))
	f.now = f.now.Add(100 * time.Millisecond)
	f.endAll(t, tokens(1, f.now).Subject)
	f.now = f.now.Add(100 * time.Millisecond)
	after := f.login(t, tokens(1, f.now))
	if _, err := f.Open(before.header()); !errors.Is(err, refresh.ErrRevoked) {
		t.Errorf("begun before: %v", err)
	}
	f.mustOpen(t, after)
}

// TestOutdatedDenyListOpensNothing: if DenyListCurrent is set, no session opens while
// it returns false. The cookies are kept.
func TestOutdatedDenyListOpensNothing(t *testing.T) {
	certain := true
	f := newFixture(t, func(c *settings) { c.refresh.DenyListCurrent = func() bool { return certain } })
	j := f.login(t, tokens(1, f.now))
	f.mustOpen(t, j)
	certain = false
	if _, err := f.Open(j.header()); !errors.Is(err, refresh.ErrDenyListOutdated) {
		t.Errorf("%v", err)
	}
	certain = true
	f.mustOpen(t, j)
}
