package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/web"
)

// disk is an output with a limited size.
type disk struct {
	mu   sync.Mutex
	text strings.Builder
	free int
}

func (d *disk) Write(line []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(line), d.free)
	d.free -= n
	d.text.Write(line[:n])
	if n < len(line) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (d *disk) setFree(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = n
}

// events returns the names of the events that were written. Each line must be complete.
func (d *disk) events(t *testing.T) (names []string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range strings.Lines(d.text.String()) {
		var record struct{ Event string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || !strings.HasSuffix(line, "\n") {
			t.Errorf("%v: %q", err, line)
		}
		names = append(names, record.Event)
	}
	return names
}

func newTrail(output *disk, change func(*audit.Config)) (*audit.Trail, *audit.Metrics) {
	cfg := audit.Config{Output: output, Replica: "host-1", Now: time.Now, Log: slog.New(slog.DiscardHandler), Metrics: audit.NewMetrics(nil)}
	if change != nil {
		change(&cfg)
	}
	return audit.New(cfg), cfg.Metrics
}

func full() audit.Event {
	return audit.Event{
		Name: audit.LoginFailed, Failed: true, Cause: "login_failed", Subject: "sub-1", Session: "0123456789abcdef",
		Caller:           web.Caller{RequestID: "R1", TraceID: "T1", ClientIP: "203.0.113.9", UserAgent: `Mozilla "x"`},
		IdentityProvider: "Google", RequestedIdentityProvider: "Okta", By: "operator:anna", Target: "sub:sub-1", Reason: "lost laptop",
	}
}

// TestRecordJSON: the names of the fields are what operators write rules for.
func TestRecordJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := &disk{free: 1 << 20}
		trail, _ := newTrail(output, nil)
		trail.Note(t.Context(), full())
		trail.Close(t.Context())
		want := `{"type":"audit","time":"2000-01-01T00:00:00Z","schema":1,"outcome":"failure","replica":"host-1","event":"login_failed","cause":"login_failed",` +
			`"sub":"sub-1","session":"0123456789abcdef","request_id":"R1","trace_id":"T1","client_ip":"203.0.113.9","user_agent":"Mozilla \"x\"",` +
			`"identity_provider":"Google","requested_identity_provider":"Okta","by":"operator:anna","target":"sub:sub-1","reason":"lost laptop"}` + "\n"
		if diff := cmp.Diff(want, output.text.String()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestRecordOCSF: the attributes that the class Authentication requires are there.
func TestRecordOCSF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := &disk{free: 1 << 20}
		trail, _ := newTrail(output, func(c *audit.Config) { c.OCSF, c.Version = true, "v1" })
		trail.Note(t.Context(), full())
		trail.Note(t.Context(), audit.Event{Name: audit.Logout, Subject: "sub-1"})
		trail.Note(t.Context(), audit.Event{Name: audit.KeysReloaded})
		trail.Close(t.Context())
		lines := strings.Split(strings.TrimSpace(output.text.String()), "\n")
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"category_uid": 3.0, "class_uid": 3002.0, "type_uid": 300201.0, "activity_id": 1.0, "activity_name": "Logon", "severity_id": 3.0, "status_id": 2.0,
			"status_detail": "login_failed", "time": 946684800000.0, "auth_protocol_id": 4.0, "is_remote": true, "message": "login_failed",
			"metadata": map[string]any{
				"version": "1.3.0", "event_code": "login_failed", "correlation_uid": "R1",
				"product": map[string]any{"name": "tokenhandler", "vendor_name": "cognito-token-handler", "version": "v1"},
			},
			"user": map[string]any{"uid": "sub-1"}, "session": map[string]any{"uid": "0123456789abcdef"},
			"src_endpoint": map[string]any{"ip": "203.0.113.9"}, "dst_endpoint": map[string]any{"hostname": "host-1"},
			"http_request": map[string]any{"uid": "R1", "user_agent": `Mozilla "x"`}, "service": map[string]any{"name": "tokenhandler"},
			"unmapped": map[string]any{"identity_provider": "Google", "requested_identity_provider": "Okta", "by": "operator:anna", "target": "sub:sub-1", "reason": "lost laptop", "trace_id": "T1"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if strings.Contains(lines[2], "unmapped") {
			t.Errorf("fields without a value: %s", lines[2])
		}
		if !strings.Contains(lines[1], `"type_uid":300202`) || !strings.Contains(lines[2], `"type_uid":300299,"activity_id":99,"activity_name":"keys_reloaded"`) {
			t.Errorf("logout and another event: %s\n%s", lines[1], lines[2])
		}
	})
}

