package oidcprovider_test

import (
	"os"
	"strings"
	"testing"

	"cognito-token-handler/test/oidcprovider"
)

func TestMissingInstallation(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("go.mod", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := oidcprovider.Start(t.Context(), oidcprovider.Options{})
	if err == nil || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("err = %v", err)
	}
}
