package session

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/seal"
)

func newKeys(t *testing.T) *seal.Keyring {
	t.Helper()
	keys, err := seal.NewKeyring([][]byte{bytes.Repeat([]byte{1}, seal.KeySize)})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// openedFrom is a session that was opened from a cookie of this value.
func openedFrom(value string) *remembered {
	return &remembered{session: Session{Subject: value, source: source{parts: sealedParts{value}, n: 1}}}
}

func TestRecentFindsOnlyTheWholeCookie(t *testing.T) {
	var r recent
	keys, now := newKeys(t).Version(), time.Now()
	r.find(&sealedParts{"a"}, keys, now)
	r.remember(openedFrom("a"), keys, now)
	if found := r.find(&sealedParts{"a"}, keys, now); found == nil || found.session.Subject != "a" {
		t.Errorf("found %v", found)
	}
	for _, other := range []sealedParts{{"b"}, {"aa"}, {""}, {"a", "a"}, {"", "a"}} {
		if found := r.find(&other, keys, now); found != nil {
			t.Errorf("%q found %v", other, found)
		}
	}
}

// TestRecentForgets checks that neither a session nor its tokens stay in memory.
func TestRecentForgets(t *testing.T) {
	ring := newKeys(t)
	start, keys := time.Now(), ring.Version()
	begin := func() *recent {
		var r recent
		r.find(&sealedParts{"a"}, keys, start)
		r.remember(openedFrom("a"), keys, start)
		return &r
	}
	t.Run("after two minutes without use", func(t *testing.T) {
		r := begin()
		if r.find(&sealedParts{"a"}, keys, start.Add(maxRecentAge)) == nil {
			t.Error("forgotten after one minute")
		}
		r.find(&sealedParts{"b"}, keys, start.Add(2*maxRecentAge))
		r.find(&sealedParts{"b"}, keys, start.Add(3*maxRecentAge))
		if len(r.young)+len(r.old) != 0 {
			t.Errorf("%d and %d sessions are in memory", len(r.young), len(r.old))
		}
	})
	t.Run("when the clock steps back", func(t *testing.T) {
		r := begin()
		r.find(&sealedParts{"b"}, keys, start.Add(-time.Hour))
		r.find(&sealedParts{"b"}, keys, start.Add(-time.Hour+maxRecentAge))
		if len(r.young)+len(r.old) != 0 {
			t.Errorf("%d and %d sessions are in memory", len(r.young), len(r.old))
		}
	})
	t.Run("when the keys are replaced", func(t *testing.T) {
		r := begin()
		if err := ring.Replace([][]byte{bytes.Repeat([]byte{1}, seal.KeySize)}); err != nil {
			t.Fatal(err)
		}
		r.remember(openedFrom("c"), ring.Version(), start) // no request has looked since
		if r.find(&sealedParts{"a"}, ring.Version(), start) != nil {
			t.Error("found with other keys")
		}
		r.remember(openedFrom("d"), keys, start) // opened with the keys of before
		if len(r.young)+len(r.old) != 0 {
			t.Errorf("%d and %d sessions are in memory", len(r.young), len(r.old))
		}
		r.remember(openedFrom("e"), ring.Version(), start)
		if r.find(&sealedParts{"e"}, ring.Version(), start) == nil {
			t.Error("nothing is remembered with the new keys")
		}
	})
}

func TestRecentIsBounded(t *testing.T) {
	var r recent
	keys, now := newKeys(t).Version(), time.Now()
	r.find(&sealedParts{"a"}, keys, now)
	for i := range 10 * maxRecent {
		r.remember(openedFrom("session "+strconv.Itoa(i)), keys, now)
		r.find(&sealedParts{"session " + strconv.Itoa(i/2)}, keys, now) // a hit in the older half counts as well
		if len(r.young) > maxRecent || len(r.old) > maxRecent {
			t.Fatalf("%d and %d sessions are in memory", len(r.young), len(r.old))
		}
	}
}

// TestRecentKeepsWhatIsUsed: a cookie that is sent again at least once a minute is decrypted
// once only.
func TestRecentKeepsWhatIsUsed(t *testing.T) {
	var r recent
	keys, now := newKeys(t).Version(), time.Now()
	r.find(&sealedParts{"a"}, keys, now)
	r.remember(openedFrom("a"), keys, now)
	for i := range 10 {
		now = now.Add(maxRecentAge - time.Second)
		if r.find(&sealedParts{"a"}, keys, now) == nil {
			t.Fatalf("forgotten after %d uses", i)
		}
	}
}