// TestFullDiskRefuses: what cannot be recorded within a second is refused, and ends of
// sessions are not. When there is room again, nothing is lost that was done, and what was
// refused is not recorded.
func TestFullDiskRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := &disk{free: 40} // a part of the first record
		var log testkit.Log
		trail, metrics := newTrail(output, func(c *audit.Config) { c.Refuse, c.Log = true, log.Logger() })
		trail.Note(t.Context(), audit.Event{Name: audit.Logout})
		synctest.Wait()
		begun := time.Now()
		if err := trail.Record(t.Context(), audit.Event{Name: audit.Login}); !errors.Is(err, audit.ErrUnavailable) || time.Since(begun) != time.Second {
			t.Errorf("a login on a full disk: %v after %s", err, time.Since(begun))
		}
		if err := trail.Check(t.Context()); !errors.Is(err, audit.ErrUnavailable) {
			t.Errorf("a refresh on a full disk: %v", err)
		}
		if testutil.ToFloat64(metrics.Up) != 0 {
			t.Error("the metric says that the trail is written")
		}
		checked := make(chan error, 1)
		go func() { checked <- trail.Check(t.Context()) }()
		time.Sleep(500 * time.Millisecond) // for some attempts that fail
		output.setFree(1 << 20)
		if err := <-checked; err != nil {
			t.Errorf("a refresh that waited until there was room: %v", err)
		}
		if begun := time.Now(); trail.Check(t.Context()) != nil || time.Since(begun) != 0 {
			t.Errorf("a refresh with room again waited for %s", time.Since(begun))
		}
		if began, ended := log.RecordsOf(t, "the audit trail cannot be written"), log.RecordsOf(t, "the audit trail is written again"); len(began) != 1 || len(ended) != 1 {
			t.Errorf("one outage was logged %d times, its end %d times", len(began), len(ended))
		}
		if err := trail.Record(t.Context(), audit.Event{Name: audit.Presigned}); err != nil || testutil.ToFloat64(metrics.Up) != 1 {
			t.Errorf("with room again: %v", err)
		}
		trail.Close(t.Context())
		if got := output.events(t); !slices.Equal(got, []string{audit.Logout, audit.Presigned}) || testutil.ToFloat64(metrics.Dropped) != 1 {
			t.Errorf("recorded %q", got)
		}
	})
}

// pipe is an output whose reader stalls until release is closed.
type pipe struct {
	disk

	release chan struct{}
}

func (p *pipe) Write(line []byte) (int, error) {
	<-p.release
	return p.disk.Write(line)
}

// TestStalledOutput: a write that does not return counts as a failure after a second, and
// does not hold up the end of the process for longer than it may.
func TestStalledOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := &pipe{disk: disk{free: 1 << 20}, release: make(chan struct{})}
		trail, metrics := newTrail(&output.disk, func(c *audit.Config) { c.Output, c.Refuse = output, true })
		trail.Note(t.Context(), audit.Event{Name: audit.Logout})
		time.Sleep(time.Second) // of the test's clock
		synctest.Wait()
		if testutil.ToFloat64(metrics.Up) != 0 {
			t.Error("the metric says that the trail is written")
		}
		if err := trail.Check(t.Context()); !errors.Is(err, audit.ErrUnavailable) {
			t.Errorf("a refresh: %v", err)
		}
		checked := make(chan error, 1)
		go func() { checked <- trail.Check(t.Context()) }()
		synctest.Wait()
		close(output.release)
		if err := <-checked; err != nil || testutil.ToFloat64(metrics.Up) != 1 {
			t.Errorf("a refresh that waited until the reader went on: %v", err)
		}
		output.release = make(chan struct{})
		trail.Note(t.Context(), audit.Event{Name: audit.Logout})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begun := time.Now()
		trail.Close(ctx)
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("Close took %s", took)
		}
		close(output.release)
	})
}

