package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/web"
)

// summary is what a test reads of a record.
type summary struct {
	Event   string `json:"event"`
	Session string `json:"session"`
	Cause   string `json:"cause"`
	IP      string `json:"client_ip"`
	Agent   string `json:"user_agent"`
	Count   int    `json:"count"`
	Since   string `json:"since"`
}

// summaries returns the records that were written, and how many events they stand for.
func (d *disk) summaries(t *testing.T) (records []summary, events int) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for line := range strings.Lines(d.text.String()) {
		var s summary
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		records = append(records, s)
		events += max(s.Count, 1)
	}
	return records, events
}

func failedFrom(ip, cause, agent string) audit.Event {
	return audit.Event{Name: audit.LoginFailed, Failed: true, Anonymous: true, Cause: cause, Caller: web.Caller{ClientIP: ip, UserAgent: agent}}
}

// TestRepeatedEventsAreSummedUp: the first event of a cause and client is recorded at once,
// the others in one record a minute.
func TestRepeatedEventsAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := &disk{free: 1 << 20}
		trail, metrics := newTrail(output, nil)
		note := func(ip, cause, agent string) { trail.Note(t.Context(), failedFrom(ip, cause, agent)) }
		note("2001:db8::1", "refused", "a")
		note("2001:db8::2", "refused", "b") // the same /64
		note("203.0.113.1", "refused", "c")
		note("2001:db8::3", "unknown_state", "d")
		time.Sleep(time.Second)
		note("2001:db8::3", "refused", "e")
		synctest.Wait()
		want := []summary{
			{Event: audit.LoginFailed, Cause: "refused", IP: "2001:db8::1", Agent: "a"},
			{Event: audit.LoginFailed, Cause: "refused", IP: "203.0.113.1", Agent: "c"},
			{Event: audit.LoginFailed, Cause: "unknown_state", IP: "2001:db8::3", Agent: "d"},
		}
		got, _ := output.summaries(t)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("at once (-want +got):\n%s", diff)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		want = append(want, summary{Event: audit.LoginFailed, Cause: "refused", IP: "2001:db8::3", Agent: "e", Count: 2, Since: "2000-01-01T00:00:00Z"})
		got, _ = output.summaries(t)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after a minute (-want +got):\n%s", diff)
		}
		note("2001:db8::1", "refused", "f") // goes on: no record of its own
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, _ := output.summaries(t); len(got) != 5 || got[4].Agent != "f" || got[4].Count != 1 {
			t.Errorf("after another minute: %+v", got)
		}
		time.Sleep(3 * time.Minute) // in which nothing happens
		note("2001:db8::1", "refused", "g")
		note("2001:db8::1", "refused", "h")
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, _ := output.summaries(t); len(got) != 7 || got[5].Agent != "g" || got[5].Count != 0 || got[6].Agent != "h" || got[6].Count != 1 {
			t.Errorf("after a pause: %+v", got)
		}
		note("2001:db8::1", "refused", "i")
		note("203.0.113.1", "refused", "g") // comes again
		trail.Close(t.Context())
		got, events := output.summaries(t)
		if len(got) != 9 || got[7] != (summary{Event: audit.LoginFailed, Cause: "refused", IP: "203.0.113.1", Agent: "g"}) || got[8].Agent != "i" || got[8].Count != 1 || events != 10 {
			t.Errorf("at the end: %+v, %d events", got, events)
		}
		if n := testutil.ToFloat64(metrics.Events.WithLabelValues(audit.LoginFailed)); n != 10 {
			t.Errorf("%v events counted", n)
		}
	})
}

