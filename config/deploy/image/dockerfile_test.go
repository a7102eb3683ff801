package main

import (
	"os"
	"strings"
	"testing"
)

// TestTheDockerfileMakesTheSameImage compares what can be compared without Docker.
func TestTheDockerfileMakesTheSameImage(t *testing.T) {
	dockerfile, module := readText(t, "../Dockerfile"), readText(t, "../../../go.mod")
	_, toolchain, _ := strings.Cut(module, "\ntoolchain go")
	version, _, _ := strings.Cut(toolchain, "\n")
	for _, want := range []string{
		"FROM --platform=$BUILDPLATFORM golang:" + version + " AS build\n",
		"\nFROM scratch\n", "\nWORKDIR " + workDir + "\n", "\nUSER " + user + ":" + user + "\n", "\nENTRYPOINT [\"" + entrypoint + "\"]\n",
	} {
		if !strings.Contains(dockerfile, want) {
			t.Errorf("the Dockerfile has no %q", want)
		}
	}
	const flags = "-s -w -X main.version="
	if !strings.Contains(dockerfile, flags) || !strings.Contains(readText(t, "../../../Makefile"), flags) {
		t.Error("the Dockerfile and the Makefile build with different flags")
	}
}

func readText(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
