package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// withReplicas runs a test in synthetic time against n processes with one store
// (nil for none) and one provider. The browser logged in at the first of them.
func withReplicas(t *testing.T, n int, store *replicastest.Fake, p *provider, test func(t *testing.T, all []*fixture, j jar), change ...func(*settings)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		all := make([]*fixture, n)
		var background sync.WaitGroup
		for i := range all {
			all[i] = newFixture(t, append([]func(*settings){func(c *settings) {
				c.refresh.Refresher, c.Now, c.IdleTimeout = p, time.Now, 3*time.Hour
				if store != nil {
					c.refresh.Replicas = store
				}
			}}, change...)...)
			background.Go(func() { all[i].Run(ctx) })
		}
		first := tokens(1, time.Now())
		p.good, p.used, p.until = first.Refresh.Reveal(), map[string]bool{}, map[string]time.Time{}
		test(t, all, all[0].login(t, first))
		stop()
		background.Wait()
	})
}

// burst sends requests with the same cookies to all replicas in turn and
// returns the newest cookies that came back.
func burst(t *testing.T, all []*fixture, j jar, requests int, wantToken string) jar {
	t.Helper()
	var wg sync.WaitGroup
	answers := make([]http.Header, requests)
	for i := range answers {
		wg.Go(func() {
			token, h, err := all[i%len(all)].request(t, j)
			if err != nil || token != wantToken {
				t.Errorf("request %d: token %q, want %q, %v", i, token, wantToken, err)
			}
			answers[i] = h
		})
	}
	wg.Wait()
	newest, generation := j, uint64(0)
	for _, h := range answers {
		tab := jar{sessionCookie: j[sessionCookie], activeCookie: j[activeCookie]}
		tab.take(t, h)
		v := all[0].mustOpen(t, tab)
		if generation != 0 && v.Session.Generation != generation {
			t.Errorf("answers of the generations %d and %d", generation, v.Session.Generation)
		}
		newest, generation = tab, v.Session.Generation
	}
	return newest
}

// TestReplicasRefreshOnce: with strict rotation, no grace and reuse detection, the
// requests of one browser go to all replicas in turn.
func TestReplicasRefreshOnce(t *testing.T) {
	for _, n := range []int{2, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			p := &provider{rotate: true, latency: 100 * time.Millisecond}
			withReplicas(t, n, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
				for expiry := 1; expiry <= 3; expiry++ {
					time.Sleep(61 * time.Minute)
					keepActive(t, all[0], j)
					start := time.Now()
					j = burst(t, all, j, 20, fmt.Sprint("access ", expiry))
					if took := time.Since(start); took > 115*time.Millisecond {
						t.Errorf("the burst took %v with a provider of 100 ms", took)
					}
				}
				if p.count() != 3 {
					t.Errorf("%d calls for 3 expiries", p.count())
				}
			})
		})
	}
}

// TestOldCookieAtAnotherReplica: a replica that never saw the session gets the newest
// generation from the store, even long after the grace.
func TestOldCookieAtAnotherReplica(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 3, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		keepActive(t, all[0], j)
		fresh := burst(t, all[:1], j, 1, "access 1")
		for _, wait := range []time.Duration{35 * time.Second, 20 * time.Minute} {
			time.Sleep(wait)
			all[2].mustOpen(t, fresh) // a browser has sent the newer cookie
			for i, f := range all {
				token, _, err := f.request(t, j)
				if i > 0 && (err != nil || token != "access 1") {
					t.Errorf("replica %d: %q, %v", i, token, err)
				}
			}
		}
		if p.count() != 1 {
			t.Errorf("%d calls", p.count())
		}
		burst(t, all, fresh, 3, "access 1")
	})
}

// TestResultThatHasEnded: a browser that never got its new cookie comes back when the
// access token in the store has ended as well. It gets a further one.
func TestResultThatHasEnded(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 3, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		burst(t, all[:1], j, 1, "access 1")
		time.Sleep(61 * time.Minute)
		burst(t, all[1:], j, 4, "access 2")
		if p.count() != 2 {
			t.Errorf("%d calls for 2 expiries", p.count())
		}
	})
}

