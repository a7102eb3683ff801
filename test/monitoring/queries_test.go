package monitoring_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// question is a query that must have an answer.
type question struct {
	from  string // where it stands
	query string
	// labels are those that each series of the answer must have.
	labels []string
}

// questions returns, for a Prometheus that has scraped a service in use: every query of
// the dashboard, and every selector in a query of the dashboard or in an alert.
func questions(t *testing.T) []question {
	t.Helper()
	var all []question
	panels, variables := dashboard(t)
	for _, p := range panels {
		for _, target := range p.Targets {
			query := withVariables(target.Expr)
			all = append(all, question{"panel " + p.Title, query, legendLabels(target.Legend)})
			all = append(all, selectorQuestions("panel "+p.Title, query)...)
		}
	}
	for _, v := range variables[1:] {
		all = append(all, selectorQuestions("variable "+v.Name, withVariables(v.Definition))...)
	}
	for _, a := range alerts(t) {
		all = append(all, selectorQuestions("alert "+a.Name, a.Expr)...)
	}
	return all
}

// withVariables puts the values into a query that Grafana would.
func withVariables(expr string) string {
	return strings.NewReplacer("$__rate_interval", "10s", "$job", "tokenhandler", "$instance", ".*").Replace(expr)
}

func legendLabels(legend string) []string {
	var labels []string
	for _, match := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(legend, -1) {
		labels = append(labels, match[1])
	}
	return labels
}

var (
	selectorPattern = regexp.MustCompile(`\b(?:tokenhandler_\w+|process_\w+|go_\w+|up)\b(?:{[^}]*})?`)
	groupPattern    = regexp.MustCompile(`\bby \(([^)]*)\)`)
)

// selectorQuestions returns a question for each selector in expr and each of the values
// that its matchers name. Each series must have the labels by which expr groups it: those
// of the last "by" before it.
func selectorQuestions(from, expr string) []question {
	var all []question
	for _, at := range selectorPattern.FindAllStringIndex(expr, -1) {
		var labels []string
		if groups := groupPattern.FindAllStringSubmatch(expr[:at[0]], -1); len(groups) > 0 {
			labels = strings.Split(strings.ReplaceAll(groups[len(groups)-1][1], " ", ""), ",")
		}
		metric, matchers, _ := strings.Cut(strings.TrimSuffix(expr[at[0]:at[1]], "}"), "{")
		for _, one := range singleMatchers(matchers) {
			all = append(all, question{from, metric + "{" + one + "}", labels})
		}
	}
	return all
}

var matcherPattern = regexp.MustCompile(`(\w+)(=~|!=|!~|=)"([^"]*)"`)

// singleMatchers returns the matchers with one value each, for every combination of the
// values that they name. A value that is to be left out must exist, too.
func singleMatchers(matchers string) []string {
	all := []string{""}
	for _, m := range matcherPattern.FindAllStringSubmatch(matchers, -1) {
		if m[3] == ".*" {
			continue
		}
		var longer []string
		for value := range strings.SplitSeq(m[3], "|") {
			for _, one := range all {
				longer = append(longer, strings.TrimPrefix(one+`,`+m[1]+`="`+value+`"`, ","))
			}
		}
		all = longer
	}
	return all
}

func TestSelectorQuestions(t *testing.T) {
	var got []string
	for _, q := range selectorQuestions("", `sum by (job, kind) (rate(tokenhandler_a_total{kind=~"x|y",b!="z"}[5m])) > sum by (job) (up)`) {
		got = append(got, q.query+" "+strings.Join(q.labels, "+"))
	}
	want := []string{`tokenhandler_a_total{kind="x",b="z"} job+kind`, `tokenhandler_a_total{kind="y",b="z"} job+kind`, `up{} job`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestMetricsAreDocumented: what dashboard and alerts ask for stands in the table of
// README.md, which another test compares with the service.
func TestMetricsAreDocumented(t *testing.T) {
	documented, seen := read(t, "README.md"), 0
	for _, q := range questions(t) {
		for _, metric := range regexp.MustCompile(`tokenhandler_\w+`).FindAllString(q.query, -1) {
			seen++
			base := regexp.MustCompile(`_bucket$`).ReplaceAllString(metric, "")
			if !strings.Contains(documented, "| `"+base+"` |") {
				t.Errorf("%s: README.md has no metric %s", q.from, metric)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d metrics were found", seen)
	}
}
