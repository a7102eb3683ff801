package config_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"cognito-token-handler/config"
)

// FuzzLoad checks that Load never panics, and that no fault contains a secret, from
// the file or from the environment.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml", "examples/*.yaml"} {
		for _, name := range corpus(f, pattern, 2) {
			file, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(file, "[{path: /api/, upstream: https://a.example}]", "s3cr3t-of-the-client")
		}
	}
	for _, s := range []string{"*anchor-like", "&anchor-like", "!tag-like", "!!binary c2VjcmV0", "{flow: like}", "[list, like]", "'half quoted", "%directive", "| block", "key: value-like", "@at-like-value", "`tick-like", "? complex-like"} {
		f.Add([]byte(smallest), "x", s)
	}
	f.Fuzz(func(t *testing.T, file []byte, routes, secretValue string) {
		environ := []string{"TH_API__ROUTES=" + routes, "TH_ADMIN__TOKEN=" + plantedToken, "TH_PROVIDER__CLIENT_SECRET=" + plantedSecret, "TH_SESSION__KEYS=" + key(1) + "\nbad"}
		_, err := config.Load(file, "f.yaml", environ, config.Machine{ReadFile: readFile})
		check(t, err, plantedToken, plantedSecret, key(1))
		_, err = config.Load(file, "f.yaml", nil, config.Machine{ReadFile: readFile})
		check(t, err)
		if len(secretValue) < 8 || strings.ContainsAny(secretValue, "\r\n\u0085\u2028\u2029") {
			return
		}
		around := "provider:\n  client_secret: %\n"
		_, err = config.Load([]byte(strings.Replace(around, "%", "x", 1)), "f.yaml", nil, config.Machine{ReadFile: readFile})
		if err != nil && strings.Contains(err.Error(), secretValue) {
			return // the value equals a word of the message
		}
		_, err = config.Load([]byte(strings.Replace(around, "%", secretValue, 1)), "f.yaml", nil, config.Machine{ReadFile: readFile})
		check(t, err, secretValue)
		_, err = config.Load(nil, "f.yaml", []string{"TH_SESSION__KEYS=" + secretValue, "TH_ADMIN__TOKEN=" + secretValue, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_HEADERS=" + secretValue}, config.Machine{ReadFile: readFile})
		check(t, err)
	})
}

// check asserts what must hold for every error of Load.
func check(t *testing.T, err error, secrets ...string) {
	t.Helper()
	var faults config.Faults
	if err == nil {
		return
	}
	if !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("not config.Faults: %v", err)
	}
	text := err.Error()
	if strings.Count(text, "\n") != len(faults)-1 {
		t.Errorf("a fault is not on one line: %q", text)
	}
	for _, s := range secrets {
		if s != "bad" && strings.Contains(text, s) {
			t.Errorf("a fault shows the secret %q: %s", s, text)
		}
	}
}
