package cognitolocal_test

import (
	"os"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitolocal"
)

func TestMissingInstallationNamesTheCure(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("go.mod", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := cognitolocal.Start(t.Context(), cognitolocal.Options{Addr: "localhost:0"})
	if err == nil || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("err = %v", err)
	}
}
