package refresh_test

import (
	"crypto/rand"
	"encoding/base64"
	"testing"
	"time"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/session"
)

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
