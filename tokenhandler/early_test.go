package tokenhandler_test

import (
	"strings"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/secret"
)

// TestSessionsThatEndEarly checks that /auth/session tells the true end of a session that
// its tokens end before the configured lifetime, and that the log says it once.
func TestSessionsThatEndEarly(t *testing.T) {
	const noRefresh, short = "sessions end with their access token", "sessions end before session.idle_timeout"
	for name, c := range map[string]struct {
		change func(*secret.Tokens, time.Time)
		ends   time.Duration
		warned string
	}{
		"as configured": {func(*secret.Tokens, time.Time) {}, 12 * time.Hour, ""},
		"no refresh token": {func(t *secret.Tokens, now time.Time) {
			t.Refresh, t.AccessExpires = secret.String{}, now.Add(10*time.Second)
		}, 10 * time.Second, noRefresh},
		"refresh token ends first":   {func(t *secret.Tokens, now time.Time) { t.RefreshExpires = now.Add(30 * time.Minute) }, 30 * time.Minute, short},
		"not before an idle session": {func(t *secret.Tokens, now time.Time) { t.RefreshExpires = now.Add(2 * time.Hour) }, 2 * time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{})
			a.provider.exchanged = func(tokens secret.Tokens) secret.Tokens {
				c.change(&tokens, a.clock.Now())
				return tokens
			}
			for range 3 {
				body := a.session(a.login())
				if want := a.clock.Now().Add(c.ends); !body.ExpiresAt.Equal(want) || body.IdleExpiresAt.After(want) {
					t.Errorf("expires_at %v, idle_expires_at %v, want %v", body.ExpiresAt, body.IdleExpiresAt, want)
				}
			}
			for _, warning := range []string{noRefresh, short} {
				want := 0
				if warning == c.warned {
					want = 1
				}
				if got := strings.Count(a.log.String(), warning); got != want {
					t.Errorf("%q is logged %d times, want %d", warning, got, want)
				}
			}
		})
	}
}
