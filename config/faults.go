package config

import (
	"fmt"
	"slices"
	"strings"
)

// maxFaults is the largest number of faults that are reported.
const maxFaults = 100

// Fault is one error in the configuration. It never contains a secret.
type Fault struct {
	// Where is "file:line", or the name of the file or of an environment variable.
	Where string
	// Key is the dotted path, such as session.idle_timeout or
	// api.routes[0].path; empty if the fault concerns the whole file.
	Key string
	// Problem says what is wrong, Fix what to write instead.
	Problem string
	Fix     string

	line int
}

// String returns the fault on one line: where, key, problem; fix.
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

// Warning is a setting that is allowed and may still be a mistake: it weakens a
// protection, or has no effect. It never contains a secret.
type Warning struct {
	Fault

	// Insecure reports whether the key is one that weakens a protection, and is set.
	Insecure bool
}

// Faults lists all errors in a configuration: first those in lines of the file, in
// the order of the lines, then missing keys and those in the environment.
type Faults []Fault //nolint:errname // it is a list of faults

// Error returns the faults, one per line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the faults in the order that [Faults] describes, at most maxFaults.
func (fs Faults) sorted() Faults {
	slices.SortStableFunc(fs, compareLines)
	if more := len(fs) - maxFaults; more > 0 {
		return append(fs[:maxFaults:maxFaults], Fault{Problem: fmt.Sprintf("and %d more", more)})
	}
	return fs
}

// compareLines compares the lines of two faults. Those without a line are last.
func compareLines(a, b Fault) int {
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
}
