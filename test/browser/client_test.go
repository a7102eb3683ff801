//go:build e2e

package browser_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
	"cognito-token-handler/tokenhandler/client"
)

// noTimers is run in each page before its own scripts: what a page sees of another one then comes by messages only.
const noTimers = `window.setTimeout = window.setInterval = () => 0`

// newClientWorld starts a world whose app uses the browser client. settings are keys of the configuration with their values.
func newClientWorld(t *testing.T, settings ...any) *world {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(repo(t), "test", "browser", "testdata", "client"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "client.js"), client.Core, 0o600); err != nil {
		t.Fatal(err)
	}
	return newWorld(t, devstack.Options{ExtraConfig: func(stack *devstack.Stack, config devstack.Config) {
		onAnotherSite(stack, config)
		config.Set("spa.dir", dir)
		for pair := range slices.Chunk(settings, 2) {
			key, _ := pair[0].(string)
			config.Set(key, pair[1])
		}
	}})
}

// TestClientInTwoWindows shows the same app in two windows: what happens in one is seen in the other, which waits for no timer, and one
// user's window does nothing for another user.
func TestClientInTwoWindows(t *testing.T) {
	w := newClientWorld(t)
	first, second := w.tab(), w.tab()
	for _, tab := range []*tab{first, second} {
		must(tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: noTimers})
		tab.open("/?page=1#top")
		tab.waitStatus("anonymous")
	}
	first.clientLogin(cognitolocal.DemoUser, `{ state: { draft: "half a sentence" } }`)
	if at := run[string](first, "location.pathname + location.search + location.hash"); at != "/?page=1#top" {
		t.Errorf("the login led to %s", at)
	}
	if draft := run[string](first, "auth.takeState().draft"); draft != "half a sentence" {
		t.Errorf("the app got %q back", draft)
	}
	second.waitStatus("authenticated")
	first.wantFetch(`"/api/me"`, http.StatusOK)

	second.clientLogin(cognitolocal.SecondUser, `{ prompt: "login" }`)
	first.wait(`seen.some(({ event }) => event === "userChanged")`)
	if user := run[string](first, "auth.session.user.email"); user != cognitolocal.SecondUser {
		t.Errorf("the first window shows %s", user)
	}
	first.wantFetch(`"/api/me", { expectedSub: "`+w.sub(cognitolocal.DemoUser)+`" }`, http.StatusConflict)

	mark := len(w.stack.HandlerLog())
	run[any](first, `auth.on("signedOut", () => { sessionStorage.left = Date.now() }); auth.logout(); null`)
	second.wait(`seen.some(({ event }) => event === "signedOut")`)
	if ended := run[string](second, "auth.session.ended"); ended != "logout" {
		t.Errorf("the second window says that the session ended by %q", ended)
	}
	first.wait(`window.auth?.session.status === "anonymous" && performance.timeOrigin > Number(sessionStorage.left)`) // back from the provider
	if n := w.asked(mark, http.MethodGet, "/auth/session"); n > 4 {
		t.Errorf("a logout in one of two windows made %d requests for the session", n)
	}
	for _, tab := range []*tab{first, second} {
		tab.wait(`!Object.keys(sessionStorage).some((key) => sessionStorage[key].includes("draft"))`)
	}
	w.wantCleanAnswers()
	w.wantQuiet("409 GET /api/me")
}

// TestClientComesBack leaves a page and returns to it by the browser's cache, and cuts a page off from the network.
func TestClientComesBack(t *testing.T) {
	w := newClientWorld(t)
	left, other := w.tab(), w.tab()
	left.open("/")
	left.waitStatus("anonymous")
	// Chromium keeps a page out of the cache that a busy machine gives no time to freeze.
	for tries := 1; !w.comesBack(left, other); tries++ {
		if tries == 3 {
			t.Fatal("the page never came out of the back/forward cache")
		}
	}

	other.clientLogin(cognitolocal.DemoUser, "")
	other.offline(true)
	if status := run[string](other, `auth.check().then(({ status }) => status)`); status != "authenticated" {
		t.Errorf("without a network the session is %s", status)
	}
	if code := run[string](other, `auth.fetch("/api/me").catch(({ code }) => code)`); code != "unreachable" {
		t.Errorf("without a network a call fails with %s", code)
	}
	if events := other.events(); !slices.Contains(events, "unreachable") || slices.Contains(events, "signedOut") {
		t.Errorf("without a network there were the events %v", events)
	}
	mark := len(w.stack.HandlerLog())
	other.offline(false)
	other.waitFor("a request for the session", func() bool { return w.asked(mark, http.MethodGet, "/auth/session") > 0 })
	other.wantFetch(`"/api/me"`, http.StatusOK)
	other.wantNoSecretVisible()
}

