package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"cognito-token-handler/config"
)

// TestFullExampleHasEveryKey: examples/full.yaml says that it has every key that is
// supported. Of a secret it has the …_file variant.
func TestFullExampleHasEveryKey(t *testing.T) {
	file, err := os.ReadFile("examples/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := yaml.Unmarshal(file, &root); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	collectKeys(found, "", root)
	const withoutRole = "storage.identity_pool_id" // cannot stand beside storage.role_arn
	for _, k := range config.AllKeys() {
		if k.Key != withoutRole && !found[k.Key] && !found[k.Key+"_file"] && !found[strings.TrimSuffix(k.Key, "_file")] {
			t.Errorf("examples/full.yaml lacks %s", k.Key)
		}
	}
	for _, k := range config.AllRouteKeys() {
		if !found["api.routes."+k.Key] {
			t.Errorf("no route of examples/full.yaml has %s", k.Key)
		}
	}
}

// collectKeys stores the dotted keys of a document in found. The items of a list
// have the key of the list.
func collectKeys(found map[string]bool, key string, node any) {
	found[key] = true
	switch node := node.(type) {
	case map[string]any:
		for name, child := range node {
			collectKeys(found, strings.TrimPrefix(key+"."+name, "."), child)
		}
	case []any:
		for _, item := range node {
			collectKeys(found, key, item)
		}
	}
}

func ExampleLoad() {
	file := []byte(`
public_url: https://app.example.com
provider:
  issuer: https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI
  client_id: 1example23456789
  client_secret_file: /run/secrets/client_secret
session:
  keys_file: /run/secrets/session_keys
  idle_timeuot: 30m
`)
	_, err := config.Load(file, "tokenhandler.yaml", []string{"TH_LOG__LEVEL=verbose"}, config.Machine{ReadFile: readFile})
	fmt.Println(err)

	file = []byte(strings.Replace(string(file), "idle_timeuot", "idle_timeout", 1))
	c, err := config.Load(file, "tokenhandler.yaml", []string{"TH_LOG__LEVEL=debug"}, config.Machine{ReadFile: readFile})
	fmt.Println(err, c.Log.Level, c.Session.IdleTimeout, c.Session.AbsoluteLifetime, c.Provider.ClientSecret)
	// Output:
	// tokenhandler.yaml:9: session.idle_timeuot: is not a known key; did you mean session.idle_timeout?
	// TH_LOG__LEVEL: log.level: "verbose" is not one of the possible values; write debug, info, warn or error
	// <nil> debug 30m0s 12h0m0s [[redacted]]
}

// TestExamplesOfProviders loads the file of every provider that the page beside them
// lists.
func TestExamplesOfProviders(t *testing.T) {
	page, err := os.ReadFile("examples/providers/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range corpus(t, "examples/providers/*.yaml", 5) {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file, name, nil, config.Machine{ReadFile: readFile})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.Provider.Kind != config.KindOIDC {
			t.Errorf("%s is for %s", name, c.Provider.Kind)
		}
		for _, w := range c.Warnings {
			if !strings.HasPrefix(w.Key, "provider.insecure_logout_token_without_exp") {
				t.Errorf("%s: %s", name, w.String())
			}
		}
		if base := filepath.Base(name); !strings.Contains(string(page), "]("+base+")") {
			t.Errorf("the page does not list %s", base)
		}
	}
}
