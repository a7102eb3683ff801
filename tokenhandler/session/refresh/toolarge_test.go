package refresh_test

import (
	"crypto/rand"
	"encoding/base64"
	"testing"
	"time"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/session"
)

// TestGenerationTooLargeForCookiesStays: without rotation and without a store, only memory
// has the token of a generation that does not fit into cookies. It keeps it until the token
// is due, and the provider is not asked again before.
func TestGenerationTooLargeForCookiesStays(t *testing.T) {
	noise := make([]byte, 9000)
	_, _ = rand.Read(noise) // never fails
	p := &provider{claims: `{"noise":"` + base64.StdEncoding.EncodeToString(noise) + `"}`}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(61 * time.Minute)
		for minute := range 59 {
			if v, _ := f.mustRequest(t, j); v.Session.Access.Reveal() != "access 1" || p.count() != 1 {
				t.Fatalf("after %d minutes: %q, %d calls", minute, v.Session.Access.Reveal(), p.count())
			}
			time.Sleep(time.Minute)
			f.sweep(t)
		}
		for range 3 {
			time.Sleep(50 * time.Second)
			f.sweep(t)
			f.mustRequest(t, j)
		}
		if p.count() != 2 {
			t.Errorf("%d calls when the next is due", p.count())
		}
	})
}

// TestGenerationTooLargeForCookiesIsShared: the user's groups have outgrown the cookies.
// Every replica goes on with the newest generation, which only the store and memory have:
// one that did not make it, and one that has just started after the others have gone.
func TestGenerationTooLargeForCookiesIsShared(t *testing.T) {
	noise := make([]byte, 9000)
	_, _ = rand.Read(noise) // never fails
	store := replicastest.NewFake()
	p := &provider{rotate: true, latency: 100 * time.Millisecond, claims: `{"noise":"` + base64.StdEncoding.EncodeToString(noise) + `"}`}
	withReplicas(t, 3, store, p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		for i, f := range all[:2] {
			keepActive(t, f, j)
			v, h := f.mustRequest(t, j)
			if got := v.Session.Access.Reveal(); got != "access 1" || h.Get("Set-Cookie") != "" {
				t.Errorf("replica %d: %q, cookies %v", i, got, h["Set-Cookie"])
			}
			if large, ok := f.store.Fits(v.Session).(*session.TooLargeError); !ok || large.Claims < 12000 { //nolint:errorlint // exactly this
				t.Errorf("replica %d does not know that the session is too large: %v", i, large)
			}
		}
		for range 4 {
			time.Sleep(30 * time.Minute)
			keepActive(t, all[0], j)
		}
		p.mu.Lock()
		p.claims = `{"sub":"small"}`
		p.mu.Unlock()
		v, h := all[2].mustRequest(t, j)
		if got := v.Session.Access.Reveal(); got != "access 2" || h.Get("Set-Cookie") == "" {
			t.Errorf("after the user has left the groups: %q, cookies %v", got, h["Set-Cookie"])
		}
		if err := all[2].store.Fits(v.Session); err != nil || p.count() != 2 {
			t.Errorf("%v, %d calls", err, p.count())
		}
	})
}

// TestGenerationTooLargeToShare: what cannot be sealed is not taken for a refusal by other
// replicas.
func TestGenerationTooLargeToShare(t *testing.T) {
	noise := make([]byte, 30<<10)
	_, _ = rand.Read(noise) // never fails
	p := &provider{claims: `{"noise":"` + base64.StdEncoding.EncodeToString(noise) + `"}`}
	withReplicas(t, 2, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		for i, f := range all {
			if token, _, err := f.request(t, j); err != nil || token == "" || p.count() != i+1 {
				t.Errorf("replica %d: %q, %v, %d calls", i, token, err, p.count())
			}
		}
	})
}
