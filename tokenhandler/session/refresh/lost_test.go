package refresh_test

import (
	"errors"
	"testing"
	"time"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// TestLostResponse: the response with the new cookie never reached the browser. That
// it was written does not confirm the new generation: long after the grace, the old
// cookie still gets it.
func TestLostResponse(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(61 * time.Minute)
		for range 2 {
			if token, h, err := f.request(t, j); err != nil || token != "access 1" || h.Get("Set-Cookie") == "" {
				t.Fatalf("token %q, error %v, header %v", token, err, h)
			}
			time.Sleep(10 * time.Minute)
			f.sweep(t)
		}
		token, _, err := f.request(t, j)
		if err != nil || token != "access 1" {
			t.Errorf("token %q, error %v", token, err)
		}
		if calls := p.count(); calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
}

// TestOlderResultInTheStore: the store has lost the newest generation, and got an older one
// again. An old cookie is no use then, because a later refresh token was made.
func TestOlderResultInTheStore(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true}
	withReplicas(t, 1, store, p, func(t *testing.T, all []*fixture, j jar) {
		f := all[0]
		older := jar{sessionCookie: j[sessionCookie], activeCookie: j[activeCookie]}
		name := f.mustOpen(t, j).Session.ID.Name()
		var sealed []byte
		for range 2 {
			time.Sleep(61 * time.Minute)
			keepActive(t, f, j)
			_, h := f.mustRequest(t, j)
			j.take(t, h)
			f.mustOpen(t, j) // confirms the new generation
			if sealed == nil {
				sealed = store.Result(name)
			}
		}
		time.Sleep(time.Minute)
		f.sweep(t) // releases it
		store.Forget()
		if err := store.Publish(t.Context(), name, "", refresh.Result{Generation: 2, Sealed: sealed}, time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second) // until the store gives leases again
		older[activeCookie] = j[activeCookie]
		if _, _, err := f.request(t, older); !errors.Is(err, refresh.ErrSuperseded) || p.count() != 2 || p.good == "" {
			t.Errorf("%v after %d calls", err, p.count())
		}
	})
}

// TestOlderCookieDuringAnOutageOfTheStore: its refresh token was replaced, so it is not used,
// although the provider's grace lets replicas go on alone with the newest one.
func TestOlderCookieDuringAnOutageOfTheStore(t *testing.T) {
	store := replicastest.NewFake()
	p := &provider{rotate: true, grace: 10 * time.Second}
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
		store.SetOutage(true, true)
		if _, _, err := f.request(t, older); !errors.Is(err, refresh.ErrStoreUnavailable) || p.count() != 1 {
			t.Errorf("%v, %d calls", err, p.count())
		}
	}, func(c *settings) { c.refresh.RotationGrace = 10 * time.Second })
}
