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

// later lets time go by in which the user is active, without looking at the
// tokens: the activity cookie alone is written.
func later(t *testing.T, f *fixture, d time.Duration, jars ...jar) {
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

// mustRequest is a request that must succeed with a token that has not ended.
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

// TestLostAnswerThatWasWaitedFor: the request waited for the refresh and was
// answered, but the answer got lost on its way. The browser has not shown the
// new generation, only this process has: it is the only copy.
func TestLostAnswerThatWasWaitedFor(t *testing.T) {
	p := &provider{rotate: true, latency: time.Second}
	bubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(61 * time.Minute)
		if v, _ := f.mustRequest(t, j); v.Session.Generation != 2 {
			t.Fatalf("generation %d", v.Session.Generation)
		}
		for range 3 { // all lost
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

// TestFailedRefreshKeepsTheOnlyCopy: the next refresh of what the browser has
// never got fails; an older cookie must still find it.
func TestFailedRefreshKeepsTheOnlyCopy(t *testing.T) {
	p := &provider{rotate: true, latency: time.Second}
	bubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(61 * time.Minute)
		f.mustRequest(t, j) // lost
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

// TestOutdatedResultOfAnotherReplica: what another replica made long ago, and
// the browser never got, has ended, too.
func TestOutdatedResultOfAnotherReplica(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 2, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		keepActive(t, all[0], j)
		all[0].mustRequest(t, j) // lost
		time.Sleep(65 * time.Minute)
		if v, _ := all[1].mustRequest(t, j); v.Session.Generation != 3 || p.count() != 2 {
			t.Errorf("generation %d, %d calls", v.Session.Generation, p.count())
		}
	})
}

// TestOlderCookieWithoutRotation: parallel answers overtook each other, and the
// browser was left with the older cookie. Its refresh token is still good.
func TestOlderCookieWithoutRotation(t *testing.T) {
	p := &provider{latency: 100 * time.Millisecond}
	bubble(t, p, func(t *testing.T, f *fixture, j jar) {
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

// TestOlderCookieAtAReplicaThatForgot: it knows that there is a newer generation,
// and gets it from the store again.
func TestOlderCookieAtAReplicaThatForgot(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 2, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		keepActive(t, all[0], j)
		older := jar{sessionCookie: j[sessionCookie], activeCookie: j[activeCookie]}
		_, h := all[0].mustRequest(t, j)
		j.take(t, h)
		all[0].mustRequest(t, j) // its browser has it
		time.Sleep(time.Minute)
		all[0].sweep(t)
		if v, _ := all[0].mustRequest(t, older); v.Session.Generation != 2 || p.count() != 1 {
			t.Errorf("generation %d, %d calls", v.Session.Generation, p.count())
		}
	})
}

// TestResultOutlivesTheOlderToken: another replica goes on serving the older
// generation for as long as its access token lives, however short the idle
// timeout is; then it must still find what became of it.
func TestResultOutlivesTheOlderToken(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 2, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		if err := all[0].mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand); err != nil { // its answer is lost
			t.Fatal(err)
		}
		for range 6 {
			later(t, all[1], 10*time.Minute, j)
		}
		all[0].sweep(t)
		if v, _ := all[1].mustRequest(t, j); v.Session.Generation < 2 || p.good == "" {
			t.Errorf("generation %d, the provider saw a reuse: %v", v.Session.Generation, p.good == "")
		}
	}, func(c *settings) { c.IdleTimeout = 15 * time.Minute })
}

// TestGraceBeginsWhenTheNewerCookieIsSeen: a replica learns from a browser that
// another one has refreshed; requests that are still under way with the older
// cookie have the grace here, too.
func TestGraceBeginsWhenTheNewerCookieIsSeen(t *testing.T) {
	p := &provider{rotate: true, grace: time.Minute, latency: 100 * time.Millisecond}
	withReplicas(t, 2, nil, p, func(t *testing.T, all []*fixture, j jar) {
		p.mu.Lock()
		p.fail = errors.New("HTML")
		p.mu.Unlock()
		if err := all[1].mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand); err == nil { // so that it remembers the session
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

// TestRefreshOverTheEndOfTheSession: the session ended while it was refreshed;
// whoever waits for the lease must not show the used-up token.
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

// TestShownWhileWaitingForTheLease: the replica that refreshed has gone before
// the store took its result, but a browser shows it to another one, which was
// waiting for the lease with the used-up token.
func TestShownWhileWaitingForTheLease(t *testing.T) {
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

// TestShownResultIsPublishedAgain: the replica that refreshed went while the
// store was out; another one, which was shown the result, brings it there.
func TestShownResultIsPublishedAgain(t *testing.T) {
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
