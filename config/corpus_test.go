package config_test

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"cognito-token-handler/config"
)

// After go test ./config -run 'TestBad|TestWarnings' -update, review the messages.
var update = flag.Bool("update", false, "write the expected messages of testdata/bad and testdata/warned")

func TestBadFilesAreRefusedWithTheExactMessage(t *testing.T) {
	for _, name := range corpus(t, "testdata/bad/*.yaml", 100) {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = config.Load(file, "bad.yaml", nil, config.Machine{ReadFile: readFile})
		var faults config.Faults
		if !errors.As(err, &faults) {
			t.Errorf("%s: accepted, or not config.Faults: %v", name, err)
			continue
		}
		got := err.Error() + "\n"
		compare(t, strings.TrimSuffix(name, ".yaml")+".txt", got)
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
