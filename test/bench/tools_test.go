//go:build e2e

package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/devstack/process"
)

// connections is how many connections wrk keeps open, each with one request after the other.
const connections = 32

// requestHead is the head of every request of the load. It is what a browser sends when a script of the
// app calls an API.
func requestHead(cookies string) string {
	return "GET /api/data HTTP/1.1\r\n" + strings.Join(requestHeaders(cookies), "\r\n") + "\r\n\r\n"
}

func requestHeaders(cookies string) []string {
	return []string{
		"Host: " + strings.TrimPrefix(publicURL, "http://"),
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
		"Accept: application/json", "Accept-Encoding: gzip, deflate, br, zstd", "Accept-Language: en-US,en;q=0.9",
		"Referer: " + publicURL + "/", "Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin",
		"Cookie: " + cookies,
	}
}

// runWrk returns how many requests were answered, and the rate per second.
func runWrk(t *testing.T, address, cookies string, d time.Duration) (answered int, rate float64) {
	t.Helper()
	args := []string{"-t", "1", "-c", strconv.Itoa(connections), "-d", strconv.Itoa(int(d.Seconds())) + "s"}
	for _, header := range requestHeaders(cookies) {
		args = append(args, "-H", header)
	}
	report := run(t, exec.Command("wrk", append(args, "http://"+address+"/api/data")...))
	for line := range strings.Lines(report) {
		switch fields := strings.Fields(line); {
		case strings.Contains(line, "Non-2xx"), strings.Contains(line, "Socket errors"):
			t.Errorf("wrk reports: %s", strings.TrimSpace(line))
		case strings.Contains(line, " requests in "):
			answered, _ = strconv.Atoi(fields[0])
		case strings.HasPrefix(line, "Requests/sec:"):
			rate, _ = strconv.ParseFloat(fields[1], 64)
		}
	}
	if answered == 0 || rate == 0 {
		t.Fatalf("wrk reports: %s", report)
	}
	return answered, rate
}

// runVegeta sends requests at a fixed rate and returns percentiles of their latencies.
func runVegeta(t *testing.T, address, cookies string, rate int, d time.Duration) (p50, p99 time.Duration) {
	t.Helper()
	vegeta, err := process.Tool("vegeta")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	targets, results := filepath.Join(dir, "targets"), filepath.Join(dir, "results")
	text := "GET http://" + address + "/api/data\n" + strings.Join(requestHeaders(cookies), "\n") + "\n"
	if err := os.WriteFile(targets, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, exec.Command(vegeta, "attack", "-rate", fmt.Sprintf("%d/s", rate), "-duration", d.String(), "-targets", targets, "-output", results,
		"-max-workers", "256", "-connections", "256", "-redirects", "-1"))
	var report struct {
		Success   float64
		Errors    []string
		Latencies map[string]time.Duration
	}
	if err := json.Unmarshal([]byte(run(t, exec.Command(vegeta, "report", "-type", "json", results))), &report); err != nil {
		t.Fatal(err)
	}
	if report.Success != 1 {
		t.Errorf("vegeta reports %.4f of the requests as successes: %v", report.Success, report.Errors)
	}
	_ = os.RemoveAll(dir)
	return report.Latencies["50th"], report.Latencies["99th"]
}

func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running %s: %v: %s", cmd.Args[0], err, stderr.String())
	}
	return string(out)
}
