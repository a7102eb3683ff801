package refresh_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// These tests are about what must last: ends that stay ends, pauses, leases, and what a
// process must not keep for ever.

// TestEndedSessionStaysEnded until its cookie is worth nothing anywhere, and for an hour
// at least: another replica's clock may be behind, and an operator may lengthen lifetimes.
func TestEndedSessionStaysEnded(t *testing.T) {
	for name, c := range map[string]struct{ lifetime, stays time.Duration }{
		"long":  {12 * time.Hour, 12 * time.Hour},
		"short": {10 * time.Minute, time.Hour},
	} {
		f := newFixture(t, func(s *settings) { s.AbsoluteLifetime, s.IdleTimeout = c.lifetime, c.lifetime })
		v := f.mustOpen(t, f.login(t, tokens(1, f.now)))
		s, begun := v.Session, f.now
		v.End()
		for after, want := range map[time.Duration]bool{0: true, c.stays / 2: true, c.stays - time.Second: true, c.stays: false} {
			f.now = begun.Add(after)
			if got := f.denied.Denied(s.ID.Name(), "", "", s.Begun); got != want {
				t.Errorf("%s: after %s denied %v", name, after, got)
			}
		}
	}
}

// wantTooOften asserts that err tells to wait so long.
func wantTooOften(t *testing.T, err error, wait time.Duration) {
	t.Helper()
	if often, ok := errors.AsType[*refresh.TooOftenError](err); !ok || often.RetryAfter != wait {
		t.Errorf("%v, want a pause of %s", err, wait)
	}
}

// TestRefusalsOfUpstreamsRefreshRarely: an upstream that refuses every token causes one
// refresh in 30 seconds.
func TestRefusalsOfUpstreamsRefreshRarely(t *testing.T) {
	p := &provider{rotate: true}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		for round := range 3 {
			if err := f.mustOpen(t, j).Refresh(t.Context(), refresh.Refused); err != nil {
				t.Fatal(err)
			}
			wantTooOften(t, f.mustOpen(t, j).Refresh(t.Context(), refresh.Refused), 30*time.Second)
			time.Sleep(30*time.Second - 1)
			wantTooOften(t, f.mustOpen(t, j).Refresh(t.Context(), refresh.Refused), 1)
			time.Sleep(time.Nanosecond)
			if p.count() != round+1 {
				t.Fatalf("%d calls in round %d", p.count(), round)
			}
		}
	})
}

// TestRefreshesOnDemandAreFew: ten at once, and then one in ten seconds.
func TestRefreshesOnDemandAreFew(t *testing.T) {
	p := &provider{rotate: true}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		for range 10 {
			if err := f.mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			wantTooOften(t, f.mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand), 10*time.Second)
			time.Sleep(10 * time.Second)
			if err := f.mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand); err != nil {
				t.Fatal(err)
			}
		}
		if p.count() != 13 {
			t.Errorf("%d calls", p.count())
		}
	})
}

// TestLeaseOutlastsTheCall: a provider that answers just within the time-out is called
// once, however many replicas wait.
func TestLeaseOutlastsTheCall(t *testing.T) {
	p := &provider{rotate: true, latency: 10*time.Second - time.Millisecond}
	withReplicas(t, 2, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		burst(t, all, j, 10, "access 1")
		if p.count() != 1 {
			t.Errorf("%d calls", p.count())
		}
	})
}

// TestLeaseEndsWithAFailure: another replica may try at once.
func TestLeaseEndsWithAFailure(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true, fail: errors.New("HTML")}
	withReplicas(t, 1, store, p, func(t *testing.T, all []*fixture, j jar) {
		v := all[0].mustOpen(t, j)
		if err := v.Refresh(t.Context(), refresh.OnDemand); err == nil {
			t.Fatal("no failure")
		}
		claim, done, err := store.TryClaim(v.Session.ID.Name(), v.Session.Generation, time.Second)
		if err != nil || !done || claim.Lease == "" {
			t.Errorf("the lease stays: %+v, %v, %v", claim, done, err)
		}
	})
}

// TestResultStaysInTheStore for as long as an older cookie may come: until its access
// token has ended, and then for the idle timeout and the minute in which activity is not
// written.
func TestResultStaysInTheStore(t *testing.T) {
	store := replicastest.NewFake()
	withReplicas(t, 1, store, &provider{rotate: true}, func(t *testing.T, all []*fixture, j jar) {
		v := all[0].mustOpen(t, j)
		name := v.Session.ID.Name()
		if err := v.Refresh(t.Context(), refresh.OnDemand); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + 3*time.Hour + time.Minute - 1)
		if claim, done, _ := store.TryClaim(name, 1, time.Second); !done || claim.Generation != 2 {
			t.Errorf("%+v, %v", claim, done)
		}
		time.Sleep(time.Nanosecond)
		if claim, done, _ := store.TryClaim(name, 1, time.Second); !done || claim.Lease == "" {
			t.Errorf("it stays: %+v, %v", claim, done)
		}
	})
}

