package client_test

import (
	"bytes"
	"regexp"
	"testing"

	"cognito-token-handler/tokenhandler/client"
)

func TestCoreAndTypesExportTheSame(t *testing.T) {
	for _, name := range []string{"createAuth", "ApiError"} {
		if !bytes.Contains(client.Core, []byte(" as "+name)) {
			t.Errorf("the module does not export %s", name)
		}
	}
	for _, declared := range []string{"export declare function createAuth(", "export declare class ApiError "} {
		if !bytes.Contains(client.Types, []byte(declared)) {
			t.Errorf("the types have no %q", declared)
		}
	}
}

// The module is served as one file: a relative import, or one by a package's name, would not be found.
func TestCoreImportsNothing(t *testing.T) {
	imports := regexp.MustCompile("(^|[;\\n])import\\b|\\bfrom ?['\"]")
	for _, text := range [][]byte{client.Core, client.Types} {
		if found := imports.Find(text); found != nil {
			t.Errorf("the core has %q", found)
		}
	}
}
