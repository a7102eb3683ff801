package testkit

import (
	"flag"
	"fmt"
	"strconv"
	"testing"
)

// RunWaiting runs the tests of a package and returns the exit code, as [testing.M.Run] does.
// Of the tests that call t.Parallel, so many run at a time, unless -parallel is set: they
// wait most of the time, and would otherwise do so one after the other on few cores.
func RunWaiting(m *testing.M, atOnce int) int {
	flag.Parse() //nolint:revive // as testing.M.Run would
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" })
	if !set {
		if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
			panic(fmt.Sprintf("testkit: running tests in parallel: %v", err))
		}
	}
	return m.Run()
}