// TestSessionThatEndsBeforeTheCall: a logout while a refresh waits for its lease keeps the
// provider from being called.
func TestSessionThatEndsBeforeTheCall(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true}
	withReplicas(t, 1, store, p, func(t *testing.T, all []*fixture, j jar) {
		v := all[0].mustOpen(t, j)
		if claim, err := store.Claim(t.Context(), v.Session.ID.Name(), 1, 5*time.Second); err != nil || claim.Lease == "" {
			t.Fatalf("%+v, %v", claim, err)
		}
		refreshed := make(chan error, 1)
		go func() { refreshed <- v.Refresh(t.Context(), refresh.OnDemand) }()
		time.Sleep(time.Second)
		all[0].mustOpen(t, j).End()
		if err := <-refreshed; !errors.Is(err, refresh.ErrRevoked) || p.count() != 0 {
			t.Errorf("%v after %d calls", err, p.count())
		}
	})
}

// TestTokenIsNotUsedInItsLastSeconds: a request waits for the next one.
func TestTokenIsNotUsedInItsLastSeconds(t *testing.T) {
	for left, want := range map[time.Duration]uint64{5*time.Second + 1: 1, 5 * time.Second: 2, time.Second: 2} {
		p := &provider{latency: time.Second}
		inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
			time.Sleep(time.Hour - left)
			v := f.mustOpen(t, j)
			if err := v.Refresh(t.Context(), refresh.IfDue); err != nil || v.Session.Generation != want {
				t.Errorf("%s before its end: generation %d, %v", left, v.Session.Generation, err)
			}
			time.Sleep(2 * time.Second) // for the refresh to end
		})
	}
}

// TestEndingProcess: a process that drains starts only the refreshes that a request waits
// for, and a closed one none. It does not open again.
func TestEndingProcess(t *testing.T) {
	drain := func(f *fixture) { f.Drain() }
	end := func(f *fixture) { f.Close() }
	for name, c := range map[string]struct {
		stop   []func(*fixture)
		needed bool // the access token has ended
		calls  int
		ok     bool
	}{
		"serving, due":          {nil, false, 1, true},
		"draining, due":         {[]func(*fixture){drain}, false, 0, true},
		"draining, needed":      {[]func(*fixture){drain}, true, 1, true},
		"closed, due":           {[]func(*fixture){end}, false, 0, true},
		"closed, needed":        {[]func(*fixture){end}, true, 0, false},
		"drained twice":         {[]func(*fixture){drain, drain}, true, 1, true},
		"drained when closed":   {[]func(*fixture){end, drain}, true, 0, false},
		"drained, then closed":  {[]func(*fixture){drain, end}, true, 0, false},
		"closed, due, and then": {[]func(*fixture){drain, end, drain}, false, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := &provider{}
			inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
				time.Sleep(59*time.Minute + 30*time.Second)
				if c.needed {
					time.Sleep(time.Minute)
				}
				for _, stop := range c.stop {
					stop(f)
				}
				err := f.mustOpen(t, j).Refresh(t.Context(), refresh.IfDue)
				unavailable, ended := errors.AsType[*refresh.UnavailableError](err)
				if (err == nil) != c.ok || ended == c.ok || ended && (unavailable.RetryAfter != time.Second || unavailable.Refused) {
					t.Errorf("%v", err)
				}
				synctest.Wait()
				if p.count() != c.calls {
					t.Errorf("%d calls, want %d", p.count(), c.calls)
				}
			})
		})
	}
}

// TestMemoryForgets: what is known of sessions, and of requests that watch theirs, goes when
// it is of no use any more.
func TestMemoryForgets(t *testing.T) {
	const many = 50
	p := &provider{fail: errors.New("HTML")}
	inBubble(t, p, func(t *testing.T, f *fixture, _ jar) {
		ctx, over := context.WithCancel(t.Context())
		for seed := range uint64(many) {
			one := tokens(seed+2, time.Now())
			p.used[one.Refresh.Reveal()] = true
			v := f.mustOpen(t, f.login(t, one))
			_ = v.Refresh(t.Context(), refresh.OnDemand)
			v.Watch(ctx)
		}
		if records, watched := f.Held(); records != many || watched != many {
			t.Errorf("%d records, %d watched", records, watched)
		}
		over()
		synctest.Wait()
		if _, watched := f.Held(); watched != 0 {
			t.Errorf("%d requests that have ended are watched", watched)
		}
		time.Sleep(13 * time.Hour)
		f.sweep(t)
		if records, _ := f.Held(); records != 1 {
			t.Errorf("after 13 h, %d records", records)
		}
	})
}
