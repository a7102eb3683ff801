//go:build e2e

package browser_test

import (
	_ "embed"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
)

//go:embed testdata/attacks.js
var attacks string

// TestOtherSites lets a logged-in user visit two hostile pages: one on another site, and one on the same site (another port of
// localhost), to which the browser sends even Strict cookies.
func TestOtherSites(t *testing.T) {
	w := newWorld(t, devstack.Options{})
	hostile := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(rw, "<!DOCTYPE html><title>Win a prize</title><p>Please wait…</p>")
	}))
	t.Cleanup(hostile.Close)
	victim := w.tab()
	victim.open("/")
	victim.login(cognitolocal.DemoUser)
	victim.addNote("Mine")
	victim.waitSynced()
	for site, address := range map[string]string{
		"cross-site": hostile.URL, "same-site": strings.Replace(hostile.URL, "127.0.0.1", "localhost", 1),
	} {
		t.Run(site, func(t *testing.T) { w.attack(t, victim, address, site) })
	}
	for _, path := range []string{"/api/me", "/auth/session"} { // the user's own page gets answers: the guard does not refuse everything
		if status := run[int](victim, `fetch("`+path+`").then((r) => r.status)`); status != http.StatusOK {
			t.Errorf("%s answers the app itself %d", path, status)
		}
	}
	w.wantCleanAnswers()
	w.tabs = []*tab{victim}
	w.wantQuiet()
}

func (w *world) attack(t *testing.T, victim *tab, address, site string) {
	t.Helper()
	cookies, calls, mark := victim.cookies(), w.stack.Pool.TokenCalls("refresh_token"), len(w.stack.HandlerLog())
	notes := w.object("users/" + w.sub(cognitolocal.DemoUser) + "/notes/notes.json")
	attacker := w.tab()
	attacker.open(address)
	outcomes := run[map[string]string](attacker, attacks+`("`+w.stack.URL+`")`)
	if len(outcomes) < 60 {
		t.Errorf("only %d attacks were made", len(outcomes))
	}
	for attack, outcome := range outcomes {
		if outcome != "refused" {
			t.Errorf("%s: %.200s", attack, outcome)
		}
	}
	attacker.waitFor("the last window", func() bool { return w.asked(mark, http.MethodGet, "/auth/login") >= 2 })
	w.wantRefused(t, mark, site)
	after := victim.cookies()
	for _, name := range []string{w.names().Session, w.names().Active} {
		if after[name] == nil || after[name].Value != cookies[name].Value {
			t.Errorf("the cookie %s was changed", name)
		}
	}
	if w.stack.Pool.TokenCalls("refresh_token") != calls {
		t.Error("another origin made the token handler refresh")
	}
	if w.object("users/"+w.sub(cognitolocal.DemoUser)+"/notes/notes.json") != notes {
		t.Error("the notes were changed")
	}
	victim.click(id("api-me"))
	victim.wait(`document.querySelector('` + id("api-status") + `')?.innerText === "200"`)
	victim.waitPhase("authenticated")
}

// request is a line of the token handler's request log.
type request struct {
	Msg    string
	Method string
	Path   string
	Status int
}

// requests returns the requests that the token handler logged after the given length of its log.
func (w *world) requests(mark int) []request {
	var found []request
	for line := range strings.Lines(w.stack.HandlerLog()[mark:]) {
		var r request
		if json.Unmarshal([]byte(line), &r) == nil && r.Msg == "request" {
			found = append(found, r)
		}
	}
	return found
}

func (w *world) asked(mark int, method, path string) int {
	count := 0
	for _, r := range w.requests(mark) {
		if r.Method == method && r.Path == path {
			count++
		}
	}
	return count
}

// wantRefused asserts that the token handler gave other origins nothing but the app's public files.
func (w *world) wantRefused(t *testing.T, mark int, site string) {
	t.Helper()
	seen := map[request]int{}
	for _, r := range w.requests(mark) {
		seen[r]++
	}
	for r, count := range seen {
		switch {
		case r.Path == "/" || strings.HasPrefix(r.Path, "/assets/"):
		case r.Path == "/auth/session" && r.Status == http.StatusOK && count <= 2*seen[request{"request", http.MethodGet, "/", http.StatusOK}]:
			// The app itself, in the windows that were opened, asks for the session, and again if another window tells of its own
			// answer meanwhile. No other page can read the answer.
		case r.Path == "/storage/objects" && r.Method == http.MethodGet && r.Status == http.StatusOK &&
			count <= seen[request{"request", http.MethodGet, "/auth/session", http.StatusOK}]:
			// The app, which knows by then who is logged in, asks for the list of files.
		case r.Path == "/storage/objects/notes/notes.json" && r.Method == http.MethodHead && r.Status == http.StatusOK:
			// The app compares its notes with the folder. No attack sends this request.
		case r.Path == "/auth/login" && r.Status == http.StatusSeeOther && site == "cross-site": // to the start page
		case r.Path == "/auth/login" && r.Status == http.StatusFound && site == "same-site": // a link to the login
		case r.Status < 400:
			t.Errorf("%d × %+v", count, r)
		}
	}
	for _, path := range []string{"/auth/logout", "/auth/refresh", "/api/echo", "/storage/uploads"} {
		if w.asked(mark, http.MethodPost, path) < 2 {
			t.Errorf("POST %s was never sent", path)
		}
	}
	if strings.Contains(w.stack.HandlerLog()[mark:], `"msg":"logout"`) {
		t.Error("another origin logged the user out")
	}
}
