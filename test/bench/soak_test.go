//go:build e2e

package bench_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
)

var soak = flag.Duration("soak", 6*time.Second, "length of the soak")

const (
	// soakRounds is the number of rounds. What the service holds is measured after each.
	soakRounds = 10
	// warmRounds is the number of rounds before the measurements are compared. In a soak
	// of ten minutes everything that is kept for a limited time has reached its full size
	// by then; see lifetime.
	warmRounds = 3
	// cleanupTime is how long the work of a round may take to end, such as a refresh, or a
	// WebSocket whose client is gone. cleanupPoll is the pause between two checks. It is
	// long, because every check makes garbage, and a garbage collection would close leaked
	// files and so hide the leak.
	cleanupTime = 15 * time.Second
	cleanupPoll = 200 * time.Millisecond

	// heapMargin is how much the live heap may grow after the warm-up. residentMargin is
	// the same for resident memory, which depends on when garbage is collected. The service
	// remembers up to 512 sessions that were opened lately, with some 5 KB each. In a soak of
	// less than a minute their number still grows, so rememberMargin is added.
	heapMargin     = 512 << 10
	rememberMargin = 2 << 20
	residentMargin = 16 << 20
	// seriesMargin is how many series may be new after the warm-up, because some outcomes
	// are rare. If there were a series for each session, path or client, hundreds would be.
	seriesMargin = 8
)

// lifetime returns the absolute lifetime and the idle timeout of sessions. It limits what
// may grow for a while: an ended session stays on the deny list until its absolute end,
// and the result of a refresh stays in memory for some 40 seconds. Both, and the times of
// probes, are removed at least once a minute, so that all have reached their full size
// after two minutes. In a soak of less than a minute no session expires, and what the
// logouts leave behind is a fraction of the margin.
func lifetime() time.Duration {
	if *soak < time.Minute {
		return time.Minute
	}
	return 8 * time.Second
}

// sampled is what the service holds after a round, when all its requests have ended.
type sampled struct {
	held

	steps  int
	series []string
}

// TestNothingGrows runs a mixed load of many sessions. After each round there must be no
// more goroutines and open files than before the first one, and after the warm-up memory
// and the number of series must not grow.
func TestNothingGrows(t *testing.T) {
	w := newSoakWorld(t)
	idle := w.idle()
	var after []sampled
	fmt.Print(sampleLine("round", "steps", "heap KB", "objects", "resident MB", "goroutines", "files", "series"))
	fmt.Print(sampled{held: w.held("?collect"), series: w.series()}.line("idle"))
	for i := range soakRounds {
		steps := w.load(t, *soak/soakRounds)
		w.waitUntilIdle(t, idle)
		if t.Failed() {
			return
		}
		s := sampled{held: w.held("?collect"), steps: steps, series: w.series()}
		fmt.Print(s.line(fmt.Sprint(i + 1)))
		after = append(after, s)
	}
	fmt.Print(w.summary())
	warm, margin := after[warmRounds-1], int64(heapMargin)
	if *soak < time.Minute {
		margin += rememberMargin
	}
	for i, s := range after[warmRounds:] {
		round := warmRounds + i + 1
		if grown := int64(s.Heap) - int64(warm.Heap); grown > margin {
			t.Errorf("round %d: the heap grew by %d KB", round, grown>>10)
		}
		if grown := s.RSS - warm.RSS; grown > residentMargin {
			t.Errorf("round %d: %d KB more are resident", round, grown>>10)
		}
	}
	if fresh := w.newSeries(warm, after[soakRounds-1]); len(fresh) > seriesMargin {
		t.Errorf("%d new series: %s", len(fresh), strings.Join(fresh, "\n"))
	}
}

// load runs all workers for that long, and returns how many steps they made.
func (w *soakWorld) load(t *testing.T, d time.Duration) (steps int) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	until := time.Now().Add(d)
	for _, worker := range w.workers {
		all.Go(func() {
			done, err := worker.work(until)
			mu.Lock()
			defer mu.Unlock()
			steps += done
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	return steps
}

// idle returns the fewest goroutines and files that the service has without requests.
func (w *soakWorld) idle() held {
	w.t.Helper()
	least := w.held("")
	ticks := time.NewTicker(cleanupPoll)
	defer ticks.Stop()
	for range 5 {
		w.closeIdleConnections()
		<-ticks.C
		now := w.held("")
		least.Goroutines, least.Files = min(least.Goroutines, now.Goroutines), min(least.Files, now.Files)
	}
	return least
}

// waitUntilIdle waits until the service has no more goroutines and files than when it was
// idle. It closes keep-alive connections from the other side, because the service keeps
// them on purpose.
func (w *soakWorld) waitUntilIdle(t *testing.T, idle held) {
	t.Helper()
	ticks := time.NewTicker(cleanupPoll)
	defer ticks.Stop()
	for deadline := time.Now().Add(cleanupTime); ; <-ticks.C {
		w.closeIdleConnections()
		now := w.held("")
		if now.Goroutines <= idle.Goroutines && now.Files <= idle.Files {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d goroutines and %d files are left, %d and %d were there when it was idle:\n%s",
				now.Goroutines, now.Files, idle.Goroutines, idle.Files, get(t, "http://"+w.at.Control+"/goroutines"))
			return
		}
	}
}

func (w *soakWorld) held(query string) (h held) {
	w.t.Helper()
	if err := json.Unmarshal(get(w.t, "http://"+w.at.Control+"/held"+query), &h); err != nil {
		w.t.Fatal(err)
	}
	return h
}

// series returns the names and labels of all metrics.
func (w *soakWorld) series() (names []string) {
	w.t.Helper()
	for line := range bytes.Lines(get(w.t, "http://"+w.at.Admin+"/metrics")) {
		if name, _, found := strings.Cut(string(line), " "); found && name != "#" {
			names = append(names, name)
		}
	}
	return names
}

// newSeries returns the series of later that are not in earlier.
func (*soakWorld) newSeries(earlier, later sampled) (fresh []string) {
	for _, name := range later.series {
		if !slices.Contains(earlier.series, name) {
			fresh = append(fresh, name)
		}
	}
	return fresh
}

func (s sampled) line(round string) string {
	return sampleLine(round, s.steps, s.Heap>>10, s.Objects, fmt.Sprintf("%.1f", float64(s.RSS)/(1<<20)), s.Goroutines, s.Files, len(s.series))
}

func sampleLine(cells ...any) string {
	return fmt.Sprintf("| %-5v | %7v | %8v | %8v | %11v | %10v | %5v | %6v |\n", cells...)
}

// summary returns how often each step was made, and the number of refreshes and probes at
// the provider.
func (w *soakWorld) summary() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(w.counts)) {
		fmt.Fprintf(&out, "%s: %d, ", name, w.counts[name])
	}
	fmt.Fprintf(&out, "refreshes: %d, probes: %d\n", w.pool.Count(cognitotest.TokenRefresh), w.pool.Count(cognitotest.UserInfo))
	return out.String()
}
