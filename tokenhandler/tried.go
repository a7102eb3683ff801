package tokenhandler

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// defaultTries is the default of [Limits].LoginCookie. One would do, if browsers did
	// not load a callback again whose answer has not come.
	defaultTries = 5
	// maxTried is how many logins each half of the memory holds.
	maxTried = 10_000
)

// triedLogins remembers the logins for which a code was sent to the provider. A login
// cookie opens for a quarter of an hour, so without this memory a single one would be
// enough to send any number of made-up codes. Its size is bounded: whoever makes it
// forget has to send a code for each login.
type triedLogins struct {
	mu sync.Mutex
	// current and previous count the tries by the hash of the login's state. An entry
	// is forgotten when previous is replaced, after loginLifetime at the earliest unless
	// there are too many.
	current, previous map[[12]byte]int
	since             time.Time // when current was empty
}

// take counts a try and reports whether it is allowed, as the first most are.
func (t *triedLogins) take(state string, most int, now time.Time) bool {
	sum := sha256.Sum256([]byte(state))
	key := [12]byte(sum[:12])
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil || len(t.current) >= maxTried || now.Sub(t.since) > loginLifetime {
		t.current, t.previous, t.since = make(map[[12]byte]int), t.current, now
	}
	tries := t.current[key] + t.previous[key]
	if tries >= most {
		return false
	}
	t.current[key]++
	return true
}
