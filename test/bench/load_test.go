//go:build e2e

package bench_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// sample is one round of load on one proxy.
type sample struct {
	requests  int
	took      time.Duration
	latencies []time.Duration
	used      usage // during the round
}

// load sends the request over kept connections, each the next one when the
// answer is there, for the given time.
func load(t *testing.T, address, request string, connections int, d time.Duration) sample {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	var out sample
	begun := time.Now()
	for range connections {
		all.Go(func() {
			latencies, err := drive(address, request, begun.Add(d))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			out.latencies = append(out.latencies, latencies...)
		})
	}
	all.Wait()
	out.took, out.requests = time.Since(begun), len(out.latencies)
	slices.Sort(out.latencies)
	return out
}

func drive(address, request string, until time.Time) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	var latencies []time.Duration
	for begun := time.Now(); begun.Before(until); begun = time.Now() {
		if _, err := io.WriteString(conn, request); err != nil {
			return latencies, err
		}
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return latencies, err
		}
		n, err := io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || n != bodySize {
			return latencies, fmt.Errorf("answered %d with %d bytes: %w", answer.StatusCode, n, err)
		}
		latencies = append(latencies, time.Since(begun))
	}
	return latencies, nil
}

func (s sample) percentile(p float64) time.Duration {
	if len(s.latencies) == 0 {
		return 0
	}
	return s.latencies[min(len(s.latencies)-1, int(float64(len(s.latencies))*p))]
}

func (s sample) cpu() float64 { return float64(s.used.CPU.Nanoseconds()) / 1000 / float64(s.requests) } // µs

// median of a figure over the rounds.
func median(samples []sample, figure func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = figure(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// table compares the rounds of all three.
func table(bare, pooled, ours []sample) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%-26s %11s %11s %12s %15s %15s\n", "medians of the rounds", "bare proxy", "with a pool", "this service", "ratio to bare", "ratio to pooled")
	row := func(name, format string, figure func(sample) float64) {
		b, p, o := median(bare, figure), median(pooled, figure), median(ours, figure)
		fmt.Fprintf(&out, "%-26s %11s %11s %12s %15.2f %15.2f\n", name, fmt.Sprintf(format, b), fmt.Sprintf(format, p), fmt.Sprintf(format, o), o/b, o/p)
	}
	row("CPU per request (µs)", "%.1f", sample.cpu)
	row("requests per second", "%.0f", func(s sample) float64 { return float64(s.requests) / s.took.Seconds() })
	row("latency p50 (µs)", "%.0f", func(s sample) float64 { return float64(s.percentile(0.5).Microseconds()) })
	row("latency p99 (µs)", "%.0f", func(s sample) float64 { return float64(s.percentile(0.99).Microseconds()) })
	row("allocations per request", "%.1f", func(s sample) float64 { return float64(s.used.Mallocs) / float64(s.requests) })
	row("bytes per request", "%.0f", func(s sample) float64 { return float64(s.used.Bytes) / float64(s.requests) })
	return out.String()
}
