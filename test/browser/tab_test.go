//go:build e2e

package browser_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/testkit"
)

// tab is one tab and all that was seen in it.
type tab struct {
	*record

	w   *world
	t   *testing.T
	ctx context.Context
}

// tab opens an empty tab in a window of its own: a hidden one would not be drawn.
func (w *world) tab(options ...chromedp.ContextOption) *tab {
	w.t.Helper()
	tab := &tab{w: w, t: w.t, record: newRecord()}
	var end context.CancelFunc
	tab.ctx, end = chromedp.NewContext(w.browser, append(options, chromedp.WithListener(tab.observe))...)
	w.t.Cleanup(end)
	if err := chromedp.Do(tab.ctx); err != nil {
		w.t.Fatalf("opening a tab: %v", err)
	}
	tab.inspect(tab.ctx)
	must(tab, audits.Enable, cdp.Empty{})
	must(tab, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{
		{URLPattern: w.stack.URL + "/*", RequestStage: fetch.RequestStageResponse},
		{URLPattern: w.stack.S3.Endpoint + "/*", RequestStage: fetch.RequestStageResponse},
	}})
	w.tabs = append(w.tabs, tab)
	return tab
}

// do runs actions, and fails the test if they take longer than [testkit.Deadline].
func (t *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, testkit.Deadline)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.fatalf("%s: %v", what, err)
	}
}

func (t *tab) fatalf(format string, args ...any) {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, 20*time.Second)
	defer cancel()
	seen, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	t.t.Logf("the tab shows %s", seen)
	t.t.Fatalf(format, args...)
}

// open goes to a path of the app, or to another address.
func (t *tab) open(address string) {
	t.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = t.w.stack.URL + address
	}
	t.do("opening "+address, chromedp.Navigate(address))
}

// click clicks the middle of the element, once it is there and nothing covers it. Neither click nor fill uses the protocol's
// numbers of nodes, which a page that is still loading may take back at any time.
func (t *tab) click(css string) {
	t.t.Helper()
	var middle []float64
	t.waitFor("a way to click "+css, func() bool {
		middle, _ = evaluate[[]float64](t, `((element) => {
			if (!element || document.readyState === "loading") return []
			element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" })
			const box = element.getBoundingClientRect()
			const middle = [box.x + box.width / 2, box.y + box.height / 2]
			const top = document.elementFromPoint(...middle)
			return top && (element.contains(top) || top.contains(element)) ? middle : []
		})(document.querySelector(`+describe(css)+`))`)
		return len(middle) == 2
	})
	t.do("clicking "+css, chromedp.MouseClickXY(middle[0], middle[1]))
}

// fill types text into the element, once it is there and has the focus. A page's own autofocus comes first.
func (t *tab) fill(css, text string) {
	t.t.Helper()
	t.wait(`((element) => {
		if (!element?.getClientRects().length || document.readyState === "loading") return false
		if (document.activeElement === document.body && document.querySelector("[autofocus]")) return false
		element.focus()
		return document.activeElement === element
	})(document.querySelector(` + describe(css) + `))`)
	t.do("filling in "+css, chromedp.KeyEvent(text))
}

func id(testid string) string { return `[data-testid="` + testid + `"]` }

// text returns what the element shows, once it is there.
func (t *tab) text(testid string) (text string) {
	t.t.Helper()
	t.waitFor("the text of "+testid, func() (there bool) {
		var err error
		text, err = evaluate[string](t, "document.querySelector('"+id(testid)+"').innerText.trim()")
		return err == nil
	})
	return text
}

func (t *tab) wantText(testid, want string) {
	t.t.Helper()
	if got := t.text(testid); got != want {
		t.t.Errorf("%s shows %q, want %q", testid, got, want)
	}
}

// wait returns when the expression is true in the page that is there by then; pages may come and go meanwhile.
func (t *tab) wait(expression string) {
	t.t.Helper()
	t.waitFor(expression, func() bool {
		ok, err := evaluate[bool](t, "!!("+expression+")")
		return err == nil && ok
	})
}

