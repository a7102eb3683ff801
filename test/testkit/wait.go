package testkit

import (
	"testing"
	"time"
)

// Deadline is how long the helpers of this package wait for an event. A busy
// machine does not reach it, only a hang does.
const Deadline = time.Minute

// pollInterval is the pause between two calls of a condition.
const pollInterval = 5 * time.Millisecond

// Receive returns the next value of from. It fails the test if none comes within
// [Deadline] or if from is closed; what names the value.
func Receive[T any](tb testing.TB, from <-chan T, what string) T {
	tb.Helper()
	select {
	case value, ok := <-from:
		if !ok {
			tb.Fatalf("the channel was closed before %s", what)
		}
		return value
	case <-time.After(Deadline):
		tb.Fatalf("waited %v in vain for %s", Deadline, what)
		panic("unreachable")
	}
}

// WaitFor returns when the channel done is closed, and fails the test if that
// does not happen within [Deadline]; what names the event.
func WaitFor(tb testing.TB, done <-chan struct{}, what string) {
	tb.Helper()
	select {
	case <-done:
	case <-time.After(Deadline):
		tb.Fatalf("waited %v in vain for %s", Deadline, what)
	}
}

// Eventually calls condition until it returns true, and fails the test if it does
// not within [Deadline]; what names the condition. Where an event can be waited
// for, [Receive], [WaitFor] and [Log.Wait] are better.
func Eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	for late := time.Now().Add(Deadline); !condition(); time.Sleep(pollInterval) {
		if time.Now().After(late) {
			tb.Fatalf("waited %v in vain for: %s", Deadline, what)
		}
	}
}
