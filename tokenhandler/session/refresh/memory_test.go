package refresh_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// passTimeActively lets time go by in which the user is active, without a look at the
// tokens: only the activity cookie is written.
func passTimeActively(t *testing.T, f *fixture, d time.Duration, jars ...jar) {
	t.Helper()
	time.Sleep(d)
	for _, j := range jars {
		h := make(http.Header)
		v := f.mustOpen(t, jar{sessionCookie: j[sessionCookie], activeCookie: j[activeCookie]})
		v.Touch()
		v.Commit(headerWriter(h))
		touched := jar{}
		touched.take(t, h)
		if touched[activeCookie] != "" {
			j[activeCookie] = touched[activeCookie]
		}
	}
}

// mustRequest makes a request that must succeed with an access token that has not
// ended.
func (f *fixture) mustRequest(t *testing.T, j jar) (*refresh.RequestSession, http.Header) {
	t.Helper()
	v := f.mustOpen(t, j)
	if err := v.Refresh(t.Context(), refresh.IfDue); err != nil {
		t.Fatalf("generation %d: %v", v.Session.Generation, err)
	}
	if !time.Now().Before(v.Session.AccessExpires) {
		t.Fatalf("generation %d: went on with a token that has ended", v.Session.Generation)
	}
	h := make(http.Header)
	v.Commit(headerWriter(h))
	return v, h
}

// TestLostResponseThatWaited: the request waited for the refresh, but its response got
// lost. This process has the only copy of the new generation until the browser shows
// it.
func TestLostResponseThatWaited(t *testing.T) {
	p := &provider{rotate: true, latency: time.Second}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(61 * time.Minute)
		if v, _ := f.mustRequest(t, j); v.Session.Generation != 2 {
			t.Fatalf("generation %d", v.Session.Generation)
		}
		for range 3 { // the responses get lost
			time.Sleep(10 * time.Minute)
			f.sweep(t)
			if v, h := f.mustRequest(t, j); v.Session.Generation != 2 || len(h["Set-Cookie"]) == 0 {
				t.Fatalf("generation %d, header %v", v.Session.Generation, h)
			}
		}
		if p.count() != 1 {
			t.Errorf("%d calls", p.count())
		}
	})
}

// TestFailedRefreshKeepsTheOnlyCopy: the browser never got the new generation, and the
// next refresh fails. An older cookie must still get the new generation.
func TestFailedRefreshKeepsTheOnlyCopy(t *testing.T) {
	p := &provider{rotate: true, latency: time.Second}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(61 * time.Minute)
		f.mustRequest(t, j) // the response gets lost
		time.Sleep(10 * time.Minute)
		p.mu.Lock()
		p.fail = errors.New("HTML")
		p.mu.Unlock()
		_ = f.mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand)
		time.Sleep(time.Minute)
		f.sweep(t)
		if v, _ := f.mustRequest(t, j); v.Session.Generation != 2 {
			t.Errorf("generation %d", v.Session.Generation)
		}
	})
}

// TestOutdatedResultOfAnotherReplica: another replica made a generation long ago,
// which the browser never got. Its access token has ended, too.
func TestOutdatedResultOfAnotherReplica(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 2, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		keepActive(t, all[0], j)
		all[0].mustRequest(t, j) // the response gets lost
		time.Sleep(65 * time.Minute)
		if v, _ := all[1].mustRequest(t, j); v.Session.Generation != 3 || p.count() != 2 {
			t.Errorf("generation %d, %d calls", v.Session.Generation, p.count())
		}
	})
}

// TestOlderCookieWithoutRotation: parallel responses arrived in the wrong order, which
// left the browser with the older cookie. Without rotation its refresh token still
// works.
func TestOlderCookieWithoutRotation(t *testing.T) {
	p := &provider{latency: 100 * time.Millisecond}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		older := jar{sessionCookie: j[sessionCookie], activeCookie: j[activeCookie]}
		v := f.mustOpen(t, j)
		if err := v.Refresh(t.Context(), refresh.OnDemand); err != nil {
			t.Fatal(err)
		}
		h := make(http.Header)
		v.Commit(headerWriter(h))
		j.take(t, h)
		f.mustRequest(t, j)
		time.Sleep(61 * time.Minute)
		f.sweep(t)
		v, h = f.mustRequest(t, older)
		if v.Session.Generation != 3 || len(h["Set-Cookie"]) == 0 {
			t.Errorf("generation %d, header %v", v.Session.Generation, h)
		}
	})
}

