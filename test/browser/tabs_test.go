//go:build e2e

package browser_test

import (
	"strings"
	"testing"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
)

// TestTabs is one user with several tabs, the hosted UI on the app's own site, as `make run` has it.
func TestTabs(t *testing.T) {
	w := newWorld(t, devstack.Options{})
	first, second, third := w.tab(), w.tab(), w.tab()
	for _, tab := range []*tab{first, second} {
		tab.open("/?view=notes")
		tab.waitPhase("anonymous")
		tab.startLogin()
	}
	if n := len(first.cookies()); n != 3 {
		t.Errorf("two logins under way have %d cookies", n)
	}
	for _, tab := range []*tab{first, second} {
		tab.finishLogin(cognitolocal.DemoUser, cognitolocal.DemoPassword)
		tab.waitPhase("authenticated")
		if at := run[string](tab, "location.pathname + location.search"); at != "/?view=notes" {
			t.Errorf("the login led to %s", at)
		}
	}
	w.wantSessionCookies(first)
	third.open("/")
	third.waitPhase("authenticated")
	for _, tab := range []*tab{first, second, third} {
		tab.callAPI(w.sub(cognitolocal.DemoUser))
		tab.wantNothingVisible("logged in")
	}

	third.openSocket()

	first.logout()
	if closed := run[string](third, "socketEnd"); closed != "4401 session ended" {
		t.Errorf("the socket was closed with %s", closed)
	}
	second.wantEnded()
	third.wantEnded()
	second.shoot("09-session-ended")
	second.click(id("login-again"))
	second.waitProvider()
	second.finishLogin(cognitolocal.DemoUser, cognitolocal.DemoPassword)
	second.waitPhase("authenticated")

	w.wantCleanAnswers()
	w.wantQuiet()
	second.wantPlantedFound()
}

// openSocket opens a WebSocket through the token handler and wants a message back; socketEnd becomes the code and reason of its end.
func (t *tab) openSocket() {
	t.t.Helper()
	echoed := run[string](t, `new Promise((resolve) => {
		const socket = new WebSocket("/api/socket")
		window.socketEnd = new Promise((done) => { socket.onclose = (e) => (done(e.code + " " + e.reason), resolve("closed")) })
		socket.onopen = () => socket.send("hello")
		socket.onmessage = (e) => resolve(e.data)
	})`)
	if echoed != "hello" {
		t.t.Errorf("the socket says %q", echoed)
	}
}

// wantEnded looks at a tab whose session was ended in another one: by itself it says so, and the user's data is gone from it.
func (t *tab) wantEnded() {
	t.t.Helper()
	sub := t.w.sub(cognitolocal.DemoUser)
	t.waitPhase("anonymous")
	if message := t.text("error"); !strings.Contains(message, "Your session has ended") || !strings.Contains(message, "in another tab") {
		t.t.Errorf("the tab says %q", message)
	}
	if page := run[string](t, "document.documentElement.outerHTML"); strings.Contains(page, sub) {
		t.t.Error("the user's data is still in the page")
	}
}

// wantPlantedFound hides a token in every place in turn: a search that finds nothing is only worth something if it can find.
func (t *tab) wantPlantedFound() {
	t.t.Helper()
	issued := t.w.stack.Pool.Issued()
	token := issued[len(issued)-1]
	signature := token[strings.LastIndex(token, ".")+1:]
	for place, plant := range map[string]string{
		"document.cookie": `document.cookie = "t=" + x`, "localStorage": `localStorage.t = x`, "sessionStorage": `sessionStorage.t = x`,
		"cookieStore": `cookieStore.set("u", x)`, "caches": `caches.open("c").then((c) => c.put("/t", new Response(x)))`,
		"document": `document.body.dataset.t = x`, "address": `history.replaceState({ t: x }, "")`,
		"globals": `window.app = { deep: [new Map([["t", { x }]])] }`,
		"indexedDB": `new Promise((done) => {
			const r = indexedDB.open("d")
			r.onupgradeneeded = () => r.result.createObjectStore("s")
			r.onsuccess = () => { r.result.transaction("s", "readwrite").objectStore("s").put({ x }, 1).onsuccess = () => (r.result.close(), done()) }
		})`,
	} {
		run[any](t, `(async (x) => { await (`+plant+`) })("`+signature+`")`)
		if leak(t.visible()[place], t.w.secrets()) == "" {
			t.t.Errorf("a part of a token in %s was not found", place)
		}
	}
}