// TestFloodOfEventsLeavesFewRecords: 10,000 addresses a minute, for ten minutes, six of which
// the disk is full. No event is lost from the counts, the records of users are not pushed
// out, and a user agent cannot make a record much longer.
func TestFloodOfEventsLeavesFewRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := &disk{free: 1 << 24}
		trail, metrics := newTrail(output, nil)
		sent := 0
		note := func(e audit.Event) {
			trail.Note(t.Context(), e)
			sent++
		}
		for minute := range 10 {
			if output.setFree(1 << 24); minute >= 2 && minute < 8 {
				output.setFree(0)
			}
			for i := range 10_000 {
				note(failedFrom(fmt.Sprintf("10.%d.%d.%d", minute, i/250, i%250), "unknown_state", "<<<<"))
			}
			note(audit.Event{Name: audit.AdminDenied, Anonymous: true, Cause: "not_authenticated"})
			if minute == 7 {
				for range 400 {
					note(audit.Event{Name: audit.Login, Cause: "user"})
				}
			}
			time.Sleep(time.Minute + time.Second) // a window ends while the disk is as it is
		}
		trail.Close(t.Context())
		records, events := output.summaries(t)
		logins := 0
		for _, r := range records {
			if r.Cause == "user" {
				logins++
			}
		}
		if len(records)-logins > 10*(2*100+4) || events != sent || testutil.ToFloat64(metrics.Dropped) != 0 {
			t.Errorf("%d records of %d events, %v dropped, want few records of %d", len(records), events, testutil.ToFloat64(metrics.Dropped), sent)
		}
		if logins != 400 || records[0].Agent != "<<<<" || !strings.Contains(output.text.String(), "<<<<") {
			t.Errorf("%d of 400 logins were recorded; the first record is %+v", logins, records[0])
		}
	})
}

// TestFloodOfOneEventLeavesTheOthers: who floods the public listener does not take the address
// of somebody who guesses admin tokens out of the records.
func TestFloodOfOneEventLeavesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := &disk{free: 1 << 24}
		trail, _ := newTrail(output, nil)
		for i := range 1000 {
			e := failedFrom(fmt.Sprintf("10.0.%d.%d", i/250, i%250), "unknown_state", "")
			trail.Note(t.Context(), e)
			e.Name, e.Cause = audit.RateLimited, web.LimitLogin
			trail.Note(t.Context(), e)
		}
		for range 3 {
			trail.Note(t.Context(), audit.Event{Name: audit.AdminDenied, Anonymous: true, Cause: "not_authenticated", Caller: web.Caller{ClientIP: "203.0.113.1"}})
		}
		trail.Close(t.Context())
		records, events := output.summaries(t)
		denied := slices.DeleteFunc(slices.Clone(records), func(s summary) bool { return s.Event != audit.AdminDenied })
		first := summary{Event: audit.AdminDenied, Cause: "not_authenticated", IP: "203.0.113.1"}
		summedUp := first
		summedUp.Count, summedUp.Since = 2, "2000-01-01T00:00:00Z"
		if diff := cmp.Diff([]summary{first, summedUp}, denied); diff != "" || events != 2003 {
			t.Errorf("%d events (-want +got):\n%s", events, diff)
		}
	})
}

// TestClientsBeyondTheLimit: the first addresses are told apart for as long as the window
// lasts. The events of further ones are in one record, which names none of them.
func TestClientsBeyondTheLimit(t *testing.T) {
	for event, limit := range map[string]int{audit.LoginFailed: 100, audit.AdminDenied: 50} {
		synctest.Test(t, func(t *testing.T) {
			output := &disk{free: 1 << 24}
			trail, _ := newTrail(output, nil)
			note := func(i int) {
				e := failedFrom(fmt.Sprintf("203.0.113.%d", i), "refused", "agent")
				e.Name = event
				trail.Note(t.Context(), e)
			}
			for i := range limit + 10 {
				note(i)
			}
			note(limit - 1)
			synctest.Wait()
			if records, _ := output.summaries(t); len(records) != limit {
				t.Errorf("%s: %d records at once", event, len(records))
			}
			trail.Close(t.Context())
			records, events := output.summaries(t)
			if len(records) != limit+2 || events != limit+11 {
				t.Fatalf("%s: %d records of %d events", event, len(records), events)
			}
			want := []summary{
				{Event: event, Cause: "refused", Count: 10, Since: "2000-01-01T00:00:00Z"},
				{Event: event, Cause: "refused", IP: fmt.Sprintf("203.0.113.%d", limit-1), Agent: "agent", Count: 1, Since: "2000-01-01T00:00:00Z"},
			}
			got := records[limit:]
			slices.SortFunc(got, func(a, b summary) int { return b.Count - a.Count })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", event, diff)
			}
		})
	}
}