// TestOlderCookieAtAReplicaThatForgot: the replica has released the newer generation,
// and gets it from the store again.
func TestOlderCookieAtAReplicaThatForgot(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 2, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		keepActive(t, all[0], j)
		older := jar{sessionCookie: j[sessionCookie], activeCookie: j[activeCookie]}
		_, h := all[0].mustRequest(t, j)
		j.take(t, h)
		all[0].mustRequest(t, j) // confirms the new generation
		time.Sleep(time.Minute)
		all[0].sweep(t)
		if v, _ := all[0].mustRequest(t, older); v.Session.Generation != 2 || p.count() != 1 {
			t.Errorf("generation %d, %d calls", v.Session.Generation, p.count())
		}
	})
}

// TestResultOutlivesTheOlderToken: another replica goes on serving the older
// generation until its access token ends, even if the idle timeout is shorter. Then
// the store must still have the newer generation.
func TestResultOutlivesTheOlderToken(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 2, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		if err := all[0].mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand); err != nil { // its response gets lost
			t.Fatal(err)
		}
		for range 6 {
			passTimeActively(t, all[1], 10*time.Minute, j)
		}
		all[0].sweep(t)
		if v, _ := all[1].mustRequest(t, j); v.Session.Generation < 2 || p.good == "" {
			t.Errorf("generation %d, the provider saw a reuse: %v", v.Session.Generation, p.good == "")
		}
	}, func(c *settings) { c.IdleTimeout = 15 * time.Minute })
}

// TestGraceBeginsWhenTheNewerCookieIsSeen: a replica learns from a cookie that another
// replica has refreshed. From then on it serves older cookies for the grace.
func TestGraceBeginsWhenTheNewerCookieIsSeen(t *testing.T) {
	p := &provider{rotate: true, grace: time.Minute, latency: 100 * time.Millisecond}
	withReplicas(t, 2, nil, p, func(t *testing.T, all []*fixture, j jar) {
		p.mu.Lock()
		p.fail = errors.New("HTML")
		p.mu.Unlock()
		if err := all[1].mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand); err == nil { // so that it has a record of the session
			t.Fatal("no error")
		}
		p.mu.Lock()
		p.fail = nil
		p.mu.Unlock()
		time.Sleep(59*time.Minute + 50*time.Second)
		underWay := all[1].mustOpen(t, j)
		v := all[0].mustOpen(t, j)
		if err := v.Refresh(t.Context(), refresh.OnDemand); err != nil {
			t.Fatal(err)
		}
		newer, h := jar{activeCookie: j[activeCookie]}, make(http.Header)
		v.Commit(headerWriter(h))
		newer.take(t, h)
		all[1].mustOpen(t, newer)
		time.Sleep(11 * time.Second)
		all[1].sweep(t)
		if err := underWay.Refresh(t.Context(), refresh.IfDue); err != nil || underWay.Session.Generation != 2 {
			t.Errorf("generation %d, %v", underWay.Session.Generation, err)
		}
	})
}

// TestRefreshOverTheEndOfTheSession: the session ends while it is refreshed. A replica
// that waits for the lease must not use the old refresh token.
func TestRefreshOverTheEndOfTheSession(t *testing.T) {
	p := &provider{rotate: true, latency: 4 * time.Second}
	withReplicas(t, 2, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(time.Hour - 2*time.Second)
		for _, f := range all {
			v := f.mustOpen(t, j)
			go func() { _ = v.Refresh(t.Context(), refresh.OnDemand) }()
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if p.count() != 1 || p.good == "" {
			t.Errorf("%d calls, the provider saw a reuse: %v", p.count(), p.good == "")
		}
	}, func(c *settings) { c.AbsoluteLifetime = time.Hour })
}

