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
	// rounds of load in a soak; what is held is looked at after each.
	soakRounds = 10
	// warmRounds of them come before it counts. In a soak of ten minutes all that
	// is kept for a while has come to its full size by then, see soakSession.
	warmRounds = 3
	// settleTime is how long what a round began may take to end: a refresh, a
	// socket whose client is gone, a connection that was made and never used.
	// settlePoll is long: every look makes garbage, and its collection would close
	// files that nobody closed.
	settleTime = 15 * time.Second
	settlePoll = 200 * time.Millisecond

	// heapMargin is what the live heap may have more than after the warm-up, and
	// residentMargin the resident memory, which the collector's timing moves.
	heapMargin     = 512 << 10
	residentMargin = 16 << 20
	// seriesMargin allows outcomes that are rare. A series for each session, path
	// or client would be some hundreds.
	seriesMargin = 8
)

// lifetime is how long sessions last, at work or idle. It bounds what is meant to
// grow: an ended session stays on the deny list until its absolute end, what
// became of a refreshed one in memory for some 40 seconds more; they and the times
// of probes are swept once a minute at least. So all are at their full size after
// two minutes. A short soak is over before that: there none comes to its end, and
// what the logouts leave is a fraction of the margin.
func lifetime() time.Duration {
	if *soak < time.Minute {
		return time.Minute
	}
	return 8 * time.Second
}

// sampled is what the service holds after a round, when nothing is under way.
type sampled struct {
	held

	steps  int
	series []string
}

// TestNothingGrows soaks the service in a mixed load of many sessions. After each
// round every goroutine and every open file must be gone that was not there
// before the first, and after the warm-up memory and series may not grow.
func TestNothingGrows(t *testing.T) {
	w := newSoakWorld(t)
	idle := w.idle()
	var after []sampled
	fmt.Print(sampleLine("round", "steps", "heap KB", "objects", "resident MB", "goroutines", "files", "series"))
	fmt.Print(sampled{held: w.held("?collect"), series: w.series()}.line("idle"))
	for i := range soakRounds {
		steps := w.load(t, *soak/soakRounds)
		w.settle(t, idle)
		if t.Failed() {
			return
		}
		s := sampled{held: w.held("?collect"), steps: steps, series: w.series()}
		fmt.Print(s.line(fmt.Sprint(i + 1)))
		after = append(after, s)
	}
	fmt.Print(w.counted())
	warm := after[warmRounds-1]
	for i, s := range after[warmRounds:] {
		round := warmRounds + i + 1
		if grown := int64(s.Heap) - int64(warm.Heap); grown > heapMargin {
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

// load runs all visitors for that long, and returns how many steps they made.
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

// idle is the least that the service holds while nothing goes on.
func (w *soakWorld) idle() held {
	w.t.Helper()
	least := w.held("")
	ticks := time.NewTicker(settlePoll)
	defer ticks.Stop()
	for range 5 {
		w.closeIdleConnections()
		<-ticks.C
		now := w.held("")
		least.Goroutines, least.Files = min(least.Goroutines, now.Goroutines), min(least.Files, now.Files)
	}
	return least
}

// settle waits until the service holds no more than when it was idle. Kept
// connections are closed from the other side: they are meant to stay.
func (w *soakWorld) settle(t *testing.T, idle held) {
	t.Helper()
	ticks := time.NewTicker(settlePoll)
	defer ticks.Stop()
	for deadline := time.Now().Add(settleTime); ; <-ticks.C {
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

// series are the names and labels that a scrape shows.
func (w *soakWorld) series() (names []string) {
	w.t.Helper()
	for line := range bytes.Lines(get(w.t, "http://"+w.at.Admin+"/metrics")) {
		if name, _, found := strings.Cut(string(line), " "); found && name != "#" {
			names = append(names, name)
		}
	}
	return names
}

// newSeries are those of later that earlier has not.
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

// counted tells how often each step was made, and what the provider was asked.
func (w *soakWorld) counted() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(w.counts)) {
		fmt.Fprintf(&out, "%s: %d, ", name, w.counts[name])
	}
	fmt.Fprintf(&out, "refreshes: %d, probes: %d\n", w.pool.Count(cognitotest.TokenRefresh), w.pool.Count(cognitotest.UserInfo))
	return out.String()
}