// TestDeadHolderOfTheLease: a replica was killed while it refreshed. The others go on
// when its lease has run out.
func TestDeadHolderOfTheLease(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 2, store, p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		name := all[0].mustOpen(t, j).Session.ID.Name()
		if claim, err := store.Claim(t.Context(), name, 1, 12*time.Second); err != nil || claim.Lease == "" {
			t.Fatalf("%+v, %v", claim, err)
		}
		start := time.Now()
		burst(t, all, j, 10, "access 1")
		if took := time.Since(start); took < 12*time.Second || took > 12*time.Second+115*time.Millisecond {
			t.Errorf("it took %v, with a lease of 12 s", took)
		}
	})
}

// TestStoreOutage: where a second use of a refresh token could be taken for theft,
// requests wait for the store; elsewhere they go on. No session ends.
func TestStoreOutage(t *testing.T) {
	for name, c := range map[string]struct {
		rotate bool
		grace  time.Duration
		goesOn bool
	}{
		"no rotation":              {false, 0, true},
		"rotation, no grace":       {true, 0, false},
		"rotation, a short grace":  {true, 9 * time.Second, false},
		"rotation, a grace of 10s": {true, 10 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			store := replicastest.NewFake()
			p := &provider{rotate: c.rotate, grace: c.grace, latency: 100 * time.Millisecond}
			withReplicas(t, 2, store, p, func(t *testing.T, all []*fixture, j jar) {
				time.Sleep(61 * time.Minute)
				keepActive(t, all[0], j)
				j = burst(t, all, j, 4, "access 1") // now the replicas know whether tokens rotate
				store.SetOutage(true, false)
				time.Sleep(59*time.Minute + 10*time.Second) // due, not ended
				keepActive(t, all[0], j)
				if token, _, err := all[1].request(t, j); err != nil || token != "access 1" {
					t.Fatalf("with a token that still works: %q, %v", token, err)
				}
				time.Sleep(2 * time.Minute)
				_, _, err := all[1].request(t, j)
				unavailable, waits := errors.AsType[*refresh.UnavailableError](err)
				if c.goesOn && err != nil || !c.goesOn && (!waits || unavailable.RetryAfter > time.Second) {
					t.Fatalf("with a token that ended: %v", err)
				}
				store.SetOutage(false, false)
				time.Sleep(2 * time.Second)
				for i, f := range all {
					if _, h, err := f.request(t, j); err != nil {
						t.Errorf("replica %d after the outage: %v", i, err)
					} else {
						j.take(t, h)
					}
				}
				if p.good == "" {
					t.Error("the provider saw a reuse and ended the session")
				}
			}, func(cfg *settings) { cfg.refresh.RotationGrace = c.grace })
		})
	}
}

// TestResultThatTheStoreDidNotTake: the store was full when the refresh ended. Until
// the store takes the result, the lease keeps other replicas from using the old
// refresh token.
func TestResultThatTheStoreDidNotTake(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 2, store, p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		go func() { time.Sleep(50 * time.Millisecond); store.SetOutage(false, true) }()
		if token, _, err := all[0].request(t, j); err != nil || token != "access 1" {
			t.Fatalf("%q, %v", token, err)
		}
		time.Sleep(3 * time.Second)
		store.SetOutage(false, false)
		if token, _, err := all[1].request(t, j); err != nil || token != "access 1" {
			t.Errorf("the other replica: %q, %v", token, err)
		}
		if p.count() != 1 {
			t.Errorf("%d calls", p.count())
		}
	})
}

