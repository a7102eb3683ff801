package doctor

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"
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

// roundTripper answers requests.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// ClockWithAge returns the level of the finding about the clocks for an answer with this
// Date and Age, or "none".
func ClockWithAge(date time.Time, age string) string {
	clock := &clockReader{now: time.Now, next: roundTripper(func(*http.Request) (*http.Response, error) {
		header := http.Header{"Date": {date.UTC().Format(http.TimeFormat)}}
		if age != "" {
			header.Set("Age", age)
		}
		return &http.Response{Header: header, Body: http.NoBody}, nil
	})}
	answer, err := clock.RoundTrip(&http.Request{})
	if err != nil {
		return err.Error()
	}
	_ = answer.Body.Close()
	finding, known := clock.finding()
	if !known {
		return "none"
	}
	return string(finding.Level)
}
