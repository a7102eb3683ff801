package config_test

import (
	"strings"
	"testing"

	"cognito-token-handler/config"
)

// TestAuditAndNamedTokens: what contradicts itself, and tokens whose owner nobody would
// know, are refused.
func TestAuditAndNamedTokens(t *testing.T) {
	const file = "/run/secrets/other_token"
	for lines, want := range map[string]string{
		"audit: {output: file}":                                                                      "audit.output: is file, but audit.file is not set",
		"audit: {file: a}":                                                                           "audit.file: is set, but audit.output is stderr",
		"audit: {on_failure: refuse}":                                                                "audit.on_failure: is refuse, but audit.output is stderr",
		"admin: {tokens: [{name: anna}]}":                                                            "admin.tokens[0].token_file: is missing",
		"admin: {tokens: [{token_file: " + file + "}]}":                                              "admin.tokens[0].name: is missing",
		"admin: {tokens: [{name: a b, token_file: " + file + "}]}":                                   `admin.tokens[0].name: "a b" is no name`,
		"admin: {tokens: [{name: admin.token, token_file: " + file + "}]}":                           `admin.tokens[0].name: "admin.token" is the name of whoever has the token of the option admin.token`,
		"admin: {tokens: [{name: a, token: short}]}":                                                 "admin.tokens[0].token: is shorter than 16 characters",
		"admin: {tokens: [{name: a, tokn: x, token_file: " + file + "}]}":                            "admin.tokens[0].tokn: is not a known key; did you mean token?",
		"admin: {tokens: [{name: a, token: x, token_file: " + file + "}]}":                           "admin.tokens[0].token_file: is set as well as token",
		"admin: {tokens: anna}":                                                                      "admin.tokens: is not a list",
		"admin: {tokens: [{name: a, token_file: " + file + "}, {name: a, token: 0123456789abcdef}]}": `admin.tokens[1].name: "a" is the name of another token`,
		"admin: {token: another-admin-token, tokens: [{name: a, token_file: " + file + "}]}":         "admin.tokens: has an item with the same value as another admin token",
	} {
		if _, err := config.Load([]byte(lines+"\n"), "t.yaml", base(""), config.Machine{ReadFile: readFile}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", lines, err, want)
		}
	}
}
