//go:build !race

package session_test

import (
	"testing"

	"cognito-token-handler/tokenhandler/session"
)

// TestOpeningAllocatesLittle keeps the hot path's budget. The race detector
// empties pools at random, so it is not built with it.
func TestOpeningAllocatesLittle(t *testing.T) {
	f := newFixture(t, func(c *session.Config) { c.KeepIDToken = true })
	codec, value := sealedSample(t, f)
	var s session.Session
	allocs := testing.AllocsPerRun(200, func() {
		if err := codec.Decode(sessionCookie, value, &s); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 4 {
		t.Errorf("opening takes %v allocations", allocs)
	}
}
