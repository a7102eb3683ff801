package config_test

import (
	"os"
	"testing"

	"cognito-token-handler/config"
)

func TestReferenceIsUpToDate(t *testing.T) {
	page, err := os.ReadFile("reference.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != config.Reference() {
		t.Error("config/reference.md differs from the table of options: run go generate ./config")
	}
}
