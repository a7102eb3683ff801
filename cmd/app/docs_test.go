package app_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestReadmeIsTrue: the configuration that it shows is the example that is
// loaded by a test, its links lead somewhere, its targets exist, it is short.
func TestReadmeIsTrue(t *testing.T) {
	readme := read(t, "../../README.md")
	if lines := strings.Count(readme, "\n"); lines > 150 {
		t.Errorf("%d lines, at most 150", lines)
	}
	_, shown, _ := strings.Cut(readme, "```yaml\n")
	shown, _, _ = strings.Cut(shown, "```")
	if shown != read(t, "../../config/examples/production.yaml") {
		t.Error("the configuration shown is not config/examples/production.yaml")
	}
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(readme, -1)
	for _, link := range links {
		if _, err := os.Stat(filepath.Join("../..", link[1])); err != nil {
			t.Errorf("a link leads nowhere: %v", err)
		}
	}
	makefile := read(t, "../../Makefile")
	targets := regexp.MustCompile("`?make ([a-z]+)").FindAllStringSubmatch(readme, -1)
	for _, target := range targets {
		if !strings.Contains(makefile, "\n"+target[1]+":") {
			t.Errorf("there is no target %s", target[1])
		}
	}
	if len(links) < 2 || len(targets) < 4 {
		t.Errorf("only %d links and %d targets were found", len(links), len(targets))
	}
}

// TestEveryPackageSaysWhatItOwns: a package comment, in doc.go or beside its
// only file, and every folder of the README's table exists.
func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-tags", "e2e", "-f", "{{.Dir}}\t{{.Doc}}", "../../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, line := range packages {
		dir, doc, _ := strings.Cut(line, "\t")
		if doc == "" {
			t.Errorf("%s has no package comment", filepath.Base(dir))
		}
		if _, err := os.Stat(filepath.Join(dir, "doc.go")); err != nil {
			t.Errorf("%s has no doc.go", dir)
		}
	}
	if len(packages) < 20 {
		t.Errorf("only %d packages", len(packages))
	}
}