func (t *tab) waitFor(what string, condition func() bool) {
	t.t.Helper()
	tick, end := time.NewTicker(20*time.Millisecond), time.After(testkit.Deadline)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-end:
			t.fatalf("waited in vain for %s", what)
		case <-t.ctx.Done():
			t.t.Fatalf("the tab was closed while waiting for %s", what)
		}
	}
}

func (t *tab) waitPhase(phase string) {
	t.t.Helper()
	t.wait(`document.querySelector('[data-phase="` + phase + `"]')`)
}

// run evaluates an expression, awaiting a promise.
func run[T any](t *tab, expression string) T {
	t.t.Helper()
	value, err := evaluate[T](t, expression, chromedp.EvalAwaitPromise)
	if err != nil {
		t.fatalf("evaluating %.200s: %v", expression, err)
	}
	return value
}

func evaluate[T any](t *tab, expression string, options ...chromedp.EvaluateOption) (T, error) {
	ctx, cancel := context.WithTimeout(t.ctx, testkit.Deadline)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
}

// startLogin clicks the app's button and waits for the provider's page.
func (t *tab) startLogin() {
	t.t.Helper()
	t.click(id("login"))
	t.waitProvider()
}

// waitProvider waits for the provider's page to be complete.
func (t *tab) waitProvider() {
	t.t.Helper()
	t.wait(`document.querySelector("input[name=password]") && document.readyState === "complete"`)
}

// finishLogin fills in the provider's page; return is hit at the end.
func (t *tab) finishLogin(email, password string) {
	t.t.Helper()
	t.waitProvider()
	run[any](t, `document.querySelector("input[name=username]").value = ""`) // the page keeps it after an error
	t.fill("input[name=username]", email)
	t.fill("input[name=password]", password+kb.Enter)
}

func (t *tab) login(email string) {
	t.t.Helper()
	t.startLogin()
	t.finishLogin(email, cognitolocal.DemoPassword)
	t.waitPhase("authenticated")
	t.wantText("who-email", email)
	t.wait(settled)
}

// settled is true once the demo shows the user's notes and files. Requests of the page that are under way would be refused after a logout,
// and what comes later moves what is to be clicked.
const settled = `document.querySelector('[data-testid="notes-status"][data-status="synced"]') &&
	document.querySelector('#files .empty, [data-testid="file-item"]')`

// cookies returns the browser's cookies for the app, HttpOnly ones included, by name.
func (t *tab) cookies() map[string]*network.Cookie {
	t.t.Helper()
	list := must(t, network.GetCookies, network.GetCookiesParams{URLs: []string{t.w.stack.URL}})
	cookies := map[string]*network.Cookie{}
	for _, cookie := range list.Cookies {
		if cookies[cookie.Name] != nil {
			t.t.Errorf("two cookies are called %s", cookie.Name)
		}
		cookies[cookie.Name] = cookie
	}
	return cookies
}

// shoot keeps a picture of the whole page in light and in dark, and a phone's if narrow.
func (t *tab) shoot(name string, narrow ...bool) {
	t.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		t.scheme(scheme)
		t.picture(name + "-" + scheme)
	}
	if len(narrow) > 0 {
		t.do("narrowing", chromedp.EmulateViewport(390, 844))
		t.picture(name + "-phone")
		t.do("widening", chromedp.EmulateViewport(1280, 900))
	}
	t.scheme("light")
}

func (t *tab) scheme(name string) {
	t.t.Helper()
	must(t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

func (t *tab) picture(name string) {
	t.t.Helper()
	run[any](t, "scrollTo(0, 0)")
	ctx, cancel := context.WithTimeout(t.ctx, testkit.Deadline)
	defer cancel()
	image, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.fatalf("taking a picture: %v", err)
	}
	if err := os.WriteFile(filepath.Join(screenshots(t.t), name+".png"), image, 0o600); err != nil {
		t.t.Fatal(err)
	}
}

// describe shows a value of the protocol in a message.
func describe(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// thrown shows an exception.
func thrown(details *runtime.ExceptionDetails) string {
	if details.Exception != nil && details.Exception.Description != "" {
		return details.Exception.Description
	}
	return details.Text
}
