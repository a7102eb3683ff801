package doctor

import (
	"context"
	"maps"
	"slices"
)

// ExplainCause exports explainCause to the tests.
var ExplainCause = explainCause

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
