//go:build e2e

package browser_test

import (
	"context"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"

	"cognito-token-handler/oauthproxy/spa"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

// TestBuildsOfPopularTools serves what these tools build, as it is, and uses the pages: scripts run, styles apply, and the browser
// refuses nothing. testdata/stacks/README.md says where the builds come from.
func TestBuildsOfPopularTools(t *testing.T) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed: run `make tools`")
	}
	browser := stackBrowser{startChromium(t, program, nil)}
	const colour = `getComputedStyle(document.querySelector("%")).color == "rgb(1, 2, 3)"`
	styled := func(css string) string { return strings.ReplaceAll(colour, "%", css) }
	for name, pages := range map[string]map[string][]string{
		"vite-mui": {
			"/":         {`getComputedStyle(document.querySelector("#mui")).backgroundColor == "rgb(25, 118, 210)"`, styled("#sc"), `getComputedStyle(document.querySelector("#mui")).marginTop == "3px"`},
			"/settings": {styled("#sc")},
		},
		"next-export": {
			"/":        {heading("home"), counts, `getComputedStyle(document.querySelector("main")).marginTop == "3px"`, follows("/about"), heading("about"), counts},
			"/about":   {heading("about"), counts},
			"/nothing": {`document.body.innerText.includes("404")`},
		},
		"sveltekit": {
			"/":      {heading("home"), counts, styled("h1"), follows("/about"), heading("about"), counts},
			"/about": {heading("about"), counts, styled("h1")},
		},
		"angular": {
			"/":         {heading("home"), counts, styled("h1"), `getComputedStyle(document.querySelector("#count")).color == "rgb(4, 5, 6)"`},
			"/settings": {heading("home"), counts},
		},
	} {
		t.Run(name, func(t *testing.T) {
			app := serveStack(t, name)
			for path, expected := range pages {
				tab := browser.open(t, app+path)
				for _, expression := range expected {
					tab.wait(expression)
				}
				tab.wantNoComplaint(path)
			}
		})
	}
}

// counts clicks the counter of a page until its script has run, and is true when the page shows that it counts.
const counts = `(() => { const button = document.querySelector("#count"); button?.click(); return +button?.innerText > 0 })()`

func heading(text string) string {
	return `document.querySelector("h1")?.innerText == "` + text + `"`
}

// follows clicks the link to another page, and is true when that is there without a reload.
func follows(path string) string {
	return `(() => { if (!window.stayed) { window.stayed = true; document.querySelector("#link").click() } return location.pathname == "` + path + `" })()`
}

// serveStack serves a build as the service does with spa.dir.
func serveStack(t *testing.T, name string) string {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	address := "http://" + server.Listener.Addr().String()
	site := web.NewSite(web.Config{PublicURL: testkit.MustURL(t, address), LoginURL: "/auth/login", Log: testkit.Logger(t), Now: time.Now})
	app, err := spa.New(spa.Config{Dir: filepath.Join("testdata", "stacks", name, "built"), Site: site, Log: testkit.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = app
	server.Start()
	t.Cleanup(server.Close)
	return address
}

// stackBrowser is a browser for the pages of the builds.
type stackBrowser struct{ ctx context.Context }

// open opens a page in a new tab.
func (b stackBrowser) open(t *testing.T, address string) *tab {
	t.Helper()
	tab := &tab{t: t, record: newRecord()}
	var end context.CancelFunc
	tab.ctx, end = chromedp.NewContext(b.ctx, chromedp.WithListener(tab.observe))
	t.Cleanup(end)
	if err := chromedp.Do(tab.ctx); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	must(tab, audits.Enable, cdp.Empty{})
	tab.open(address)
	return tab
}

// wantNoComplaint asserts that the page's console is empty and that the browser has refused nothing. The missing icon is no fault.
func (t *tab) wantNoComplaint(path string) {
	t.t.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, complaint := range t.complaints {
		t.t.Errorf("%s: %s", path, complaint)
	}
}
