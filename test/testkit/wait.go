package testkit

import (
	"testing"
	"time"
)

// Deadline is how long the helpers of this package wait for an event. A busy
// machine does not reach it, only a hang does.
const Deadline = 5 * time.Minute

// pollInterval is the pause between two calls of a condition.
const pollInterval = 5 * time.Millisecond

// Receive returns the next value of from, or the zero value when from is closed.
// It fails the test if neither happens within [Deadline]; what names the event.
func Receive[T any](tb testing.TB, from <-chan T, what string) T {
	tb.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(Deadline):
		tb.Fatalf("waited %v in vain for %s", Deadline, what)
		panic("unreachable")
	}
}

// Eventually calls condition until it returns true, and fails the test if it does
// not within [Deadline]; what names the condition. Where an event can be waited
// for, [Receive] and [Log.Wait] are better.
func Eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	for late := time.Now().Add(Deadline); !condition(); time.Sleep(pollInterval) {
		if time.Now().After(late) {
			tb.Fatalf("waited %v in vain for: %s", Deadline, what)
		}
	}
}

// fastAttempts is how often [Fast] tries.
const fastAttempts = 5

// Fast calls attempt, which returns the time that it measured, until that is less
// than limit. It fails the test if none of five attempts is: a busy machine delays
// some of them, a defect delays all; what names what is measured.
func Fast(tb testing.TB, limit time.Duration, what string, attempt func() time.Duration) {
	tb.Helper()
	var took []time.Duration
	for range fastAttempts {
		took = append(took, attempt())
		if took[len(took)-1] < limit {
			return
		}
	}
	tb.Errorf("%s took %v, want less than %v once", what, took, limit)
}
