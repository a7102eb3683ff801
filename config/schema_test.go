package config_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"cognito-token-handler/config"
)

const valuesSchema = "deploy/helm/tokenhandler/values.schema.json"

func TestTheSchemaOfTheChartIsUpToDate(t *testing.T) {
	current, err := os.ReadFile(valuesSchema)
	if err != nil {
		t.Fatal(err)
	}
	updated, err := config.UpdateValuesSchema(current)
	if err != nil {
		t.Fatal(err)
	}
	if string(current) != string(updated) {
		t.Errorf("config/%s differs from the table of options: run go generate ./config", valuesSchema)
	}
}

// TestTheSchemaOfTheChartHasNoSecrets: the chart writes the configuration into a ConfigMap,
// which more people may read than a Secret.
func TestTheSchemaOfTheChartHasNoSecrets(t *testing.T) {
	content, err := os.ReadFile(valuesSchema)
	if err != nil {
		t.Fatal(err)
	}
	var values struct {
		Properties struct {
			Config node `json:"config"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(content, &values); err != nil {
		t.Fatal(err)
	}
	keys := values.Properties.Config.keys("")
	for _, secret := range []string{"provider.client_secret", "session.keys", "session.store", "admin.token", "auth.verify_secret"} {
		if keys[secret] || !keys[secret+"_file"] {
			t.Errorf("%s is allowed: %t, %s_file: %t; want the file only", secret, keys[secret], secret, keys[secret+"_file"])
		}
	}
	for _, key := range []string{"public_url", "provider.endpoints.jwks", "api.routes.upstream", "storage.quota.bytes"} {
		if !keys[key] {
			t.Errorf("%s is missing", key)
		}
	}
}

// node is a part of a JSON Schema.
type node struct {
	Properties map[string]node `json:"properties"`
	Items      *node           `json:"items"`
}

// keys returns the keys below prefix that the schema allows.
func (n node) keys(prefix string) map[string]bool {
	found := map[string]bool{}
	if n.Items != nil {
		n.Properties = n.Items.Properties
	}
	for name, child := range n.Properties {
		found[strings.TrimPrefix(prefix+"."+name, ".")] = true
		for key := range child.keys(prefix + "." + name) {
			found[key] = true
		}
	}
	return found
}

func TestABrokenSchemaIsNotReplaced(t *testing.T) {
	for _, content := range []string{"", "[]", `{"unknown": 1}`} {
		if _, err := config.UpdateValuesSchema([]byte(content)); err == nil {
			t.Errorf("%q: no error", content)
		}
	}
}
