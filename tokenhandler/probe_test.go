package tokenhandler_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// alive is a userInfo endpoint for probes.
type alive struct {
	asked atomic.Int32
	err   atomic.Pointer[error]
}

func (a *alive) ask(context.Context, secret.String, string) error {
	a.asked.Add(1)
	if err := a.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (a *alive) fail(err error) { a.err.Store(&err) }

// errRefused is userInfo's refusal of an access token.
var errRefused = &provider.Error{Op: "probing", Kind: provider.ErrRejected, Reason: "the provider refused the access token"}

func probed(a *alive, every time.Duration) settings {
	return settings{
		pool:    cognitotest.Options{AccessTTL: time.Hour},
		handler: func(c *tokenhandler.Config) { c.Alive, c.ProbeInterval = a.ask, every },
	}
}

// TestProbeOncePerInterval checks that the provider is asked once per interval,
// whatever the number of requests, and that the activity cookie tells other replicas.
func TestProbeOncePerInterval(t *testing.T) {
	user := &alive{}
	a := newApp(t, probed(user, 5*time.Minute))
	ua := a.login()
	want := int32(0)
	for minute := range 12 {
		if minute == 5 || minute == 10 {
			want++
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := a.Authorize(a.request(ua), 0); err != nil {
					t.Errorf("minute %d: %v", minute, err)
				}
			})
		}
		wg.Wait()
		if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK { // so that the browser gets the cookie
			t.Errorf("minute %d: %d", minute, res.Status)
		}
		if got := user.asked.Load(); got != want {
			t.Fatalf("minute %d: asked %d times, want %d", minute, got, want)
		}
		a.clock.Advance(time.Minute)
	}

	// Another replica knows the last probe only from the browser.
	a.clock.Advance(-time.Minute)
	other := &alive{}
	replica := tokenhandler.New(a.config(func(c *tokenhandler.Config) { c.Alive, c.ProbeInterval = other.ask, 5*time.Minute }))
	if _, err := replica.Authorize(a.request(ua), 0); err != nil || other.asked.Load() != 0 {
		t.Errorf("the other replica asked %d times, %v", other.asked.Load(), err)
	}
}

func TestProbeEndsWhoIsNoLongerGood(t *testing.T) {
	user := &alive{}
	a := newApp(t, probed(user, 5*time.Minute))
	ua := a.login()
	a.pool.DisableUser("demo")
	user.fail(errRefused)
	a.clock.Advance(4 * time.Minute)
	if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
		t.Errorf("before the interval is over: %d", res.Status)
	}
	a.clock.Advance(time.Minute)
	res := ua.Fetch(http.MethodGet, "/api/me", "")
	testkit.WantProblem(t, res.Answer(), http.StatusUnauthorized, "session_expired")
	a.wantSession(ua, false)
	if left := ours(ua); len(left) != 1 || left[0].Name != beganCookie {
		t.Errorf("cookies left: %v", left)
	}
	if got := a.metric("tokenhandler_probes_total", "ended"); got != 1 {
		t.Errorf("counted %v", got)
	}
}

// TestRefusedProbeOfAGoodUser checks that nobody is logged out if the provider
// refuses the access token but not the refresh token. Its clock may be ahead.
func TestRefusedProbeOfAGoodUser(t *testing.T) {
	for name, err := range map[string]error{"refused": errRefused, "not reached": errors.New("no network")} {
		t.Run(name, func(t *testing.T) {
			user := &alive{}
			user.fail(err)
			a := newApp(t, probed(user, time.Minute))
			ua := a.login()
			for range 5 {
				a.clock.Advance(time.Minute)
				if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
					t.Fatalf("answered %d %s", res.Status, res.Body)
				}
			}
			if asked, counted := user.asked.Load(), a.metric("tokenhandler_probes_total", "unknown"); asked != 5 || counted != 5 {
				t.Errorf("asked %d times, counted %v", asked, counted)
			}
			a.wantSession(ua, true)
		})
	}
}

// TestMemoryOfProbesIsBounded: probes that are older than the interval are forgotten.
func TestMemoryOfProbesIsBounded(t *testing.T) {
	a := newApp(t, probed(&alive{}, 5*time.Minute))
	probe := func(users ...*useragent.UA) {
		t.Helper()
		for _, ua := range users {
			if _, err := a.Authorize(a.request(ua), 0); err != nil {
				t.Error(err)
			}
		}
	}
	first, second, third := a.login(), a.login(), a.login()
	a.clock.Advance(5 * time.Minute)
	probe(first)
	a.clock.Advance(3 * time.Minute)
	probe(second)
	a.clock.Advance(3 * time.Minute)
	if probe(third); tokenhandler.Probes(a.Handler) != 2 {
		t.Errorf("%d probes are remembered, want the last two", tokenhandler.Probes(a.Handler))
	}
}

// TestLookingIsNoProbe checks that an app that polls /auth/session causes no probes.
func TestLookingIsNoProbe(t *testing.T) {
	user := &alive{}
	a := newApp(t, probed(user, time.Minute))
	ua := a.login()
	for range 10 {
		a.clock.Advance(time.Minute)
		a.wantSession(ua, true)
	}
	if got := user.asked.Load(); got != 0 {
		t.Errorf("asked %d times", got)
	}
}

// TestProbeOfARoute checks that the shorter interval counts.
func TestProbeOfARoute(t *testing.T) {
	for _, c := range []struct {
		global, route time.Duration
		want          int32
	}{{0, 0, 0}, {0, time.Minute, 1}, {time.Hour, time.Minute, 1}, {time.Minute, time.Hour, 1}, {time.Minute, 0, 1}, {time.Hour, 0, 0}} {
		user := &alive{}
		a := newApp(t, probed(user, c.global))
		ua := a.login()
		a.clock.Advance(time.Minute)
		if _, err := a.Authorize(a.request(ua), c.route); err != nil || user.asked.Load() != c.want {
			t.Errorf("%s and %s: asked %d times, %v", c.global, c.route, user.asked.Load(), err)
		}
	}
}
