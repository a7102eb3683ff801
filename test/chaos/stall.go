package chaos

import (
	"context"
	"sync"
	"time"
)

const (
	// stallTick is how often the machine is asked whether it still runs.
	stallTick = 20 * time.Millisecond
	// stallLeast is how late the answer must be to count. An access token of
	// accessTTL is used until some 600 ms before its end: a machine that stands still
	// while a request is on its way can let it end there.
	stallLeast = 200 * time.Millisecond
)

// stalls are the times in which this process, and with it most likely the whole
// machine, stood still.
type stalls struct {
	mu    sync.Mutex
	found []window
}

// watch looks for them until ctx ends.
func (s *stalls) watch(ctx context.Context) {
	for from := time.Now(); pause(ctx, stallTick); from = time.Now() {
		if now := time.Now(); now.Sub(from) > stallTick+stallLeast {
			s.mu.Lock()
			s.found = append(s.found, window{from, now})
			s.mu.Unlock()
		}
	}
}

// during reports whether there was one in the time given.
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

// total is how long they were in all.
func (s *stalls) total() (total time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stall := range s.found {
		total += stall.to.Sub(stall.from)
	}
	return total
}