// TestResultsOutliveTheirReplica: a replica stops while the store takes nothing, with
// a generation that no browser has sent. It waits until the store takes it, but not
// for ever, and not for a generation that a browser has.
func TestResultsOutliveTheirReplica(t *testing.T) {
	for name, c := range map[string]struct {
		outage time.Duration
		sent   bool
		handed bool
		least  time.Duration
	}{
		"the store comes back": {3 * time.Second, false, true, 2 * time.Second},
		"it stays out":         {time.Hour, false, false, 20 * time.Second},
		"the browser has it":   {time.Hour, true, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			store := replicastest.NewFake()
			p := &provider{rotate: true, latency: 100 * time.Millisecond}
			withReplicas(t, 1, store, p, func(t *testing.T, all []*fixture, j jar) {
				ending := newFixture(t, func(c *settings) {
					c.refresh.Refresher, c.Now, c.IdleTimeout, c.refresh.Replicas = p, time.Now, 3*time.Hour, store
				})
				time.Sleep(61 * time.Minute)
				go func() { time.Sleep(50 * time.Millisecond); store.SetOutage(false, true) }()
				token, h, err := ending.request(t, j)
				if err != nil || token != "access 1" {
					t.Fatalf("%q, %v", token, err)
				}
				if c.sent {
					j.take(t, h)
					ending.mustOpen(t, j)
				}
				ending.Close()
				heal := time.AfterFunc(c.outage, func() { store.SetOutage(false, false) })
				defer heal.Stop()
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				begun := time.Now()
				if err := ending.HandOver(ctx); (err == nil) != c.handed || time.Since(begun) < c.least {
					t.Fatalf("after %v: %v", time.Since(begun), err)
				}
				if c.handed {
					burst(t, all, j, 2, "access 1")
				}
				if p.count() != 1 {
					t.Errorf("%d calls", p.count())
				}
			})
		})
	}
}

// TestStoreLosesItsMemory: the replicas publish their generations again before the
// store gives any lease.
func TestStoreLosesItsMemory(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 3, store, p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		keepActive(t, all[0], j)
		if _, _, err := all[0].request(t, j); err != nil { // its response gets lost
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		store.Forget()
		if token, _, err := all[2].request(t, j); err != nil || token != "access 1" || p.count() != 1 {
			t.Errorf("token %q, %v, %d calls", token, err, p.count())
		}
	})
}

// TestRejectionIsShared: if the provider refuses a refresh token to one replica, all
// replicas know it, and the provider is asked once.
func TestRejectionIsShared(t *testing.T) {
	p := &provider{fail: rejectedError{}, latency: 100 * time.Millisecond}
	withReplicas(t, 3, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		var wg sync.WaitGroup
		for _, f := range all {
			wg.Go(func() {
				if _, _, err := f.request(t, j); !errors.Is(err, refresh.ErrRejected) {
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		if p.count() != 1 {
			t.Errorf("%d calls", p.count())
		}
	})
}

// TestReplicasWithoutAStore: the provider's own grace covers the races of replicas if
// it is long enough (Amazon Cognito Developer Guide, "Refresh tokens").
func TestReplicasWithoutAStore(t *testing.T) {
	p := &provider{rotate: true, grace: 10 * time.Second, latency: 100 * time.Millisecond}
	withReplicas(t, 5, nil, p, func(t *testing.T, all []*fixture, j jar) {
		for range 5 {
			time.Sleep(61 * time.Minute)
			keepActive(t, all[0], j)
			var wg sync.WaitGroup
			answers := make([]http.Header, 20)
			for i := range answers {
				wg.Go(func() {
					var err error
					if _, answers[i], err = all[i%len(all)].request(t, j); err != nil {
						t.Errorf("request %d: %v", i, err)
					}
				})
			}
			wg.Wait()
			j.take(t, answers[7]) // of any of the responses
		}
		if p.good == "" {
			t.Error("the provider saw a reuse")
		}
	})
}

// TestSharedSessionsAreNoCookies: somebody who reads and writes the store can neither
// log in with what is in it, nor give one session the tokens of another.
func TestSharedSessionsAreNoCookies(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true, latency: time.Millisecond}
	withReplicas(t, 2, store, p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		keepActive(t, all[0], j)
		if _, _, err := all[0].request(t, j); err != nil {
			t.Fatal(err)
		}
		mine := all[0].mustOpen(t, j).Session.ID.Name()
		stolen := jar{sessionCookie: "1" + string(store.Result(mine))}
		if _, err := all[0].Open(stolen.header()); !errors.Is(err, session.ErrUnreadable) {
			t.Errorf("as a cookie: %v", err)
		}
		other := all[1].login(t, tokens(2, time.Now().Add(-2*time.Hour)))
		name := all[1].mustOpen(t, other).Session.ID.Name()
		store.Copy(mine, name)
		if token, _, err := all[1].request(t, other); !errors.Is(err, refresh.ErrStoreUnavailable) || token == "access 1" {
			t.Errorf("another session's tokens: %q, %v", token, err)
		}
	})
}
