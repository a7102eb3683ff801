package redislocal_test

import (
	"strings"
	"testing"

	"cognito-token-handler/test/redislocal"
)

func TestMissingToolNamesTheCure(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := redislocal.Start(t.Context(), redislocal.Options{})
	if err == nil || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("err = %v", err)
	}
}