// TestNewerCookieWhileWaitingForTheLease: a replica stops before the store takes its
// result. Another replica, which waits for the lease with the old refresh token,
// learns the result from a cookie.
func TestNewerCookieWhileWaitingForTheLease(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 2, store, p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		gone := newFixture(t, func(c *settings) { c.refresh.Refresher, c.Now, c.IdleTimeout = p, time.Now, 3*time.Hour })
		v, h := gone.mustRequest(t, j)
		newer := jar{}
		newer.take(t, h)
		if _, err := store.Claim(t.Context(), v.Session.ID.Name(), 1, 12*time.Second); err != nil {
			t.Fatal(err)
		}
		late := all[0].mustOpen(t, j)
		result := make(chan error, 1)
		go func() { result <- late.Refresh(t.Context(), refresh.IfDue) }()
		time.Sleep(time.Second)
		all[0].mustOpen(t, newer)
		if err := <-result; err != nil || late.Session.Generation != 2 || p.count() != 1 {
			t.Errorf("generation %d, %v, %d calls", late.Session.Generation, err, p.count())
		}
		if v, _ := all[1].mustRequest(t, j); v.Session.Generation != 2 {
			t.Errorf("the other replica: generation %d", v.Session.Generation)
		}
	})
}

// TestResultFromACookieIsPublished: a replica stops while the store is out. Another
// replica learns its result from a cookie, and publishes it.
func TestResultFromACookieIsPublished(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 2, store, p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		store.SetOutage(true, false)
		gone := newFixture(t, func(c *settings) { c.refresh.Refresher, c.Now, c.IdleTimeout = p, time.Now, 3*time.Hour })
		_, h := gone.mustRequest(t, j)
		newer := jar{}
		newer.take(t, h)
		if err := all[0].mustOpen(t, j).Refresh(t.Context(), refresh.IfDue); err == nil {
			t.Fatal("no error without the store")
		}
		all[0].mustOpen(t, newer)
		store.SetOutage(false, false)
		time.Sleep(2 * time.Second)
		if v, _ := all[1].mustRequest(t, j); v.Session.Generation != 2 || p.count() != 1 {
			t.Errorf("generation %d, %d calls", v.Session.Generation, p.count())
		}
	})
}

// TestOlderCookieThatNobodyHasANewerOneFor: the replica has released the newer
// generation, and the store has lost it. The older refresh token was replaced, so it
// must not be used although the store gives the lease.
func TestOlderCookieThatNobodyHasANewerOneFor(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 1, store, p, func(t *testing.T, all []*fixture, j jar) {
		f := all[0]
		time.Sleep(61 * time.Minute)
		keepActive(t, f, j)
		older := jar{sessionCookie: j[sessionCookie], activeCookie: j[activeCookie]}
		_, h := f.mustRequest(t, j)
		j.take(t, h)
		f.mustRequest(t, j) // confirms the new generation
		time.Sleep(time.Minute)
		f.sweep(t) // releases it
		store.Forget()
		if _, _, err := f.request(t, older); !errors.Is(err, refresh.ErrSuperseded) || p.count() != 1 {
			t.Errorf("%v, %d calls", err, p.count())
		}
		if token, _, err := f.request(t, j); err != nil || token != "access 1" {
			t.Errorf("the newer cookie: %q, %v", token, err)
		}
	})
}

// TestOlderCookieDoesNotShortenTheMemory: a request with an older cookie, whose access
// token has ended, needs the record for a shorter time than the newer generation.
func TestOlderCookieDoesNotShortenTheMemory(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(50 * time.Minute)
		keepActive(t, f, j)
		time.Sleep(11 * time.Minute)
		older := jar{sessionCookie: j[sessionCookie]}
		_, h := f.mustRequest(t, j)
		j.take(t, h)
		keepActive(t, f, j) // confirms the new generation
		time.Sleep(time.Minute)
		f.sweep(t)
		older[activeCookie] = j[activeCookie] // the browser has one for all generations
		if _, _, err := f.request(t, older); !errors.Is(err, refresh.ErrSuperseded) {
			t.Fatalf("the older cookie: %v", err)
		}
		passTimeActively(t, f, 55*time.Minute, j)
		time.Sleep(133 * time.Minute) // longer than the older cookie needs; it is alive because of the newer one
		f.sweep(t)
		older[activeCookie] = j[activeCookie]
		if _, _, err := f.request(t, older); !errors.Is(err, refresh.ErrSuperseded) || p.good == "" {
			t.Errorf("the older cookie, again: %v", err)
		}
	})
}
