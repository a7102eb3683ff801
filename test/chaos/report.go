package chaos

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// allFaultsTime is the duration from which a run must have injected every fault.
const allFaultsTime = time.Minute

// muchStall is a pause of the machine that a report of something broken mentions.
const muchStall = time.Second

// manyStories bounds how many browsers' requests are printed.
const manyStories = 3

// Report is the result of a run.
type Report struct {
	// Table is the result as text, for people.
	Table string
	// Broken lists the rows with a wrong value, and everything else that went wrong.
	Broken []string
}

type row struct {
	name, value, must string
	good              bool
}

// Run makes one run. It returns an error only if the run could not be made; the report
// holds the result. All processes end with the test.
func Run(tb testing.TB, options Options) (*Report, error) {
	tb.Helper()
	w, err := newWorld(tb, options)
	if err != nil {
		return nil, fmt.Errorf("starting the run: %w", err)
	}
	w.live(context.WithoutCancel(tb.Context()))
	report := w.report()
	_, _ = io.WriteString(options.Log, report.Table)
	if len(report.Broken) > 0 {
		w.explain(options.Log)
	}
	return report, nil
}

// report builds the table.
func (w *world) report() *Report {
	rows := append(w.userRows(), w.providerRows()...)
	for _, name := range allFaults() {
		r := row{name: "fault: " + name, value: fmt.Sprint(w.script.counts[name]), good: true}
		if w.options.Duration >= allFaultsTime {
			r.must, r.good = "≥ 1", w.script.counts[name] > 0
		}
		rows = append(rows, r)
	}
	report := &Report{}
	var table strings.Builder
	for _, r := range rows {
		verdict := ""
		if !r.good {
			verdict = "  BROKEN"
			report.Broken = append(report.Broken, r.name+": "+r.value+", must be "+r.must)
		}
		_, _ = fmt.Fprintf(&table, "%-58s %10s  %-7s%s\n", r.name, r.value, r.must, verdict)
	}
	for _, life := range w.races() {
		w.wrong = append(w.wrong, "the race detector found a data race in "+life)
	}
	for _, what := range w.wrong {
		_, _ = fmt.Fprintf(&table, "BROKEN: %s\n", what)
	}
	report.Broken = append(report.Broken, w.wrong...)
	if stood, longest := w.stalls.total(); len(report.Broken) > 0 && longest > muchStall {
		note := fmt.Sprintf("the machine stood still for %s, and for %s at once: see what the package comment says of that", stood.Round(time.Millisecond), longest.Round(time.Millisecond))
		_, _ = fmt.Fprintf(&table, "NOTE: %s\n", note)
		report.Broken = append(report.Broken, note)
	}
	report.Table = table.String()
	return report
}

func none(name string, n int) row {
	return row{name: name, value: fmt.Sprint(n), must: "0", good: n == 0}
}

func info(name string, value any) row { return row{name: name, value: fmt.Sprint(value), good: true} }

func (w *world) userRows() []row {
	gone, revoked, total := 0, 0, 0
	for _, b := range w.browsers {
		if b.gone.Load() {
			gone++
		}
		if w.pool.Living(b.user) != 1 {
			revoked++
		}
	}
	for _, n := range w.outcomes {
		total += n
	}
	stood, longest := w.stalls.total()
	slices.Sort(w.latencies)
	quantile := func(q float64) string {
		if len(w.latencies) == 0 {
			return "-"
		}
		return w.latencies[int(q*float64(len(w.latencies)-1))].Round(time.Millisecond).String()
	}
	return []row{
		info("duration", w.options.Duration),
		info("browsers", len(w.browsers)),
		info("requests", total),
		info("  served", w.outcomes[served]),
		{name: "made-up codes of attackers", value: fmt.Sprint(w.attacks.Load()), must: "≥ 1", good: w.attacks.Load() > 0},
		info("  answered 503 with Retry-After, the session kept", w.outcomes[unavailable]),
		info("  answered 429 with Retry-After, the session kept", w.outcomes[limited]),
		info("  broken off: their replica was killed", w.outcomes[killedUnder]),
		info("  broken off: the browser's connection was cut", w.outcomes[cutOff]),
		info("  refused by the API: the machine stood still", w.outcomes[stalled]),
		none("requests failed otherwise", w.outcomes[failed]),
		none("logins lost: browsers logged out", gone),
		none("logins lost: revoked at the provider", revoked),
		info("tokens that the API refused, sent again or not", w.upstream.refused.Load()),
		info("the machine stood still for", stood.Round(time.Millisecond)),
		info("  at once for", longest.Round(time.Millisecond)),
		info("latency p50", quantile(0.5)),
		info("latency p99", quantile(0.99)),
		info("latency, longest", quantile(1)),
		info("connections refused, sent to another replica", w.balancer.refused.Load()),
	}
}

