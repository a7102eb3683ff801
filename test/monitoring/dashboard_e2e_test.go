//go:build e2e

package monitoring_test

import (
	"slices"
	"testing"
	"time"

	"cognito-token-handler/test/testkit"
)

// patience is how long a stack under load may take until every panel has data.
const patience = testkit.Deadline

// TestNoPanelIsEmpty uses a stack until Prometheus has an answer to every question. Then
// no alert fires, because nothing of this is a fault.
func TestNoPanelIsEmpty(t *testing.T) {
	w, open := newWorld(t), questions(t)
	if len(open) < 150 {
		t.Fatalf("only %d questions", len(open))
	}
	for end := time.Now().Add(patience); len(open) > 0; {
		w.use(t)
		var left []question
		var faults []string
		for _, q := range open {
			if fault := w.prometheus.ask(t, q); fault != "" {
				left, faults = append(left, q), append(faults, q.from+": "+fault+" for "+q.query)
			}
		}
		open = left
		if len(open) > 0 && time.Now().After(end) {
			for _, fault := range faults {
				t.Error(fault)
			}
			return
		}
	}
	w.wantNoAlert(t)
}

// rule is the state of an alert.
type rule struct{ Name, Health, LastError, State string }

// wantNoAlert waits until every alert was evaluated and none is pending, as a stall of the
// machine may make one for a moment. Then none must fire.
func (w *world) wantNoAlert(t *testing.T) {
	t.Helper()
	var rules []rule
	testkit.Eventually(t, "every alert is decided", func() bool {
		rules = w.rules(t)
		return !slices.ContainsFunc(rules, func(r rule) bool { return r.State == "pending" || r.Health == "unknown" })
	})
	for _, r := range rules {
		if r.Health != "ok" || r.State != "inactive" {
			t.Errorf("%s is %s, %s %s", r.Name, r.State, r.Health, r.LastError)
		}
	}
	if len(rules) != len(alerts(t)) {
		t.Errorf("Prometheus has %d rules", len(rules))
	}
}

func (w *world) rules(t *testing.T) (rules []rule) {
	t.Helper()
	var answer struct {
		Groups []struct {
			Rules []rule `json:"rules"`
		} `json:"groups"`
	}
	if err := w.prometheus.get(t, "/api/v1/rules", &answer); err != nil {
		t.Fatal(err)
	}
	for _, group := range answer.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}