// TestGoodTrailHoldsUpNothing: while records can be written, nothing waits, nor does the end
// of a process that has recorded nothing.
func TestGoodTrailHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		trail := audit.New(audit.Config{Output: &disk{free: 1 << 20}, Refuse: true, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err := errors.Join(trail.Check(t.Context()), trail.Record(t.Context(), audit.Event{Name: audit.Login})); err != nil {
			t.Error(err)
		}
		trail.Close(t.Context())
		unused, _ := newTrail(&disk{}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		unused.Close(ctx)
		if took := time.Since(begun); took != 0 {
			t.Errorf("it took %s", took)
		}
	})
}

// TestShortWrite: an output that took only a part, and told no error, has failed.
func TestShortWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testkit.Log
		output := &halves{}
		trail, metrics := newTrail(&output.disk, func(c *audit.Config) { c.Output, c.Log = output, log.Logger() })
		trail.Note(t.Context(), audit.Event{Name: audit.Logout})
		synctest.Wait()
		if testutil.ToFloat64(metrics.Up) != 0 || !log.Contains("short write") {
			t.Errorf("the metric says that the trail is written; the log says %s", log.String())
		}
		time.Sleep(10 * time.Second) // for the rest
		trail.Close(t.Context())
		if got := output.events(t); !slices.Equal(got, []string{audit.Logout}) || testutil.ToFloat64(metrics.Up) != 1 {
			t.Errorf("recorded %q", got)
		}
	})
}

// halves is an output that takes half of what it gets, and tells no error.
type halves struct{ disk }

func (h *halves) Write(line []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(line[:(len(line)+1)/2])
}

// TestFullQueue: half of it is for events that not everybody can cause. What does not fit is
// refused at once.
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := &disk{}
		trail, metrics := newTrail(output, func(c *audit.Config) { c.Refuse = true })
		trail.Note(t.Context(), audit.Event{Name: audit.Logout})
		synctest.Wait() // it is out of the queue, and waits for room
		for i := range 600 {
			trail.Note(t.Context(), audit.Event{Name: audit.Names()[i%len(audit.Names())], Cause: strings.Repeat("x", i), Anonymous: true})
		}
		for range 512 {
			trail.Note(t.Context(), audit.Event{Name: audit.Login})
		}
		begun := time.Now()
		if err := trail.Record(t.Context(), audit.Event{Name: audit.Presigned}); !errors.Is(err, audit.ErrUnavailable) || time.Since(begun) != 0 {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		if dropped := testutil.ToFloat64(metrics.Dropped); dropped != 1 { // the anonymous events are counted until there is room
			t.Errorf("%v events were dropped", dropped)
		}
		output.setFree(1 << 24)
		time.Sleep(2 * time.Minute) // for the window to end
		trail.Close(t.Context())
		if _, events := output.summaries(t); events != 1+600+512 {
			t.Errorf("%d events were recorded", events)
		}
	})
}

// TestFullDiskContinues: nothing waits, and what does not fit into the queue is counted.
func TestFullDiskContinues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trail, metrics := newTrail(&disk{}, nil)
		begun := time.Now()
		for range 2000 {
			if err := trail.Record(t.Context(), audit.Event{Name: audit.Login}); err != nil {
				t.Fatal(err)
			}
		}
		if err := trail.Check(t.Context()); err != nil || time.Since(begun) != 0 {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		trail.Close(ctx)
		if dropped := testutil.ToFloat64(metrics.Dropped); dropped != 2000 {
			t.Errorf("%v of 2000 events were counted as dropped", dropped)
		}
	})
}

// TestNoTrail: audit.output: off.
func TestNoTrail(t *testing.T) {
	trail := audit.New(audit.Config{})
	trail.NoteVersion("v1")
	trail.Note(t.Context(), audit.Event{Name: audit.Login})
	if err := errors.Join(trail.Record(t.Context(), audit.Event{}), trail.Check(t.Context())); err != nil {
		t.Error(err)
	}
	trail.Close(t.Context())
}