func (w *world) providerRows() []row {
	steady := w.ledger.count(func(c call) bool { return !w.script.steadyAt(c) })
	all := w.ledger.count(func(call) bool { return false })
	return []row{
		info("refreshes", all.calls),
		{
			name: "refreshes per expiry, store up", must: "1.00", good: steady.calls > 0 && steady.calls == steady.due,
			value: fmt.Sprintf("%.2f", steady.rate()),
		},
		info("  of so many expiries", steady.due),
		info("refreshes per expiry, always", fmt.Sprintf("%.2f", all.rate())),
		none("reuse seen by the provider", all.reuse),
		info("calls that the provider answered 503 or 429", w.ledger.refused),
		info("calls dropped with their replica", w.ledger.dropped),
	}
}

// explain prints the faults, and the requests and refreshes of the first browsers that
// lost something.
func (w *world) explain(out io.Writer) {
	_, _ = fmt.Fprintf(out, "\nThe faults:\n%s\n", strings.Join(w.script.events, "\n"))
	for _, c := range w.ledger.reused() {
		_, _ = fmt.Fprintf(out, "%8s  generation %d of %s was refused to %s\n", w.since(c.at), c.generation, c.user, c.replica)
	}
	slices.SortStableFunc(w.losses, func(a, b loss) int { return cmp.Compare(a.outcome, b.outcome) }) // lost comes before failed
	for _, b := range w.losses[:min(len(w.losses), manyStories)] {
		_, _ = fmt.Fprintf(out, "\nWhat happened to %s until %s:\n%s\n", b.user, w.since(b.at), b.story)
		for _, c := range w.ledger.of(b.user) {
			_, _ = fmt.Fprintf(out, "%8s + %s  refresh of generation %d by %s: %d, early %v\n",
				w.since(c.at), c.took.Round(time.Millisecond), c.generation, c.replica, c.status, c.early)
		}
		w.logs(out, b)
	}
}

// aroundLoss is how much of the replicas' logs is printed before and after a loss.
const aroundLoss = 3 * time.Second

// logs prints the log records of a browser's session and, for the time around the
// loss, those that name no session.
func (w *world) logs(out io.Writer, b loss) {
	var lines []string
	for _, r := range w.replicas {
		for _, l := range r.lives {
			for line := range strings.Lines(l.child.Output()) {
				lines = append(lines, l.name+" | "+line)
			}
		}
	}
	sub, name := w.pool.User(b.user).Sub, "-"
	for _, line := range lines {
		if strings.Contains(line, sub) {
			_, rest, _ := strings.Cut(line, `"session":"`)
			name, _, _ = strings.Cut(rest, `"`)
		}
	}
	for _, line := range lines {
		when, ok := loggedAt(line)
		near := ok && when.After(b.at.Add(-aroundLoss)) && when.Before(b.at.Add(aroundLoss))
		ours := strings.Contains(line, name)
		if ours || near && !strings.Contains(line, `"session":"`) && !strings.Contains(line, `"msg":"request"`) {
			_, _ = fmt.Fprintf(out, "%8s  %s", w.since(when), line)
		}
	}
}

// loggedAt returns the time of a log record.
func loggedAt(line string) (time.Time, bool) {
	_, rest, _ := strings.Cut(line, `"time":"`)
	text, _, _ := strings.Cut(rest, `"`)
	at, err := time.Parse(time.RFC3339Nano, text)
	return at, err == nil
}

func containsRace(output string) bool { return strings.Contains(output, "DATA RACE") }
