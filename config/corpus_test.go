package config_test

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"cognito-token-handler/config"
)

// After go test ./config -run TestBad -update, review the messages.
var update = flag.Bool("update", false, "write the expected messages of testdata/bad")

func TestBadFilesAreRefusedWithTheExactMessage(t *testing.T) {
	for _, name := range corpus(t, "testdata/bad/*.yaml", 100) {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = config.Load(file, "bad.yaml", nil, readFile)
		var faults config.Faults
		if !errors.As(err, &faults) {
			t.Errorf("%s: accepted, or not config.Faults: %v", name, err)
			continue
		}
		got, txt := err.Error()+"\n", strings.TrimSuffix(name, ".yaml")+".txt"
		if *update {
			if err := os.WriteFile(txt, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(txt)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
		// These are all secrets of the corpus.
		if strings.Contains(got, "hunter2") || strings.Contains(got, plantedSecret) {
			t.Errorf("%s: the message contains a secret: %s", name, got)
		}
		for _, f := range faults {
			if f.Problem == "" || f.Fix == "" || f.Where == "" {
				t.Errorf("%s: an incomplete fault: %+v", name, f)
			}
		}
	}
}
