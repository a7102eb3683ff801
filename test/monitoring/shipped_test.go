package monitoring_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// folder is what the tests of this package are about.
const folder = "../../config/monitoring"

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// alert is a rule of alerts.yaml.
type alert struct {
	Name        string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) < 20 {
		t.Fatalf("only %d alerts", len(all))
	}
	return all
}

// panel is a panel of dashboard.json.
type panel struct {
	ID          int                      `json:"id"`
	Type        string                   `json:"type"`
	Title       string                   `json:"title"`
	Description string                   `json:"description"`
	Datasource  *datasource              `json:"datasource"`
	Grid        struct{ X, Y, W, H int } `json:"gridPos"`
	Targets     []struct {
		Datasource *datasource `json:"datasource"`
		Expr       string      `json:"expr"`
		Legend     string      `json:"legendFormat"`
	} `json:"targets"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// variable is a variable of dashboard.json.
type variable struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Definition string `json:"definition"`
}

func dashboard(t *testing.T) (panels []panel, variables []variable) {
	t.Helper()
	var file struct {
		Panels     []panel `json:"panels"`
		Templating struct {
			List []variable `json:"list"`
		} `json:"templating"`
	}
	if err := json.Unmarshal([]byte(read(t, "dashboard.json")), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Panels) < 30 || len(file.Templating.List) != 3 {
		t.Fatalf("only %d panels and %d variables", len(file.Panels), len(file.Templating.List))
	}
	return file.Panels, file.Templating.List
}

// TestEveryAlertHasARunbook: each alert names the paragraph of runbook.md about it, and
// each paragraph is about an alert.
func TestEveryAlertHasARunbook(t *testing.T) {
	known := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(read(t, "runbook.md"), -1) {
		known[heading[1]] = false
	}
	for _, a := range alerts(t) {
		if _, there := known[a.Name]; !there {
			t.Errorf("runbook.md has no paragraph about %s", a.Name)
		}
		known[a.Name] = true
		if got, want := a.Annotations["runbook_url"], "config/monitoring/runbook.md#"+strings.ToLower(a.Name); got != want {
			t.Errorf("%s: runbook_url is %q, want %q", a.Name, got, want)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) || a.Annotations["summary"] == "" {
			t.Errorf("%s: severity %q, summary %q", a.Name, a.Labels["severity"], a.Annotations["summary"])
		}
	}
	for name, used := range known {
		if !used {
			t.Errorf("runbook.md has a paragraph about %s, which is no alert", name)
		}
	}
}

// TestEveryAlertIsTested: alerts_test.yaml has for each alert a case in which it fires
// and one in which it does not.
func TestEveryAlertIsTested(t *testing.T) {
	var file struct {
		Tests []struct {
			Cases []struct {
				Name   string `yaml:"alertname"`
				Expect []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "alerts_test.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]int{}, map[string]int{}
	for _, test := range file.Tests {
		for _, c := range test.Cases {
			if len(c.Expect) > 0 {
				fires[c.Name]++
			} else {
				quiet[c.Name]++
			}
		}
	}
	rules := map[string]int{}
	for _, a := range alerts(t) {
		rules[a.Name]++
	}
	for name, count := range rules {
		if fires[name] < count || quiet[name] < count {
			t.Errorf("%s has %d rules, %d cases in which it fires and %d in which it does not", name, count, fires[name], quiet[name])
		}
	}
}

// TestDashboardCanBeImported: the panels use the data source that the user chooses, have
// a description, and do not overlap.
func TestDashboardCanBeImported(t *testing.T) {
	panels, variables := dashboard(t)
	if variables[0].Name != "datasource" || variables[0].Type != "datasource" {
		t.Errorf("the first variable is %+v", variables[0])
	}
	chosen, ids, taken := datasource{"prometheus", "${datasource}"}, map[int]bool{}, map[[2]int]string{}
	for _, p := range panels {
		if ids[p.ID] {
			t.Errorf("%s: its id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.Grid.X; x < p.Grid.X+p.Grid.W; x++ {
			for y := p.Grid.Y; y < p.Grid.Y+p.Grid.H; y++ {
				if other, there := taken[[2]int{x, y}]; there || x >= 24 {
					t.Fatalf("%s does not fit at %d,%d (%s)", p.Title, x, y, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 || p.Datasource == nil || *p.Datasource != chosen {
			t.Errorf("%s: description %q, %d queries, data source %v", p.Title, p.Description, len(p.Targets), p.Datasource)
		}
		for _, target := range p.Targets {
			if target.Datasource == nil || *target.Datasource != chosen {
				t.Errorf("%s: the data source of %s is %v", p.Title, target.Expr, target.Datasource)
			}
		}
	}
}
