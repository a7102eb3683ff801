package doctor

import (
	"context"
	"maps"
	"slices"
)

// ExplainCause exports explainCause to the tests.
var ExplainCause = explainCause

// JudgeAppClient exports judgeAppClient to the tests.
var JudgeAppClient = judgeAppClient

// JudgeStore exports judgeStore to the tests.
var JudgeStore = judgeStore

// JudgeFiles exports judgeFiles to the tests.
var JudgeFiles = judgeFiles

// Explanations returns the meaning of each code, and what to do.
func Explanations() map[string][2]string {
	all := map[string][2]string{}
	for code, e := range explanations() {
		all[code] = [2]string{e.means, e.next}
	}
	return all
}

// RunAll exports runAll to the tests: one check for each area, in their alphabetical order.
func RunAll(ctx context.Context, areas map[string]func(context.Context)) []Finding {
	var checks []check
	for _, area := range slices.Sorted(maps.Keys(areas)) {
		checks = append(checks, check{area, func(ctx context.Context) []Finding {
			areas[area](ctx)
			return []Finding{good(area, "It ended.")}
		}})
	}
	return runAll(ctx, checks)
}
