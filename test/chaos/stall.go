package chaos

import (
	"context"
	"sync"
	"time"
)

const (
	// stallTick is the interval of the timer that detects pauses of the machine.
	stallTick = 20 * time.Millisecond
	// stallLeast is how late the timer must be for a pause to count.
	stallLeast = 200 * time.Millisecond
	// tokenMargin is how long before its end the token handler stops to use an access
	// token. A token can expire on its way to the API if that takes longer.
	tokenMargin = 600 * time.Millisecond
)

// stalls records the pauses of this process, and so most likely of the whole machine.
type stalls struct {
	mu    sync.Mutex
	found []window
}

// watch records pauses until ctx ends.
func (s *stalls) watch(ctx context.Context) {
	for from := time.Now(); pause(ctx, stallTick); from = time.Now() {
		if now := time.Now(); now.Sub(from) > stallTick+stallLeast {
			s.mu.Lock()
			s.found = append(s.found, window{from, now})
			s.mu.Unlock()
		}
	}
}

// during reports whether there was a pause in the given time.
func (s *stalls) during(from, to time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stall := range s.found {
		if stall.from.Before(to) && from.Before(stall.to) {
			return true
		}
	}
	return false
}

// total returns the sum of all pauses, and the longest one.
func (s *stalls) total() (total, longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stall := range s.found {
		took := stall.to.Sub(stall.from)
		total, longest = total+took, max(longest, took)
	}
	return total, longest
}
