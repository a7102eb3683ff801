//go:build e2e

package monitoring_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/testkit"
)

// debian returns the path of a program of Debian's package prometheus.
func debian(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed (run `make tools`): %v", name, err)
	}
	return path
}

// prometheus is a running Prometheus with the rules of alerts.yaml.
type prometheus struct{ url string }

// startPrometheus starts one that scrapes the targets each second.
func startPrometheus(t *testing.T, targets ...string) *prometheus {
	t.Helper()
	rules, err := filepath.Abs(filepath.Join(folder, "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yaml")
	content := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs: [{job_name: tokenhandler, static_configs: [{targets: [%s]}]}]\n",
		rules, strings.Join(targets, ", "))
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	child, err := process.Start(process.Spec{
		Name: "prometheus", Path: debian(t, "prometheus"), Dir: dir, Env: process.Environment(),
		Args: []string{"--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", process.Addr(port), "--log.level", "warn"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Stop(10 * time.Second) })
	p := &prometheus{url: "http://" + process.Addr(port)}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	defer cancel()
	if err := child.AwaitOK(ctx, p.url+"/-/ready"); err != nil {
		t.Fatal(err)
	}
	return p
}

// get reads an answer of the HTTP API into data.
func (p *prometheus) get(t *testing.T, path string, data any) error {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking Prometheus: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking Prometheus: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer := struct {
		Error string `json:"error"`
		Data  any    `json:"data"`
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("reading the answer of Prometheus: %w", err)
	}
	if answer.Error != "" {
		return fmt.Errorf("asking Prometheus: %s", answer.Error)
	}
	return nil
}

// ask says why the answer to q is not what it must be, or "".
func (p *prometheus) ask(t *testing.T, q question) string {
	t.Helper()
	var answer struct {
		Result []struct {
			Metric map[string]string `json:"metric"`
			Value  []any             `json:"value"`
		} `json:"result"`
	}
	if err := p.get(t, "/api/v1/query?query="+url.QueryEscape(q.query), &answer); err != nil {
		return err.Error()
	}
	fault := "no series"
	for _, series := range answer.Result {
		for _, label := range q.labels {
			if series.Metric[label] == "" {
				return "a series without the label " + label
			}
		}
		if len(series.Value) == 2 && series.Value[1] != "NaN" {
			fault = ""
		} else if fault != "" {
			fault = "no number"
		}
	}
	return fault
}

// TestAlerts runs promtool on the rules, on their unit tests, and on the example of a
// configuration.
func TestAlerts(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}, {"check", "config", "prometheus.yaml"}} {
		command := exec.CommandContext(t.Context(), debian(t, "promtool"), args...)
		command.Dir = folder
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
