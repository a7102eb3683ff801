package app_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

// TestReadmeIsTrue: the README is short, its configuration is the example that
// another test loads, and its links, its make targets and the files that it names
// exist.
func TestReadmeIsTrue(t *testing.T) {
	readme := read(t, "../../README.md")
	if lines := strings.Count(readme, "\n"); lines > 150 {
		t.Errorf("%d lines, at most 150", lines)
	}
	_, example, _ := strings.Cut(readme, "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	if example != read(t, "../../config/examples/production.yaml") {
		t.Error("the configuration in the README is not config/examples/production.yaml")
	}
	files := regexp.MustCompile("`((?:cmd|config|oauthproxy|test|tokenhandler)(?:/[a-z0-9_.*/]*)?)`").FindAllStringSubmatch(readme, -1)
	for _, file := range files {
		if found, err := filepath.Glob(filepath.Join("../..", file[1])); err != nil || len(found) == 0 {
			t.Errorf("there is no %s", file[1])
		}
	}
	makefile := read(t, "../../Makefile")
	targets := regexp.MustCompile("`?make ([a-z]+)").FindAllStringSubmatch(readme, -1)
	for _, target := range targets {
		if !strings.Contains(makefile, "\n"+target[1]+":") {
			t.Errorf("there is no target %s", target[1])
		}
	}
	if len(files) < 12 || len(targets) < 4 {
		t.Errorf("only %d files and %d targets were found", len(files), len(targets))
	}
}

// TestLinksLeadSomewhere: the relative links of all pages lead to a file and, if
// they have a fragment, to a heading in it.
func TestLinksLeadSomewhere(t *testing.T) {
	found := 0
	for _, page := range pages(t) {
		for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(read(t, page), -1) {
			target, fragment, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			found++
			path := filepath.Join(filepath.Dir(page), target)
			if target == "" {
				path = page
			}
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				path = filepath.Join(path, "README.md")
			}
			content, err := os.ReadFile(path)
			if err != nil || fragment != "" && !slices.Contains(headings(string(content)), fragment) {
				t.Errorf("%s: the link %s leads nowhere", page, link[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d links were found", found)
	}
}

// pages returns the paths of all Markdown files.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", ".github/*.md", "config/*.md", "config/*/*.md", "config/*/*/*.md", "tokenhandler/*.md", "tokenhandler/*/*.md", "tokenhandler/*/docs/*.md", "test/*/*.md"} {
		found, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 8 {
		t.Fatalf("only %d pages", len(all))
	}
	return all
}

// headings returns the fragments of the headings of a page, as GitHub makes them.
func headings(page string) []string {
	var all []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(page, -1) {
		text := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		all = append(all, strings.ReplaceAll(text, " ", "-"))
	}
	return all
}

// TestTablesAreWhole: after an empty line a row of a table is text.
func TestTablesAreWhole(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files", "*.md").Output()
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)\n\n(\|.*)\n(.*)$`)
	for name := range strings.FieldsSeq(string(out)) {
		for _, head := range row.FindAllStringSubmatch(read(t, "../../"+name), -1) {
			if strings.Trim(head[2], "|-: ") != "" {
				t.Errorf("%s: a row without a head: %s", name, head[1])
			}
		}
	}
}

// TestEveryPackageSaysWhatItOwns: every package has a package comment, in doc.go.
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

// TestLinterSettingsNameWhatExists: a rule for a folder that was renamed would
// silently check nothing.
func TestLinterSettingsNameWhatExists(t *testing.T) {
	settings := read(t, "../../.golangci.yml")
	found := 0
	for _, pattern := range []string{`\$\{config-path\}/([a-z/]+)/\*\*`, `pkg: cognito-token-handler/([a-z/]+)`, `(?m)- path: \^?([a-z][a-z/\\.]*[a-z])/?(?: |$)`} {
		for _, name := range regexp.MustCompile(pattern).FindAllStringSubmatch(settings, -1) {
			found++
			if _, err := os.Stat(filepath.Join("../..", strings.ReplaceAll(name[1], `\`, ""))); err != nil {
				t.Errorf(".golangci.yml: %v", err)
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d folders were found", found)
	}
}
