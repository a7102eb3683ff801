package refresh_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// stalling is the store of a process that stands still for a while, as if it were
// stopped: when it has got a lease, and after the store has taken a result.
type stalling struct {
	*replicastest.Fake

	claimed, published time.Duration
}

func (s stalling) Claim(ctx context.Context, name session.Name, generation uint64, lease time.Duration) (refresh.Claim, error) {
	claim, err := s.Fake.Claim(ctx, name, generation, lease)
	if claim.Lease != "" {
		time.Sleep(s.claimed) // no context ends that
	}
	return claim, err
}

func (s stalling) Publish(ctx context.Context, name session.Name, lease string, result refresh.Result, keep time.Duration) error {
	err := s.Fake.Publish(ctx, name, lease, result, keep)
	if lease != "" {
		time.Sleep(s.published)
	}
	return err
}

// TestStalledHolderOfTheLease: a process that stood still while it had the lease does
// not use the refresh token, because the lease has ended, or would during the call.
func TestStalledHolderOfTheLease(t *testing.T) {
	for _, stall := range []time.Duration{time.Second, 8 * time.Second, 11 * time.Second, 20 * time.Second} {
		t.Run(stall.String(), func(t *testing.T) {
			store := replicastest.NewFake()
			p := &provider{rotate: true, latency: 2 * time.Second}
			withReplicas(t, 1, store, p, func(t *testing.T, all []*fixture, j jar) {
				stopped := newFixture(t, func(c *settings) {
					c.refresh.Refresher, c.Now, c.IdleTimeout = p, time.Now, 3*time.Hour
					c.refresh.Replicas = stalling{store, stall, 0}
				})
				time.Sleep(61 * time.Minute)
				answered := make(chan error)
				go func() {
					_, _, err := stopped.request(t, j)
					answered <- err
				}()
				time.Sleep(time.Millisecond)
				burst(t, all, j, 2, "access 1")
				err := <-answered
				if unavailable := new(refresh.UnavailableError); stall > 5*time.Second && !errors.As(err, &unavailable) || stall < 5*time.Second && err != nil {
					t.Errorf("the stopped process: %v", err)
				}
				time.Sleep(2 * time.Second)
				if token, _, err := stopped.request(t, j); err != nil || token != "access 1" {
					t.Errorf("the stopped process, when it runs again: %q, %v", token, err)
				}
				if p.good == "" || p.count() != 1 {
					t.Errorf("%d calls, and the session's refresh token is %q", p.count(), p.good)
				}
			})
		})
	}
}

// TestLossBetweenPublishingAndNoting: the store loses a result that it has just taken,
// while the process that published it stands still.
func TestLossBetweenPublishingAndNoting(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 1, store, p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		go func() { time.Sleep(time.Second); store.Forget() }()
		if token, _, err := all[0].request(t, j); err != nil || token != "access 1" {
			t.Fatalf("%q, %v", token, err)
		}
		time.Sleep(10 * time.Second)
		name := all[0].mustOpen(t, j).Session.ID.Name()
		if claim, _, err := store.TryClaim(name, 1, time.Second); err != nil || claim.Generation != 2 {
			t.Errorf("the store does not get the result again: %+v, %v", claim, err)
		}
	}, func(c *settings) { c.refresh.Replicas = stalling{store, 0, 3 * time.Second} })
}

// TestStoreIsToldOfRestoredResults: after the results were published, and not before.
func TestStoreIsToldOfRestoredResults(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	withReplicas(t, 1, store, p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		if _, _, err := all[0].request(t, j); err != nil {
			t.Fatal(err)
		}
		if store.RestoredIn() != store.Epoch() {
			t.Error("a process that has nothing to restore does not say so")
		}
		store.Forget()
		store.SetOutage(false, true)
		time.Sleep(10 * time.Second)
		if store.RestoredIn() == store.Epoch() {
			t.Error("told before the results were published")
		}
		store.SetOutage(false, false)
		time.Sleep(time.Second)
		if store.RestoredIn() != store.Epoch() {
			t.Error("not told")
		}
	})
}
