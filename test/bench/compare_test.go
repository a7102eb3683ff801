//go:build e2e

package bench_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
)

var (
	rounds   = flag.Int("rounds", 1, "rounds of each proxy in each setting")
	duration = flag.Duration("duration", time.Second, "length of a round, in whole seconds")
	settings = flag.String("settings", "free:100", "comma-separated settings, each cores:GOGC; cores is free or a core to which the proxy is pinned")
	load     = flag.Float64("load", 0.5, "the fixed rate at which latency is measured, as a fraction of the rate that the bare proxy reaches")
	before   = flag.String("before", "", "a second binary of the service, which is measured in the same rounds")
)

// published are ratios of CPU per request to a bare Go reverse proxy that were measured elsewhere in
// the same way. They are quoted, not measured here.
const published = "for orientation, measured elsewhere in the same way: oauth2-proxy 5.7, nginx 0.37"

// TestProxyAgainstABareOne compares the service with a reverse proxy that does nothing but forward. It
// prints the comparison, and fails only if a request fails.
//
//  1. Every proxy runs in a process of its own, one for each setting; so do the upstream and the load.
//  2. Capacity: wrk sends requests over 32 connections as fast as they are answered. CPU is the user and
//     system time of the proxy's process.
//  3. Latency: vegeta sends requests at a fixed fraction of the rate that the bare proxy reached in 2.
//
// The rounds of all proxies and settings alternate, so that a disturbance of the machine hits all alike.
func TestProxyAgainstABareOne(t *testing.T) {
	upstream := startUpstream(t)
	pool := cognitotest.New(t, cognitotest.Options{CallbackURLs: []string{publicURL + "/auth/callback"}})
	configuration := configure(pool, "", fmt.Sprintf("api: {routes: [{path: /api/, upstream: %q}]}", upstream))
	binaries := []string{os.Getenv("TOKENHANDLER_BINARY")}
	if binaries[0] == "" {
		t.Fatal("TOKENHANDLER_BINARY is not set (run `make bench`)")
	}
	if *before != "" {
		binaries = append(binaries, *before)
	}
	var runs []*comparison
	for text := range strings.SplitSeq(*settings, ",") {
		s := parseSetting(t, text)
		c := &comparison{setting: s, proxies: []*measured{{name: "bare proxy", child: startBare(t, s, upstream)}}}
		for i, binary := range binaries {
			name := []string{"this service", "before"}[i]
			c.proxies = append(c.proxies, &measured{name: name, child: startBinary(t, s, binary, configuration)})
		}
		runs = append(runs, c)
	}
	session := runs[0].proxies[1].child.address
	t.Logf("the request's head has %d bytes, %d of them cookies", len(requestHead(login(t, session))), len(login(t, session)))
	for round := range *rounds + 1 { // the first is a warm-up
		for _, c := range runs {
			for _, m := range c.proxies {
				// Each round logs in again, because after a minute every response would set a new
				// activity cookie. A browser would send it back, but this load does not.
				m.capacity(t, login(t, session), round > 0)
			}
		}
	}
	for round := range *rounds + 1 {
		for _, c := range runs {
			rate := c.fixedRate()
			for _, m := range c.proxies {
				m.latency(t, login(t, session), rate, round > 0)
			}
		}
	}
	if t.Failed() {
		return
	}
	fmt.Printf("%d rounds of %s of each proxy in turn, %d connections\n%s\n", *rounds, *duration, connections, published)
	for _, c := range runs {
		fmt.Print(c.table())
	}
}

// comparison is the measurement of several proxies in one setting; the first proxy is the bare one.
type comparison struct {
	setting setting
	proxies []*measured
}

// measured is a proxy with the measurements of each round.
type measured struct {
	name  string
	child *child

	user, system []float64 // µs of CPU per request
	rates        []float64 // requests per second at capacity
	p50, p99     []float64 // µs at the fixed rate
}

func (m *measured) cpu() []float64 {
	all := make([]float64, len(m.user))
	for i := range all {
		all[i] = m.user[i] + m.system[i]
	}
	return all
}

// capacity runs a round of wrk.
func (m *measured) capacity(t *testing.T, cookies string, counts bool) {
	t.Helper()
	begun := m.child.used(t)
	answered, rate := runWrk(t, m.child.address, cookies, *duration)
	ended := m.child.used(t)
	m.child.truncateLog(t)
	if counts {
		m.user = append(m.user, microseconds(ended.user-begun.user)/float64(answered))
		m.system = append(m.system, microseconds(ended.system-begun.system)/float64(answered))
		m.rates = append(m.rates, rate)
	}
}

// latency runs a round of vegeta.
func (m *measured) latency(t *testing.T, cookies string, rate int, counts bool) {
	t.Helper()
	p50, p99 := runVegeta(t, m.child.address, cookies, rate, *duration)
	m.child.truncateLog(t)
	if counts {
		m.p50, m.p99 = append(m.p50, microseconds(p50)), append(m.p99, microseconds(p99))
	}
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// fixedRate is the rate at which the latency of all proxies is measured.
func (c *comparison) fixedRate() int {
	return max(1, int(median(c.proxies[0].rates)**load))
}

// table returns the medians of the rounds, and the medians of the ratios to the bare
// proxy. Each ratio is that of two neighbouring rounds, which found the machine in the
// same state.
func (c *comparison) table() string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n%-34s", c.setting)
	for i, m := range c.proxies {
		fmt.Fprintf(&out, " %13s", m.name)
		if i > 0 {
			fmt.Fprintf(&out, " %6s", "ratio")
		}
	}
	row := func(name string, figure func(*measured) []float64) {
		fmt.Fprintf(&out, "\n%-34s", name)
		bare := figure(c.proxies[0])
		for i, m := range c.proxies {
			values := figure(m)
			fmt.Fprintf(&out, " %13.1f", median(values))
			if i > 0 {
				ratios := make([]float64, len(values))
				for j := range ratios {
					ratios[j] = values[j] / bare[j]
				}
				fmt.Fprintf(&out, " %6.2f", median(ratios))
			}
		}
	}
	row("CPU per request (µs)", (*measured).cpu)
	row("  in user mode", func(m *measured) []float64 { return m.user })
	row("  in the kernel", func(m *measured) []float64 { return m.system })
	row("requests per second, at most", func(m *measured) []float64 { return m.rates })
	rate := c.fixedRate()
	row(fmt.Sprintf("p50 at %d requests/s (µs)", rate), func(m *measured) []float64 { return m.p50 })
	row(fmt.Sprintf("p99 at %d requests/s (µs)", rate), func(m *measured) []float64 { return m.p99 })
	return out.String() + "\n"
}
