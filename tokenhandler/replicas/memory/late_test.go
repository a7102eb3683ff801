package memory_test

import (
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
)

// TestReplaced: a session that a login replaced counts for a minute, and is then forgotten.
func TestReplaced(t *testing.T) {
	l, c := newList()
	l.Replace(id(1), at(60))
	for _, e := range []replicas.Revocation{
		{Kind: replicas.KindSession, Name: id(2).String(), Until: at(60)},
		{Kind: replicas.KindSession, Name: id(3).String(), Before: at(-1), Until: at(60)},
		{Kind: replicas.KindSession, Name: id(4).String(), Before: at(0.05), Until: at(60)}, // of a replica whose clock is ahead
	} {
		if _, err := l.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	for now, want := range map[float64][]bool{0: {true, false, false, true}, 0.99: {true, false, false, true}, 1.05: {false, false, false, false}, 30: {false, false, false, false}} {
		c.Set(at(now))
		for i, want := range want {
			if got := l.Replaced(id(i + 1)); got != want {
				t.Errorf("after %v minutes: session %d: %v", now, i+1, got)
			}
			if !l.Denied(id(i+1), "", "", at(0)) {
				t.Errorf("after %v minutes: session %d is not denied", now, i+1)
			}
		}
	}
	c.Set(at(30))
	l.Replace(id(5), at(60)) // sweeps
	if n := l.LenReplaced(); n != 1 {
		t.Errorf("%d sessions are remembered", n)
	}
}

// TestSince: only what was revoked after the call counts, and not what the store tells of
// an earlier time.
func TestSince(t *testing.T) {
	l, c := newList()
	endAll(t, l, "earlier", at(-1), at(60))
	endAll(t, l, "again", at(-1), at(60))
	c.Set(at(1))
	since := l.Since()
	if since("user", "sid") {
		t.Error("revoked without an entry")
	}
	c.Set(at(2))
	endAll(t, l, "user", at(2), at(60))
	endAll(t, l, "again", at(2), at(60))
	endAll(t, l, "now", at(1), at(60))
	endAll(t, l, "known late", at(1).Add(-time.Millisecond), at(60))
	endAll(t, l, "earlier", at(-1), at(60))
	if _, err := l.Add(replicas.Revocation{Kind: replicas.KindProviderSession, Name: "sid", Before: at(2), Until: at(60)}); err != nil {
		t.Fatal(err)
	}
	for sub, want := range map[string]bool{"user": true, "again": true, "now": true, "known late": false, "earlier": false, "nobody": false, "sid": false, "": false} {
		if got := since(sub, ""); got != want {
			t.Errorf("%q: %v", sub, got)
		}
	}
	if !since("nobody", "sid") || since("nobody", "user") || l.Since()("user", "sid") {
		t.Error("the session at the provider")
	}
}
