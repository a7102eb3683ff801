package config

import (
	"fmt"
	"slices"
	"strings"
)

// maxFaults bounds how much a garbage file can make us say.
const maxFaults = 100

// Fault is one thing wrong with the configuration. It never holds a secret.
type Fault struct {
	// Where is "file:line", the file's name or the environment variable's.
	Where string
	// Key is the dotted path, such as session.idle_timeout or
	// api.routes[0].path; empty if the file as a whole is at fault.
	Key string
	// Problem is what is wrong, Fix what to write instead.
	Problem string
	Fix     string

	line int
}

// String is the fault on one line: where, key, problem; fix.
func (f Fault) String() string {
	var b strings.Builder
	for _, part := range []string{f.Where, f.Key} {
		if part != "" {
			b.WriteString(part)
			b.WriteString(": ")
		}
	}
	b.WriteString(f.Problem)
	if f.Fix != "" {
		b.WriteString("; ")
		b.WriteString(f.Fix)
	}
	return b.String()
}

// Faults is everything wrong with a configuration: first what stands in the
// file, in the file's order, then what is missing or comes from the environment.
type Faults []Fault //nolint:errname // a list, and errors.As reads well with it

// Error is one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the faults in the order that [Faults] promises.
func (fs Faults) sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		switch {
		case a.line == b.line:
			return 0
		case a.line == 0:
			return 1
		case b.line == 0:
			return -1
		default:
			return a.line - b.line
		}
	})
	if more := len(fs) - maxFaults; more > 0 {
		return append(fs[:maxFaults:maxFaults], Fault{Problem: fmt.Sprintf("and %d more", more)})
	}
	return fs
}
