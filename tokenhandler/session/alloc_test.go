//go:build !race

package session_test

import (
	"testing"

	"cognito-token-handler/tokenhandler/session"
)

// TestOpeningAllocatesLittle limits what every further request pays for its session: the
// gorilla session with its options, its map and the map's first group of values; our
// session with its activity. The race detector empties pools at
// random, so that the test is not built with it.
func TestOpeningAllocatesLittle(t *testing.T) {
	f := newFixture(t, func(c *session.Config) { c.KeepIDToken = true })
	r := with(f.login(t, tokens(1, f.now)))
	allocs := testing.AllocsPerRun(200, func() {
		if _, err := f.New(r, sessionCookie); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 5 {
		t.Errorf("opening takes %v allocations", allocs)
	}
}
