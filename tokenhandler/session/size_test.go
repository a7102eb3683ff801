package session_test

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"sort"
	"testing"

	"cognito-token-handler/tokenhandler/session"
)

// sizes are those of the cookies of a session whose refresh token has so many random
// bytes: of the whole, and of the values of the parts. They are empty if it is refused.
func sizes(t *testing.T, f *fixture, random int) (total int, parts []int) {
	t.Helper()
	raw := make([]byte, random)
	_, _ = rand.Read(raw) // never fails
	want, h, j := tokens(1, f.now), make(http.Header), jar{}
	want.Claims = `{"noise":"` + base64.RawURLEncoding.EncodeToString(raw) + `"}`
	if err := f.begin(h, want); err != nil {
		return 0, nil
	}
	j.take(t, h)
	for name, value := range j {
		total += len(name) + len("=; ") + len(value)
	}
	for _, name := range []string{sessionCookie, sessionCookie + ".1"} {
		if value, there := j[name]; there {
			parts = append(parts, len(value))
		}
	}
	return total, parts
}

// around calls look with the sizes of the sessions that are a little smaller or larger than
// the smallest that is large.
func around(t *testing.T, f *fixture, large func(parts []int) bool, look func(total int, parts []int)) {
	t.Helper()
	most := sort.Search(8000, func(random int) bool {
		_, parts := sizes(t, f, random)
		return large(parts)
	})
	for random := most - 20; random < most+20; random++ {
		look(sizes(t, f, random))
	}
}

// TestPartsAreAsLargeAsBrowsersTake: a session is split as soon as one cookie does not hold
// it, and not before, and no part is larger than browsers take.
func TestPartsAreAsLargeAsBrowsersTake(t *testing.T) {
	f := newFixture(t)
	const most = 3800
	largest, smallest := 0, 1<<20
	around(t, f, func(parts []int) bool { return len(parts) != 1 }, func(_ int, parts []int) {
		switch len(parts) {
		case 1:
			largest = max(largest, parts[0]-1)
		case 2:
			smallest = min(smallest, parts[0]-1+parts[1])
			if parts[0]-1 != most {
				t.Errorf("the first part has %d bytes", parts[0])
			}
		}
	})
	if largest > most || largest < most-8 || smallest <= most || smallest > most+8 {
		t.Errorf("the largest in one part has %d bytes, the smallest in two %d", largest, smallest)
	}
}

// TestSessionLeavesRoomForTheBeganCookie: 400 bytes of the budget, and no more.
func TestSessionLeavesRoomForTheBeganCookie(t *testing.T) {
	f := newFixture(t)
	const most = session.Budget - 400
	largest, refused := 0, false
	around(t, f, func(parts []int) bool { return len(parts) == 0 }, func(total int, parts []int) {
		refused = refused || len(parts) == 0
		largest = max(largest, total)
	})
	if !refused || largest > most || largest < most-16 {
		t.Errorf("the largest session takes %d bytes of %d, refused %v", largest, most, refused)
	}
}
