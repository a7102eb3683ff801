//go:build e2e

package browser_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
)

// TestStrictMode uses a development build of the demo, in which React's StrictMode mounts each component twice and runs each effect
// twice: nothing is asked, sent or opened twice for that.
func TestStrictMode(t *testing.T) {
	dir := buildForDevelopment(t)
	w := newWorld(t, devstack.Options{ExtraConfig: func(stack *devstack.Stack, config devstack.Config) {
		onAnotherSite(stack, config)
		config.Set("spa.dir", dir)
	}})
	tab := w.tab()
	must(tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: countOpened})
	tab.open("/")
	tab.waitFor("the first request in the log", func() bool { return w.asked(0, http.MethodGet, "/auth/session") > 0 })
	tab.startLogin()
	mark := len(w.stack.HandlerLog())
	tab.finishLogin(cognitolocal.DemoUser, cognitolocal.DemoPassword)
	tab.waitPhase("authenticated")
	tab.wantText("who-email", cognitolocal.DemoUser)

	run[any](tab, chooseText)
	tab.wait(`document.querySelector('` + id("upload-said") + `[data-state="done"]')`)
	tab.wait(`document.querySelector('` + fileItem("files/strict.txt") + `')`)
	tab.connectLive()
	if n := w.asked(mark, http.MethodGet, "/auth/session"); n != 1 {
		t.Errorf("the page made %d requests for the session", n)
	}
	for what, want := range map[string]int{"EventSource": 1, "WebSocket": 1, "strict.txt": 1} {
		if n := run[int](tab, `opened["`+what+`"] ?? 0`); n != want {
			t.Errorf("the page opened %s %d times, want %d", what, n, want)
		}
	}
}

// countOpened counts the connections that a page opens, and what it sends to S3 by the file's name.
const countOpened = `{
	window.opened = {}
	const count = (what) => (opened[what] = (opened[what] ?? 0) + 1)
	for (const name of ["EventSource", "WebSocket"]) {
		window[name] = class extends window[name] { constructor(...options) { super(...options); count(name) } }
	}
	const { prototype } = XMLHttpRequest
	const { open } = prototype
	prototype.open = function (method, url, ...rest) {
		if (method === "PUT") count(new URL(url).pathname.split("/").pop())
		return open.call(this, method, url, ...rest)
	}
}`

const chooseText = `{
	const chosen = new DataTransfer()
	chosen.items.add(new File(["once"], "strict.txt", { type: "text/plain" }))
	const input = document.querySelector("[data-testid=file-input]")
	input.files = chosen.files
	input.dispatchEvent(new Event("change", { bubbles: true }))
	null
}`

// buildForDevelopment builds the demo with React's development build, and returns the folder.
func buildForDevelopment(t *testing.T) string {
	t.Helper()
	dir, spa := t.TempDir(), filepath.Join(repo(t), "test", "demo", "spa")
	build := exec.CommandContext(t.Context(), "node", filepath.Join(spa, "node_modules", "vite", "bin", "vite.js"), "build", "--mode", "development", "--outDir", dir, "--emptyOutDir")
	build.Dir, build.Env = spa, append(os.Environ(), "NODE_ENV=development")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the demo: %v\n%s", err, out)
	}
	scripts, err := filepath.Glob(filepath.Join(dir, "assets", "*.js"))
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "Each child in a list should have a unique") { // only React's development build says so
			return dir
		}
	}
	t.Fatal("the demo has not React's development build")
	return ""
}
