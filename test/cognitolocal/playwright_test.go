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

// withoutBrowser tests the code of the pages that needs no browser: what an HTTP client sends, and what a Next server does.
const withoutBrowser = `
import { expect, test } from '@playwright/test'
import { cookieHeader } from 'cognito-token-handler/testing'
import { readFile } from 'node:fs/promises'
import { ask } from './server'
import { me } from './without-browser'

test('the API is called with the header of the jar', () => expect(me.status).toBe(200))

test('a server asks as its user', async () => {
  const cookie = cookieHeader(JSON.parse(await readFile('ada.json', 'utf8')))
  expect(await (await ask(cookie, '/auth/session')).json()).toMatchObject({ authenticated: true, user: { email: 'ada@example.com' } })
  expect((await ask(cookie, '/api/me')).status).toBe(200)
  expect(await (await ask(null, '/auth/session')).json()).toMatchObject({ authenticated: false })
})
`

// TestPlaywright runs the files of the page for other people's tests with Playwright and Debian's Chromium: the login helper's cookies log
// a browser in, at plain cognito-local, and an HTTP client.
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
	files := codeOf(t, filepath.Join(client, "docs", "integration-tests.md"))
	if len(files) != 4 {
		t.Fatalf("the page has %d files", len(files))
	}
	files["server.ts"] = codeOf(t, filepath.Join(client, "docs", "amplify.md"))["src/server.ts"]
	files["without-browser.spec.ts"] = withoutBrowser
	// Debian's Chromium, which refuses its sandbox to root, in place of Playwright's own. A busy machine may need more
	// than Playwright's 30 seconds for a test and 5 for an expectation.
	ours := "timeout: 300_000, expect: { timeout: 60_000 }, use: { launchOptions: { executablePath: '" + chromium + "', chromiumSandbox: false },"
	for name, text := range files {
		text = strings.NewReplacer("http://localhost:8080", w.url, "use: {", ours).Replace(text)
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(project, "package.json"), []byte(`{"type": "module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "node", filepath.Join(modules, "@playwright", "test", "cli.js"), "test", "--reporter=line", "--workers=1")
	run.Dir = project
	out, err := run.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "4 passed") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// codeOf returns the TypeScript files of a page by their names.
func codeOf(t *testing.T, page string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, file := range regexp.MustCompile("(?ms)^```ts file=(\\S+)\n(.*?)^```$").FindAllSubmatch(text, -1) {
		files[string(file[1])] = string(file[2])
	}
	return files
}
