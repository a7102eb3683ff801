//go:build e2e

package chaos_test

import (
	"os"
	"testing"
	"time"

	"cognito-token-handler/test/chaos"
)

const (
	// shortRun is the duration of a run in `make test`. It is too short for every fault.
	shortRun = 12 * time.Second
	browsers = 100
)

// TestNobodyIsLoggedOut makes a run of the duration that the variable CHAOS gives.
func TestNobodyIsLoggedOut(t *testing.T) {
	binary, err := chaos.Binary()
	if err != nil {
		t.Fatal(err)
	}
	duration := shortRun
	if text := os.Getenv("CHAOS"); text != "" {
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	report, err := chaos.Run(t, chaos.Options{Binary: binary, Duration: duration, Browsers: browsers, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range report.Broken {
		t.Error(what)
	}
}
