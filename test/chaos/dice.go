package chaos

import (
	"context"
	"crypto/rand"
	"math/big"
	"time"
)

// roll returns a random number from 0 to n-1. It has no seed: runs differ, so that one
// finds a race that another missed.
func roll(n int64) int64 {
	got, err := rand.Int(rand.Reader, big.NewInt(n))
	if err != nil {
		panic("chaos: reading random bytes: " + err.Error()) // never happens
	}
	return got.Int64()
}

// between returns a random duration from least to most.
func between(least, most time.Duration) time.Duration {
	return least + time.Duration(roll(int64(most-least)+1))
}

// shuffled returns the items in random order.
func shuffled[T any](items []T) []T {
	out := append([]T(nil), items...)
	for i := len(out) - 1; i > 0; i-- {
		j := roll(int64(i) + 1)
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// pause waits, and reports false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pollEvery is the pause between two checks of [until].
const pollEvery = 20 * time.Millisecond

// until waits for a condition in another process, and reports false if most
// passed or ctx ended first.
func until(ctx context.Context, most time.Duration, done func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for !done() {
		if !pause(ctx, pollEvery) {
			return false
		}
	}
	return true
}
