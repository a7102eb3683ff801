package refresh_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
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

// TestActivityOfAShortIdleTimeout: the cookie is written so often that a user who is active
// every minute does not become idle.
func TestActivityOfAShortIdleTimeout(t *testing.T) {
	f := newFixture(t, func(c *settings) { c.IdleTimeout = time.Minute })
	j := f.login(t, tokens(1, f.now))
	for _, step := range []time.Duration{14 * time.Second, time.Second, 58 * time.Second} {
		f.now = f.now.Add(step)
		v := f.mustOpen(t, j)
		v.Touch()
		h := make(http.Header)
		v.Commit(headerWriter(h))
		j.take(t, h)
		if wrote := len(h["Set-Cookie"]) > 0; wrote != (step != 14*time.Second) {
			t.Errorf("after %v more: written %v", step, wrote)
		}
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
// ends, the session ends in the same second. The provider is asked before that if a refresh
// may prolong the life of the refresh token.
func TestSessionEndsWithItsRefreshToken(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*secret.Tokens, time.Time)
		ends   time.Duration
		asks   int32
	}{
		"told":                  {func(t *secret.Tokens, now time.Time) { t.RefreshExpires = now.Add(30 * time.Minute) }, 30 * time.Minute, 1},
		"told, later than ours": {func(t *secret.Tokens, now time.Time) { t.RefreshExpires = now.Add(24 * time.Hour) }, time.Hour, 0},
		"no refresh token": {func(t *secret.Tokens, now time.Time) {
			t.Refresh, t.AccessExpires = secret.String{}, now.Add(20*time.Minute)
		}, 20 * time.Minute, 0},
		"not told": {func(*secret.Tokens, time.Time) {}, time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(c *settings) { c.AbsoluteLifetime = time.Hour })
			var asked atomic.Int32
			f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
				asked.Add(1)
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
			f.Close()
			if asked.Load() != c.asks {
				t.Errorf("the provider was asked %d times, want %d", asked.Load(), c.asks)
			}
		})
	}
}

// TestRefreshTokenThatEndsFirst: the access token lives for a minute, the refresh token for
// twelve seconds. If each refresh gives the latter a new life, the session goes on, whatever
// the time between two requests, up to half of that life. If its end is fixed, the session
// ends then, after few refreshes.
func TestRefreshTokenThatEndsFirst(t *testing.T) {
	const life = 12 * time.Second
	for _, every := range []time.Duration{time.Second, 3 * time.Second, 6 * time.Second} {
		for _, prolongs := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, func(c *settings) { c.Now = time.Now })
				given, calls := tokens(1, time.Now()), 0
				given.AccessExpires, given.RefreshExpires = time.Now().Add(time.Minute), time.Now().Add(life)
				f.refresh = func(_ context.Context, previous secret.Tokens) (secret.Tokens, error) {
					calls++
					renewed := secret.Tokens{Access: secret.New("next"), AccessExpires: time.Now().Add(time.Minute), RefreshExpires: previous.RefreshExpires}
					if prolongs {
						renewed.RefreshExpires = time.Now().Add(life)
					}
					return renewed, nil
				}
				j := f.login(t, given)
				for range 5 * time.Minute / every {
					time.Sleep(every)
					_, h, err := f.request(t, j)
					if err != nil {
						if prolongs || !errors.Is(err, session.ErrExpired) || time.Now().Before(given.RefreshExpires) || calls > 5 {
							t.Errorf("a request each %v, prolongs %v: %v after %d refreshes", every, prolongs, err, calls)
						}
						return
					}
					synctest.Wait() // for the refresh, if one was due
					j.take(t, h)
				}
				if !prolongs || calls < 20 {
					t.Errorf("a request each %v, prolongs %v: alive after %d refreshes", every, prolongs, calls)
				}
			})
		}
	}
}

// TestTokensThatEndTogether: the provider gives both tokens the same life. The session is
// refreshed before that end.
func TestTokensThatEndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *settings) { c.Now = time.Now })
		given := tokens(1, time.Now())
		given.AccessExpires = time.Now().Add(5 * time.Minute)
		given.RefreshExpires = given.AccessExpires
		f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
			ends := time.Now().Add(5 * time.Minute)
			return secret.Tokens{Access: secret.New("next"), AccessExpires: ends, RefreshExpires: ends}, nil
		}
		j := f.login(t, given)
		for range 20 {
			time.Sleep(30 * time.Second)
			_, h, err := f.request(t, j)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			j.take(t, h)
		}
	})
}

// TestRefreshTokenThatOutlivesItsAccessToken changes nothing: the access token alone decides
// when it is refreshed.
func TestRefreshTokenThatOutlivesItsAccessToken(t *testing.T) {
	f := newFixture(t)
	given := tokens(1, f.now)
	given.RefreshExpires = f.now.Add(90 * time.Minute) // half its life is over after 45
	calls := 0
	f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
		calls++
		return secret.Tokens{Access: secret.New("next"), AccessExpires: f.now.Add(time.Hour)}, nil
	}
	j := f.login(t, given)
	f.now = f.now.Add(50 * time.Minute)
	v := f.mustOpen(t, j)
	if err := v.Refresh(t.Context(), refresh.IfDue); err != nil || calls != 0 {
		t.Errorf("refreshed %d times, ten minutes before its end: %v", calls, err)
	}
}

// TestCommitWritesOnce: a generation that an answer has written is not written again.
func TestCommitWritesOnce(t *testing.T) {
	f := newFixture(t)
	f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
		return secret.Tokens{Access: secret.New("next"), AccessExpires: f.now.Add(time.Hour)}, nil
	}
	v := f.mustOpen(t, f.login(t, tokens(1, f.now)))
	v.Touch()
	if err := v.Refresh(t.Context(), refresh.OnDemand); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		h := make(http.Header)
		if v.Commit(headerWriter(h)); (len(h) > 0) != want {
			t.Errorf("answer %d: %v", i+1, h)
		}
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
