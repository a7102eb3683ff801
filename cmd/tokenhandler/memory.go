package main

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// rareGC is GOGC where a memory limit bounds what it lets grow. Requests leave
// garbage and hardly anything else: with Go's default, 100, half of what the
// process holds is garbage, and it is collected all the time.
const rareGC = 400

// noLimit is Go's memory limit when there is none.
const noLimit = math.MaxInt64

// tuneMemory sets Go's memory limit to 90 % of the container's, unless GOMEMLIMIT
// gives it, and GOGC to what suits it. With an error both are as they were.
func tuneMemory(environ []string) (limit int64, gogc int, err error) {
	limit, err = memlimit.Set() // heeds AUTOMEMLIMIT, too; it does not log
	if errors.Is(err, memlimit.ErrNoCgroup) || errors.Is(err, memlimit.ErrCgroupsNotSupported) {
		err = nil // not in a container
	}
	gogc = chooseGOGC(debug.SetGCPercent(-1), limit, environ)
	debug.SetGCPercent(gogc)
	return limit, gogc, err
}

// chooseGOGC is rareGC under a memory limit, unless the operator has set another.
func chooseGOGC(now int, limit int64, environ []string) int {
	if limit == noLimit || isSet("GOGC", environ) {
		return now
	}
	return rareGC
}

// isSet is as Go's runtime sees it: empty is not set.
func isSet(name string, environ []string) bool {
	for _, entry := range environ {
		if value, found := strings.CutPrefix(entry, name+"="); found && value != "" {
			return true
		}
	}
	return false
}

// limitText is a memory limit as GOMEMLIMIT spells it.
func limitText(limit int64) string {
	if limit == noLimit {
		return "off"
	}
	return fmt.Sprintf("%dMiB", limit>>20)
}
