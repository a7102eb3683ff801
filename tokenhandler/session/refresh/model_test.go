package refresh_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"
)

// The model-based test plays scenarios, each made of one seed: browsers with
// tabs, replicas, a provider and a store that break down, processes that die,
// responses that get lost. Every response is checked against what the model knows: what
// the browser holds, what the provider did, and which process knows that a session
// ended. The model knows nothing of how the package works.
//
//	go test -run TestModel ./tokenhandler/session/refresh                   the default seeds
//	go test -run TestModel ./tokenhandler/session/refresh -seeds 10000      more of them
//	go test -run TestModel ./tokenhandler/session/refresh -seed 17 -seeds 1 one again
var (
	firstSeed = flag.Uint64("seed", 1, "the first seed of the model-based test")
	seedCount = flag.Uint64("seeds", defaultSeeds, "how many seeds the model-based test plays")
)

// maxFailures is how many failing seeds are shown before the test gives up.
const maxFailures = 3

// TestModel plays the scenarios. Of the first seeds that fail it prints what happened,
// with as few steps as still fail.
func TestModel(t *testing.T) {
	total, failures := make(map[string]int), 0
	for seed := *firstSeed; seed < *firstSeed+*seedCount; seed++ {
		w := playSeed(t, seed, maxSteps)
		for what, n := range w.counts {
			total[what] += n
		}
		if w.violation == "" {
			continue
		}
		w = shortest(t, w)
		t.Errorf("seed %d, %d steps, %v:\n%s\nVIOLATION: %s", seed, w.steps, w.cfg, strings.Join(w.trace, "\n"), w.violation)
		if failures++; failures == maxFailures {
			break
		}
	}
	var lines []string
	for what, n := range total {
		lines = append(lines, fmt.Sprintf("%8d %s", n, what))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[9:], b[9:]) })
	t.Logf("what was played:\n%s", strings.Join(lines, "\n"))
	mustHaveHappened(t, total)
}

// mustHaveHappened fails the test if something never happened in it.
func mustHaveHappened(t *testing.T, total map[string]int) {
	t.Helper()
	const enough = 200 // seeds
	if *seedCount < enough {
		return
	}
	for _, what := range []string{
		"answer: ok", "answer: idle", "answer: expired", "answer: revoked", "answer: rejected", "answer: superseded", "answer: unavailable",
		"provider: renewed", "provider: refused", "provider: unverified", "cookie: partial", "excused: crash", "excused: no store", "alive at the end",
		"step: crash", "step: restart", "step: logout", "step: everywhere", "step: revoke", "step: outage", "step: store", "step: lose", "step: disable",
	} {
		if total[what] == 0 {
			t.Errorf("never happened: %s", what)
		}
	}
}

// playSeed plays at most the given number of steps of one scenario.
func playSeed(t *testing.T, seed uint64, steps int) *world {
	t.Helper()
	var w *world
	t.Run(fmt.Sprint(seed), func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, seed) // refreshes are spread by the ids of their sessions
		synctest.Test(t, func(t *testing.T) {
			w = newWorld(t, seed)
			w.play(steps)
		})
	})
	return w
}

// TestModelReplays: a seed that fails must fail again, to be of use. Things that
// happen in the same nanosecond may happen in any order, and so may publications.
func TestModelReplays(t *testing.T) {
	lines := func(seed uint64) []string {
		trace := playSeed(t, seed, maxSteps).trace
		trace = slices.DeleteFunc(trace, func(line string) bool { return strings.Contains(line, " publishes ") })
		slices.Sort(trace)
		return trace
	}
	for seed := range uint64(5) {
		first, again := lines(seed), lines(seed)
		for i, line := range first {
			if i >= len(again) || again[i] != line {
				t.Errorf("seed %d, line %d of %d:\n%s\nthe second time:\n%s", seed, i, len(first), line, again[min(i, len(again)-1)])
				break
			}
		}
	}
}

// shortest plays ever more steps of a failing scenario until it fails.
func shortest(t *testing.T, failed *world) *world {
	t.Helper()
	for steps := range failed.steps {
		if w := playSeed(t, failed.seed, steps); w.violation != "" {
			return w
		}
	}
	return failed
}

// rng is SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same
// seed, on every machine.
type rng struct{ state uint64 }

func (r *rng) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *rng) below(n int) int { return int(r.next() % uint64(n)) }

func (r *rng) chance(percent int) bool { return r.below(100) < percent }

// between is at least low and below high, to the nanosecond: two things hardly ever
// happen at the same time, so that a seed plays the same each time.
func (r *rng) between(low, high time.Duration) time.Duration {
	return low + time.Duration(r.next()%uint64(high-low))
}

func pick[T any](r *rng, from ...T) T { return from[r.below(len(from))] }
