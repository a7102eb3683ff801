//go:build e2e

package monitoring_test

import (
	"testing"
	"time"
)

// patience is how long a stack under load may take until every panel has data.
const patience = 2 * time.Minute

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

func (w *world) wantNoAlert(t *testing.T) {
	t.Helper()
	var answer struct {
		Groups []struct {
			Rules []struct {
				Name, Health, LastError, State string
			} `json:"rules"`
		} `json:"groups"`
	}
	if err := w.prometheus.get(t, "/api/v1/rules", &answer); err != nil {
		t.Fatal(err)
	}
	rules := 0
	for _, group := range answer.Groups {
		for _, rule := range group.Rules {
			rules++
			if rule.Health != "ok" || rule.State != "inactive" {
				t.Errorf("%s is %s, %s %s", rule.Name, rule.State, rule.Health, rule.LastError)
			}
		}
	}
	if rules != len(alerts(t)) {
		t.Errorf("Prometheus has %d rules", rules)
	}
}
