package refresh_test

import (
	"errors"
	"testing"
	"time"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// TestReplacedSessionGivesUpItsToken: the newest refresh token of a session that a login
// replaces comes from the memory of the process, or from the store if another replica
// has refreshed the session. If nobody has, it is not known, and no lease stays behind.
func TestReplacedSessionGivesUpItsToken(t *testing.T) {
	for name, c := range map[string]struct {
		refreshed, asked int // the replica that refreshes, and the one that is asked
		store            *replicastest.Fake
		found            bool
	}{
		"in memory":                 {0, 0, nil, true},
		"in memory, with a store":   {0, 0, replicastest.NewFake(), true},
		"in the store":              {0, 1, replicastest.NewFake(), true},
		"of another, without store": {0, 1, nil, false},
		"never refreshed":           {-1, 1, replicastest.NewFake(), false},
	} {
		t.Run(name, func(t *testing.T) {
			p := &provider{rotate: true}
			withReplicas(t, 2, c.store, p, func(t *testing.T, all []*fixture, j jar) {
				v := all[0].mustOpen(t, j)
				if c.refreshed >= 0 {
					if err := all[c.refreshed].mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand); err != nil {
						t.Fatal(err)
					}
				}
				asked := all[c.asked]
				id, until := v.Session.ID, v.Session.Expires
				if !asked.Replace(id, until) || asked.Replace(id, until) {
					t.Error("a session is not replaced exactly once")
				}
				token, found := asked.TakeToken(t.Context(), id)
				if found != c.found || found && token.Reveal() != p.good {
					t.Errorf("found %v, the newest: %v", found, token.Reveal() == p.good)
				}
				if _, again := asked.TakeToken(t.Context(), id); again && c.store == nil {
					t.Error("the token stays in memory")
				}
				if c.store != nil {
					claim, done, err := c.store.TryClaim(id.Name(), 9, time.Second)
					if err != nil || !done || claim.Lease == "" {
						t.Errorf("a lease stays behind: %v %v", claim, err)
					}
				}
			})
		})
	}
}

// TestReplacedSessionKeepsCookiesOfTheNext: a request that was on its way when a login
// replaced its session learns so, for a minute. One of a session that was ended otherwise
// does not: its browser has no other cookies.
func TestReplacedSessionKeepsCookiesOfTheNext(t *testing.T) {
	f := newFixture(t)
	replaced, loggedOut, revoked := f.login(t, tokens(1, f.now)), f.login(t, tokens(2, f.now)), f.login(t, tokens(3, f.now))
	s := f.mustOpen(t, replaced).Session
	f.mustOpen(t, loggedOut).End()
	f.now = f.now.Add(time.Second)
	f.Replace(s.ID, s.Expires)
	f.endAll(t, f.mustOpen(t, revoked).Session.Subject)
	f.now = f.now.Add(-time.Second)
	for after, want := range map[time.Duration]bool{0: true, 59 * time.Second: true, 61 * time.Second: false, time.Hour / 2: false} {
		at := f.now
		f.now = f.now.Add(after)
		for name, c := range map[string]struct {
			jar  jar
			left bool
		}{"replaced": {replaced, want}, "logged out": {loggedOut, false}, "revoked": {revoked, false}} {
			if _, err := f.Open(c.jar.header()); !errors.Is(err, refresh.ErrRevoked) || errors.Is(err, refresh.ErrReplaced) != c.left {
				t.Errorf("%s, after %s: %v", name, after, err)
			}
		}
		f.now = at
	}
	if f.Replace(s.ID, s.Expires) {
		t.Error("a session that has ended is replaced again")
	}
}
