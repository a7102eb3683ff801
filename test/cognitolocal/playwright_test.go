//go:build e2e

package cognitolocal_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cognito-token-handler/test/devstack/process"
)

// TestPlaywright runs the files of the page for other people's tests with Playwright and Debian's Chromium: the login helper's cookies log
// a browser in, at plain cognito-local.
func TestPlaywright(t *testing.T) {
	w := newPlain(t)
	repo, err := process.RepoDir()
	if err != nil {
		t.Fatal(err)
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed: run `make tools`")
	}
	client, project := filepath.Join(repo, "tokenhandler", "client"), t.TempDir()
	page, err := os.ReadFile(filepath.Join(client, "docs", "integration-tests.md"))
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(client, "test", "playwright", "node_modules")
	for name, target := range map[string]string{
		"@playwright": filepath.Join(modules, "@playwright"), "cognito-token-handler": client,
	} {
		if err := os.MkdirAll(filepath.Join(project, "node_modules"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(project, "node_modules", name)); err != nil {
			t.Fatal(err)
		}
	}
	files := regexp.MustCompile("(?ms)^```ts file=(\\S+)\n(.*?)^```$").FindAllSubmatch(page, -1)
	if len(files) != 3 {
		t.Fatalf("the page has %d files", len(files))
	}
	// Debian's Chromium, which refuses its sandbox to root, in place of Playwright's own.
	ours := "use: { launchOptions: { executablePath: '" + chromium + "', chromiumSandbox: false },"
	for _, file := range files {
		text := strings.NewReplacer("http://localhost:8080", w.url, "use: {", ours).Replace(string(file[2]))
		if err := os.WriteFile(filepath.Join(project, string(file[1])), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(project, "package.json"), []byte(`{"type": "module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "node", filepath.Join(modules, "@playwright", "test", "cli.js"), "test", "--reporter=line", "--workers=1")
	run.Dir = project
	out, err := run.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "2 passed") {
		t.Errorf("%v:\n%s", err, out)
	}
}
