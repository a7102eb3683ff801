package config_test

import (
	"os"
	"strings"
	"testing"

	"cognito-token-handler/config"
)

// TestWarningsAreExact loads files that are accepted with the warnings in the .txt
// file beside each.
func TestWarningsAreExact(t *testing.T) {
	for _, name := range corpus(t, "testdata/warned/*.yaml", 2) {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file, "warned.yaml", nil, config.Machine{ReadFile: readFile})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		compare(t, strings.TrimSuffix(name, ".yaml")+".txt", warnings(c))
	}
}

// warnings returns the warnings of a configuration, one per line.
func warnings(c config.Config) string {
	var b strings.Builder
	for _, w := range c.Warnings {
		if w.Insecure {
			b.WriteString("INSECURE ")
		}
		b.WriteString(w.String() + "\n")
	}
	return b.String()
}

// compare compares a text with the content of a file, or writes it with -update.
func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n got %s\nwant %s", file, got, want)
	}
}

// TestEveryInsecureKeyWarns: a key that weakens a protection says at start what it
// does, from the file and from the environment.
func TestEveryInsecureKeyWarns(t *testing.T) {
	found := 0
	for _, k := range append(config.AllKeys(), config.AllRouteKeys()...) {
		if name := k.Key[strings.LastIndexByte(k.Key, '.')+1:]; strings.HasPrefix(name, "insecure_") {
			found++
			if k.Means == "" {
				t.Errorf("%s says nothing at start", k.Key)
			}
		}
	}
	if found < 4 {
		t.Errorf("only %d keys were found", found)
	}
	c := mustLoad(t, smallest, "TH_PROVIDER__INSECURE_SKIP_NONCE=true")
	want := "INSECURE TH_PROVIDER__INSECURE_SKIP_NONCE: provider.insecure_skip_nonce: accepts ID tokens that were not issued for this login; remove it if you can\n"
	if got := warnings(c); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
