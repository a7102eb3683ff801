package doctor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/cmd/doctor"
	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/provider"
)

func TestReport(t *testing.T) {
	for want, findings := range map[int][]doctor.Finding{
		0: {{Area: "host", Level: doctor.Good, What: "x"}},
		1: {{Area: "host", Level: doctor.Warning, What: "x", Cure: "y"}, {Area: "host", Level: doctor.Good, What: "x"}},
		2: {{Area: "host", Level: doctor.Fault, What: "x", Cure: "y"}, {Area: "host", Level: doctor.Warning, What: "x", Cure: "y"}},
	} {
		if got := doctor.NewReport(findings).ExitCode(); got != want {
			t.Errorf("exit code %d, want %d", got, want)
		}
	}
	r := doctor.NewReport([]doctor.Finding{
		{Area: "store", Level: doctor.Good, What: "It is reached."},
		{Area: "bucket", Level: doctor.Fault, What: "a\x1b[31m\nb\u202ec" + strings.Repeat("x", 5000), Cure: "Do <this> & that."},
	})
	var text, object bytes.Buffer
	if err := errors.Join(r.WriteText(&text), r.WriteJSON(&object)); err != nil {
		t.Fatal(err)
	}
	wantText := "good     store     It is reached.\nfault    bucket    a [31m b c" + strings.Repeat("x", 990) + "…\n                   cure: Do <this> & that.\n\n1 good, 0 warning(s), 1 fault(s)\n"
	if diff := cmp.Diff(wantText, text.String()); diff != "" {
		t.Error(diff)
	}
	var got map[string]any
	if err := json.Unmarshal(object.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"schema": 1.0, "level": "fault", "findings": []any{
		map[string]any{"area": "store", "level": "good", "what": "It is reached."},
		map[string]any{"area": "bucket", "level": "fault", "what": "a [31m b c" + strings.Repeat("x", 990) + "…", "cure": "Do <this> & that."},
	}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsOfTheConfiguration(t *testing.T) {
	_, err := config.Load([]byte("public_url: http://app.example.com\n"), "x.yaml", nil, config.Machine{})
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		t.Fatal(err)
	}
	r := read(t, doctor.OfFaults(faults))
	want(t, r, doctor.AreaConfig, doctor.Fault, "x.yaml:1: public_url: ", "write https://")
	want(t, r, doctor.AreaConfig, doctor.Fault, "session.keys: is missing", "keygen")
	want(t, read(t, doctor.OfError(errors.New("open x.yaml: no such file"))), doctor.AreaConfig, doctor.Fault, "open x.yaml", "--config")
}

// TestChecksEndInTime checks that a check that does not end holds up no other, and that
// the order does not depend on which is first.
func TestChecksEndInTime(t *testing.T) {
	var findings []doctor.Finding
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		findings = doctor.RunAll(ctx, map[string]func(context.Context){"a": func(context.Context) { <-t.Context().Done() }, "b": func(context.Context) {}})
	})
	r := read(t, findings)
	want(t, r, "a", doctor.Fault, "did not end in time", "Run it again")
	want(t, r, "b", doctor.Good, "ended", "")
	if r.Findings[0].Area != "a" {
		t.Errorf("the order: %+v", r.Findings)
	}
}

// TestEveryCauseIsExplained checks that no cause of an unreachable server lacks words.
func TestEveryCauseIsExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, cause := range provider.Causes() {
		what, cure := doctor.ExplainCause(cause)
		if what == "" || cure == "" || seen[what] {
			t.Errorf("%s: %q, %q", cause, what, cure)
		}
		seen[what] = true
	}
}