// TestRepeatsOfOneSession: the record that sums them up names the session.
func TestRepeatsOfOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := &disk{free: 1 << 20}
		trail, _ := newTrail(output, nil)
		for range 3 {
			trail.Note(t.Context(), audit.Event{Name: audit.RateLimited, Anonymous: true, Session: "0123456789abcdef", Subject: "sub", Caller: web.Caller{ClientIP: "203.0.113.1"}})
		}
		trail.Close(t.Context())
		if got, _ := output.summaries(t); len(got) != 2 || got[1].Count != 2 || got[1].Session != "0123456789abcdef" || strings.Count(output.text.String(), `"sub":"sub"`) != 2 {
			t.Errorf("%s", output.text.String())
		}
	})
}

// TestRepeatsThatCannotBeWritten when the process ends are counted as dropped, all of them.
func TestRepeatsThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trail, metrics := newTrail(&disk{}, nil)
		for i := range 3000 {
			e := failedFrom(fmt.Sprintf("10.0.%d.%d", i/250, i%250), "refused", "")
			e.Name = audit.Names()[i%len(audit.Names())]
			trail.Note(t.Context(), e)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		trail.Close(ctx)
		if dropped := testutil.ToFloat64(metrics.Dropped); dropped != 3000 {
			t.Errorf("%v of 3000 events were counted as dropped", dropped)
		}
	})
}

// TestManySessionsOfOneClient: when there are too many sessions to tell apart, their records
// still have the address, and so do those of other clients.
func TestManySessionsOfOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := &disk{free: 1 << 24}
		trail, _ := newTrail(output, nil)
		note := func(session, ip string) {
			trail.Note(t.Context(), audit.Event{Name: audit.RateLimited, Anonymous: true, Cause: web.LimitRefresh, Session: session, Subject: "sub", Caller: web.Caller{ClientIP: ip}})
		}
		for range 2 {
			for i := range 300 {
				note(fmt.Sprintf("%016x", i), "203.0.113.1")
			}
			note("fedcba9876543210", "203.0.113.2")
		}
		trail.Close(t.Context())
		records, events := output.summaries(t)
		without := slices.IndexFunc(records, func(s summary) bool { return s.Count > 1 && s.IP == "203.0.113.1" })
		if events != 602 || slices.ContainsFunc(records, func(s summary) bool { return s.IP == "" }) || len(records) > 2*100 {
			t.Errorf("%d records of %d events, or one without an address: %+v", len(records), events, records)
		}
		if without < 0 || records[without].Session != "" {
			t.Errorf("a record of many sessions names one: %+v", records)
		}
		if !slices.ContainsFunc(records, func(s summary) bool { return s.IP == "203.0.113.2" && s.Session == "fedcba9876543210" }) {
			t.Errorf("the first record of the other client names no session: %+v", records)
		}
	})
}

// TestConcurrentEventsAreAllCounted: windows end while events come.
func TestConcurrentEventsAreAllCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := &disk{free: 1 << 24}
		trail, _ := newTrail(output, nil)
		var work sync.WaitGroup
		for i := range 20 {
			work.Go(func() {
				for range 100 {
					trail.Note(t.Context(), failedFrom(fmt.Sprintf("10.0.0.%d", i/2), "refused", ""))
					time.Sleep(5 * time.Second)
				}
			})
		}
		work.Wait()
		trail.Close(t.Context())
		if records, events := output.summaries(t); events != 2000 || len(records) > 10*(100*5/60+3) {
			t.Errorf("%d records of %d events, want few of 2000", len(records), events)
		}
	})
}

// TestSummaryOCSF: count, start_time and end_time are those of the base event class.
func TestSummaryOCSF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		output := &disk{free: 1 << 20}
		trail, _ := newTrail(output, func(c *audit.Config) { c.OCSF = true })
		for range 4 {
			trail.Note(t.Context(), failedFrom("203.0.113.1", "refused", ""))
			time.Sleep(time.Second)
		}
		trail.Close(t.Context())
		lines := strings.Split(strings.TrimSpace(output.text.String()), "\n")
		if len(lines) != 2 || strings.Contains(lines[0], `"count"`) || !strings.Contains(lines[1], `"time":946684804000,"count":3,"start_time":946684801000,"end_time":946684804000`) {
			t.Errorf("%q", lines)
		}
	})
}