// comesBack leaves a page, whose user logs out in another one meanwhile, and returns to it. It reports whether the page came out of the
// browser's cache.
func (w *world) comesBack(left, other *tab) bool {
	w.t.Helper()
	begun := time.Now()
	left.clientLogin(cognitolocal.DemoUser, "")
	other.open("/")
	other.waitStatus("authenticated")
	left.open(strings.Replace(w.stack.URL, "localhost", "127.0.0.1", 1) + "/robots.txt")
	run[any](other, `window.leaving = true; auth.logout(); null`)
	other.wait(`!window.leaving && window.auth?.session.status === "anonymous"`)
	history, err := chromedp.Run(left.ctx, chromedp.NavigationEntries())
	if err != nil {
		w.t.Fatal(err)
	}
	mark := len(w.stack.HandlerLog())
	must(left, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: history.Entries[history.CurrentIndex-1].ID})
	left.waitStatus("anonymous")
	if !run[bool](left, `seen.some(({ event }) => event === "persisted")`) {
		return false
	}
	most := 1
	if time.Since(begun) > time.Minute {
		most = 2 // what was known is old, so the page has asked when it became visible, too
	}
	asked := func() int { return w.asked(mark, http.MethodGet, "/auth/session") }
	left.waitFor("a request for the session in the log", func() bool { return asked() > 0 })
	if n := asked(); n > most {
		w.t.Errorf("the page made %d requests for the session when it came back", n)
	}
	return true
}

// TestSessionEndsWhileTyping lets the session run out while the user types: the page stays as it is, and goes on after a login in
// another tab. The whole heap of the page has no secret, neither before nor after that.
func TestSessionEndsWhileTyping(t *testing.T) {
	w := newClientWorld(t, "session.idle_timeout", "15s", "session.refresh_before", "2s")
	tab := w.tab()
	tab.open("/?page=1")
	tab.waitStatus("anonymous")
	tab.clientLogin(cognitolocal.DemoUser, "")
	tab.wantNoSecretInHeap(cognitolocal.DemoUser)

	run[any](tab, `window.stayed = true; null`)
	tab.fill("textarea", "half a ")
	tab.waitStatus("anonymous")
	if ended := run[string](tab, "auth.session.ended"); ended != "idle" {
		t.Errorf("the session ended by %q", ended)
	}
	tab.fill("textarea", "sentence")

	run[any](tab, callOnLogin)
	other := w.tab()
	other.open("/")
	other.waitStatus("anonymous")
	other.clientLogin(cognitolocal.DemoUser, "")
	if status := run[int](tab, "called"); status != http.StatusOK {
		t.Errorf("after the login in the other tab the API answers %d", status)
	}
	if typed := run[string](tab, `window.stayed && document.querySelector("textarea").value`); typed != "half a sentence" {
		t.Errorf("what was typed is now %q", typed)
	}
	tab.wantNoSecretInHeap(cognitolocal.DemoUser)
	w.wantQuiet()
}

// callOnLogin calls the API as soon as the page hears of a login: the new session may end before the test does.
const callOnLogin = `window.called = new Promise((resolve) => {
	auth.on("signedIn", () => auth.fetch("/api/me").then(({ status }) => resolve(status), () => resolve(0)))
	auth.on("userChanged", () => resolve(-1))
}); null`

func (t *tab) waitStatus(status string) {
	t.t.Helper()
	t.wait(`window.auth?.session.status === "` + status + `"`)
}

// clientLogin logs in by auth.login with these options.
func (t *tab) clientLogin(email, options string) {
	t.t.Helper()
	run[any](t, `auth.login(`+options+`); null`)
	t.waitProvider()
	t.finishLogin(email, cognitolocal.DemoPassword)
	var user string
	t.waitFor("a user", func() bool {
		user, _ = evaluate[string](t, `window.auth?.session.user?.email ?? ""`) // at once: a short session may end before a second look
		return user != ""
	})
	if user != email {
		t.t.Errorf("%s is logged in, not %s", user, email)
	}
}

func (t *tab) wantFetch(arguments string, status int) {
	t.t.Helper()
	if got := run[int](t, `auth.fetch(`+arguments+`).then((answer) => answer.status)`); got != status {
		t.t.Errorf("fetch(%s) answers %d, want %d", arguments, got, status)
	}
}

func (t *tab) events() []string {
	t.t.Helper()
	return run[[]string](t, `seen.map(({ event }) => event)`)
}

// offline cuts the tab off from the network, or connects it again.
func (t *tab) offline(cut bool) {
	t.t.Helper()
	rules := []*network.Conditions{}
	if cut {
		rules = append(rules, &network.Conditions{Offline: true, DownloadThroughput: -1, UploadThroughput: -1})
	}
	must(t, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: rules})
	must(t, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: cut, DownloadThroughput: -1, UploadThroughput: -1})
}

// wantNoSecretVisible looks for secrets in all places of a page whose app keeps something in sessionStorage.
func (t *tab) wantNoSecretVisible() {
	t.t.Helper()
	secrets := t.w.secrets()
	for place, content := range t.visible() {
		if found := leak(content, secrets); found != "" {
			t.t.Errorf("%s holds %s", place, found)
		}
	}
}
