package main

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// rareGC is GOGC for a process with a memory limit. Requests leave almost only
// garbage, and the live heap is small, so that with Go's default of 100 collections
// are frequent. A higher value makes them rarer; the limit bounds the growth.
const rareGC = 400

// noLimit is the value of Go's memory limit when no limit is set.
const noLimit = math.MaxInt64

// tuneMemory sets Go's memory limit to 90 % of the container's, unless GOMEMLIMIT
// is set, and sets GOGC to the result of chooseGOGC. If there is an error,
// both stay as they were.
func tuneMemory(environ []string) (limit int64, gogc int, err error) {
	limit, err = memlimit.Set() // heeds AUTOMEMLIMIT, too; it does not log
	if errors.Is(err, memlimit.ErrNoCgroup) || errors.Is(err, memlimit.ErrCgroupsNotSupported) {
		err = nil // not in a container
	}
	gogc = chooseGOGC(debug.SetGCPercent(-1), limit, environ)
	debug.SetGCPercent(gogc)
	return limit, gogc, err
}

// chooseGOGC returns rareGC if there is a memory limit and the operator has not set
// GOGC. Otherwise it returns now, the present value.
func chooseGOGC(now int, limit int64, environ []string) int {
	if limit == noLimit || isSet("GOGC", environ) {
		return now
	}
	return rareGC
}

// isSet reports whether a variable is set and not empty. Go's runtime, too, takes an
// empty GOGC for one that is not set.
func isSet(name string, environ []string) bool {
	for _, entry := range environ {
		if value, found := strings.CutPrefix(entry, name+"="); found && value != "" {
			return true
		}
	}
	return false
}

// limitText formats a memory limit as a value of GOMEMLIMIT.
func limitText(limit int64) string {
	if limit == noLimit {
		return "off"
	}
	return fmt.Sprintf("%dMiB", limit>>20)
}
