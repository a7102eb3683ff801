package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"cognito-token-handler/test/testkit"
)

// piped is the program with a pipe as its standard error, which the test reads or not.
type piped struct {
	*service

	reader *os.File
	lines  *bufio.Reader
}

// servePiped starts the program and reads its log up to the record that it listens.
func servePiped(t *testing.T) piped {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(configuration(newPool(t), "http://localhost:1")), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, cmd: exec.CommandContext(t.Context(), program(t), "--config", file), ended: make(chan error, 1)}
	s.cmd.Stderr = writer
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	go func() { s.ended <- s.cmd.Wait() }()
	p := piped{s, reader, bufio.NewReader(reader)}
	for p.public == "" {
		line, err := p.lines.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		var record struct{ Msg, Public, Admin string }
		if json.Unmarshal(line, &record) == nil && record.Msg == "listening" {
			p.public, p.admin = record.Public, record.Admin
		}
	}
	return p
}

var droppedSeries = regexp.MustCompile(`(?m)^tokenhandler_log_dropped_total (\d+)$`)

// dropped returns the value of the metric.
func (p piped) dropped() int {
	p.t.Helper()
	_, metrics := p.get("http://" + p.admin + "/metrics")
	match := droppedSeries.FindStringSubmatch(metrics)
	if match == nil {
		p.t.Fatal("the metric tokenhandler_log_dropped_total is missing")
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// ask makes requests that write a record each, until the program has dropped records.
func (p piped) ask() {
	p.t.Helper()
	client := &http.Client{Timeout: testkit.Deadline}
	address := "http://" + p.public + "/" + strings.Repeat("x", 250)
	for range 100 {
		for range 200 {
			r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, address, nil)
			if err != nil {
				p.t.Fatal(err)
			}
			answer, err := client.Do(r)
			if err != nil {
				p.t.Fatalf("a request hangs: %v", err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
		if p.dropped() > 0 {
			return
		}
	}
	p.t.Error("no record was dropped")
}

// wantUnaudited makes an event for the audit trail, and waits until a metric shows that it
// cannot be written.
func (p piped) wantUnaudited() {
	p.t.Helper()
	p.get("http://" + p.public + "/auth/callback?state=x")
	testkit.Eventually(p.t, "tokenhandler_audit_up 0", func() bool {
		_, metrics := p.get("http://" + p.admin + "/metrics")
		return strings.Contains(metrics, "\ntokenhandler_audit_up 0\n")
	})
}

// TestStalledLogReaderStopsNothing: requests are answered, dropped records are counted,
// records of the audit trail are missed, and the program ends, while nobody reads its log.
func TestStalledLogReaderStopsNothing(t *testing.T) {
	t.Parallel()
	p := servePiped(t)
	p.ask()
	p.wantUnaudited()
	p.signal(syscall.SIGINT)
	if err := p.end(); err != nil {
		t.Error(err)
	}
}

// TestLogReaderThatGoesOn: the log says how many records are missing.
func TestLogReaderThatGoesOn(t *testing.T) {
	t.Parallel()
	p := servePiped(t)
	p.ask()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	defer cancel()
	context.AfterFunc(ctx, func() { _ = p.reader.Close() }) // ends a read that would hang
	for {
		line, err := p.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the log does not say that records were dropped: %v", err)
		}
		if strings.Contains(line, "log records were dropped") {
			break
		}
	}
	p.signal(syscall.SIGINT)
	go func() { _, _ = io.Copy(io.Discard, p.lines) }()
	if err := p.end(); err != nil {
		t.Error(err)
	}
}

// TestLogReaderThatIsGone: the death of the log's reader does not end the program, and
// the metrics show that the audit trail is not written.
func TestLogReaderThatIsGone(t *testing.T) {
	t.Parallel()
	p := servePiped(t)
	_ = p.reader.Close()
	p.ask()
	p.wantUnaudited()
	p.signal(syscall.SIGINT)
	if err := p.end(); err != nil {
		t.Error(err)
	}
}
