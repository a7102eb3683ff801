//go:build e2e

package browser_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
	"cognito-token-handler/test/testkit"
)

// TestStory is one user's whole visit, with a hosted UI on another site and access tokens that last for seconds.
func TestStory(t *testing.T) {
	w := newWorld(t, devstack.Options{
		AccessTokenTTL: 10 * time.Second,
		ExtraConfig: func(stack *devstack.Stack, config devstack.Config) {
			onAnotherSite(stack, config)
			config.Set("session.refresh_before", "5s") // the API gets no token that ends on the way to it
		},
	})
	tab := w.tab()

	tab.open("/")
	tab.waitPhase("anonymous")
	tab.wantNothingVisible("anonymous")
	tab.shoot("01-anonymous", true)

	tab.startLogin()
	w.wantLoginCookie(tab)
	tab.picture("02-hosted-ui")
	tab.refusePassword()

	tab.finishLogin(cognitolocal.DemoUser, cognitolocal.DemoPassword)
	tab.waitPhase("authenticated")
	tab.wantText("who-email", cognitolocal.DemoUser)
	tab.wantText("who-groups", cognitolocal.DemoGroup)
	sub := w.sub(cognitolocal.DemoUser)
	tab.wantText("who-sub", sub)
	w.wantSessionCookies(tab)
	// Else it went along although another site led here.
	tab.waitFor("a request without the session's cookie", func() bool { return tab.kept(w.names().Session) })
	tab.wantNothingVisible("logged in")
	tab.shoot("03-logged-in")

	tab.callAPI(sub)
	tab.shoot("04-api")
	tab.saveNotes(sub)
	tab.wantNothingVisible("after saving")
	tab.shoot("05-notes", true)
	tab.useFiles(sub)
	tab.wantNothingVisible("after deleting")

	tab.do("reloading", chromedp.Reload())
	tab.waitPhase("authenticated")
	tab.wantText("who-email", cognitolocal.DemoUser)

	tab.letTokenExpire()
	tab.wantNothingVisible("after a silent refresh")

	tab.logout()
	tab.wantNothingVisible("logged out")
	tab.shoot("06-logged-out")
	tab.goBack()

	tab.secondUser(sub)
	w.wantCleanAnswers()
	w.wantQuiet()
}

func (w *world) sub(email string) string {
	w.t.Helper()
	sub, err := w.stack.Pool.Sub(w.t.Context(), email)
	if err != nil {
		w.t.Fatal(err)
	}
	return sub
}

// names returns the names of the app's cookies.
func (w *world) names() testkit.CookieNames { return testkit.Cookies(w.stack.URL) }

// wantLoginCookie asserts that during a login there are its cookie and that for all logins, which the browser sends with the redirect
// from the provider (Lax).
func (w *world) wantLoginCookie(tab *tab) {
	w.t.Helper()
	cookies, names := tab.cookies(), w.names()
	if len(cookies) != 2 || cookies[names.Began] == nil {
		w.t.Errorf("%d cookies during a login", len(cookies))
	}
	for name, cookie := range cookies {
		if name != names.Began && !strings.HasPrefix(name, names.Login) {
			w.t.Errorf("a cookie called %s during a login", name)
		}
		w.wantCookie(cookie, network.CookieSameSiteLax)
	}
}

// wantSessionCookies asserts that the login's cookie is deleted and that the session's two cookies are set.
func (w *world) wantSessionCookies(tab *tab) {
	w.t.Helper()
	cookies, names := tab.cookies(), w.names()
	for _, name := range []string{names.Session, names.Active} {
		if cookies[name] == nil {
			w.t.Errorf("there is no cookie %s", name)
			continue
		}
		w.wantCookie(cookies[name], network.CookieSameSiteStrict)
		delete(cookies, name)
	}
	if cookie := cookies[names.Began]; cookie != nil {
		w.wantCookie(cookie, network.CookieSameSiteLax)
		delete(cookies, names.Began)
	}
	for name := range cookies {
		w.t.Errorf("a cookie too many: %s", name)
	}
}

func (w *world) wantCookie(cookie *network.Cookie, sameSite network.CookieSameSite) {
	w.t.Helper()
	if !cookie.HTTPOnly || cookie.Secure != strings.HasPrefix(w.stack.URL, "https://") || cookie.SameSite != sameSite || cookie.Path != "/" || cookie.Domain != "localhost" {
		w.t.Errorf("cookie %s: HttpOnly %t, Secure %t, SameSite %s, Path %s, Domain %s", cookie.Name, cookie.HTTPOnly, cookie.Secure,
			cookie.SameSite, cookie.Path, cookie.Domain)
	}
}

// refusePassword types a wrong password and asserts that the provider shows its page again and that nobody is logged in.
func (t *tab) refusePassword() {
	t.t.Helper()
	before := len(t.seen(0))
	t.finishLogin(cognitolocal.DemoUser, "not the password")
	t.wait(`document.body.innerText.includes("Incorrect username or password")`)
	if at := run[string](t, "location.host"); strings.HasPrefix(at, "localhost") {
		t.t.Errorf("a wrong password led to %s", at)
	}
	for _, a := range t.seen(before) {
		t.t.Errorf("a wrong password reached the app: %s", a)
	}
}

// callAPI calls the API with and without a body, and asserts that it received the user's token.
func (t *tab) callAPI(sub string) {
	t.t.Helper()
	t.wait(settled)
	t.click(id("api-me"))
	t.wait(`document.querySelector('` + id("api-status") + `')?.innerText === "200"`)
	var me struct{ Claims struct{ Sub string } }
	if err := json.Unmarshal([]byte(t.text("api-result")), &me); err != nil || me.Claims.Sub != sub {
		t.t.Errorf("/api/me says %+v, %v; want sub %s", me, err, sub)
	}
	t.wait(`!document.querySelector('` + id("api-echo") + `').disabled`)
	t.click(id("api-echo"))
	t.wait(`document.querySelector('` + id("api-result") + `')?.innerText.includes('"method": "POST"')`)
	t.wantText("api-status", "200")
	var echo struct {
		Bytes   int
		Headers map[string][]string
		Others  []string `json:"other_headers"`
	}
	if err := json.Unmarshal([]byte(t.text("api-result")), &echo); err != nil || echo.Bytes < 50 {
		t.t.Errorf("/api/echo got %d bytes, %v", echo.Bytes, err)
	}
	if !strings.HasPrefix(strings.Join(echo.Headers["Authorization"], ""), "Bearer [") || slices.Contains(echo.Others, "Cookie") {
		t.t.Errorf("/api/echo got %v and %v", echo.Headers, echo.Others)
	}
}

// saveNotes writes three notes, deletes one, and asserts that S3 holds exactly what the browser keeps, in the user's folder.
func (t *tab) saveNotes(sub string) {
	t.t.Helper()
	for i, note := range []string{"Buy milk", "Größe & <b>Umlaute</b> дом", "Delete me"} {
		t.addNote(note)
		t.wait(fmt.Sprintf(`document.querySelectorAll('%s').length === %d`, id("note-item"), i+1))
	}
	t.click(`[aria-label="Delete note: Delete me"]`)
	t.wait(`document.querySelectorAll('` + id("note-item") + `').length === 2`)
	t.waitSynced()
	key := "users/" + sub + "/notes/notes.json"
	t.wantText("notes-key", key)
	want := run[string](t, `localStorage.getItem("th:`+sub+`:notes")`)
	if got := t.w.object(key); got != want || !strings.Contains(got, "Umlaute") || strings.Contains(got, "Delete me") {
		t.t.Errorf("S3 holds %q, want %q", got, want)
	}
}

// addNote adds a note, which is the first in the list.
func (t *tab) addNote(text string) {
	t.t.Helper()
	t.wait(`document.querySelector('` + id("note-add") + `')?.disabled === false`)
	count := `document.querySelectorAll('` + id("note-item") + `').length`
	before := run[int](t, count)
	t.click(id("note-add"))
	t.wait(fmt.Sprintf("%s === %d", count, before+1))
	t.fill(id("note-item")+":first-child textarea", text)
}

// waitSynced waits until the user's folder has the notes that the page shows.
func (t *tab) waitSynced() {
	t.t.Helper()
	t.wait(`document.querySelector('` + id("notes-status") + `[data-status="synced"]')`)
}

// object reads an object of the bucket, past the token handler.
func (w *world) object(key string) string {
	w.t.Helper()
	found, err := w.stack.S3.Client().GetObject(w.t.Context(), &s3.GetObjectInput{Bucket: &w.stack.S3.Bucket, Key: &key})
	if err != nil {
		w.t.Errorf("reading %s: %v", key, err)
		return ""
	}
	defer func() { _ = found.Body.Close() }()
	content, err := io.ReadAll(found.Body)
	if err != nil {
		w.t.Error(err)
	}
	return string(content)
}

// letTokenExpire waits until the access token has ended, and calls the API. The call succeeds with a new token, and its answer
// carries the new cookie. The page itself asks for the session half a second after the end: on a busy machine that may come first,
// and the next token is waited for.
func (t *tab) letTokenExpire() {
	t.t.Helper()
	refreshes := t.w.stack.Pool.TokenCalls("refresh_token")
	for attempts := 1; !t.callAtTheEndOfTheToken(); attempts++ {
		if attempts == 10 {
			t.fatalf("no call of the API brought a new session cookie")
		}
	}
	t.wait(`document.querySelector('` + id("api-status") + `')?.innerText === "200"`)
	if after := t.w.stack.Pool.TokenCalls("refresh_token"); after <= refreshes {
		t.t.Errorf("%d refreshes, before it were %d", after, refreshes)
	}
	t.waitPhase("authenticated")
}

// callAtTheEndOfTheToken calls the API when the token that the page knows has ended, and reports whether that call, and not one of
// the page's own, brought the new session cookie.
func (t *tab) callAtTheEndOfTheToken() bool {
	t.t.Helper()
	before, heads := len(t.seen(0)), len(t.allHeads())
	run[bool](t, `new Promise((resolve) => {
		const time = document.querySelector('`+id("token-expires")+`')
		const button = document.querySelector('`+id("api-me")+`')
		const timer = setInterval(() => {
			if (Date.now() < Date.parse(time.dateTime) || button.disabled) return
			clearInterval(timer)
			button.click()
			resolve(true)
		}, 10)
	})`)
	t.waitFor("an answer of the API", func() bool { return t.answered("/api/me", before) })
	if me, _ := t.last("/api/me"); me.status != http.StatusOK {
		t.t.Errorf("%s", me)
	}
	cookie := t.w.names().Session
	byCall := func() bool { return t.wasSet("/api/me", cookie, heads) }
	t.waitFor("a new session cookie", func() bool { return byCall() || t.wasSet("/auth/session", cookie, heads) })
	return byCall()
}

func (t *tab) answered(path string, from int) bool {
	for _, a := range t.seen(from) {
		if strings.HasSuffix(a.url, path) {
			return true
		}
	}
	return false
}

// logout goes over the provider's /logout, which is how the provider's own session ends, back into the app.
func (t *tab) logout() {
	t.t.Helper()
	t.wait(settled)
	t.click(id("logout"))
	t.waitPhase("anonymous")
	left, ok := t.last("/auth/logout?return_to=%2F%3Flogged_out")
	if !ok || left.status != 200 || !strings.Contains(left.body, "/logout?") {
		t.t.Errorf("the app answered %s: %s", left, left.body)
	}
	if at := run[string](t, "location.href"); at != t.w.stack.URL+"/" {
		t.t.Errorf("logging out ended at %s", at)
	}
	if !t.visited("/logout?") {
		t.t.Error("the browser was not at the provider's /logout")
	}
	if cookies := t.cookies(); len(cookies) != 0 {
		t.t.Errorf("%d cookies are left", len(cookies))
	}
}

// visited reports whether the tab went to an address with this in it.
func (r *record) visited(part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, address := range r.documents {
		if strings.Contains(address, part) {
			return true
		}
	}
	return false
}

// goBack uses the Back button after logging out, all the way: no page that comes up shows anything of the user.
func (t *tab) goBack() {
	t.t.Helper()
	history, err := chromedp.Run(t.ctx, chromedp.NavigationEntries())
	if err != nil {
		t.t.Fatal(err)
	}
	for range history.CurrentIndex {
		entry := history.Entries[history.CurrentIndex-1]
		history.CurrentIndex--
		if !strings.HasPrefix(entry.URL, t.w.stack.URL) {
			continue
		}
		must(t, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: entry.ID})
		t.wait(`location.href === "` + entry.URL + `" && document.readyState === "complete"`)
		t.waitPhase("anonymous")
		pageText := run[string](t, "document.body.innerText + document.documentElement.outerHTML")
		if sub := t.w.sub(cognitolocal.DemoUser); strings.Contains(pageText, sub) || strings.Contains(pageText, "Buy milk") {
			t.t.Errorf("Back to %s shows the user's data", entry.URL)
		}
		t.wantNothingVisible("after going back")
	}
	t.picture("07-back")
	t.open("/")
	t.waitPhase("anonymous")
}

// secondUser logs in after the first in the same browser, finds nothing of the other's, and saves to a folder of their own.
func (t *tab) secondUser(first string) {
	t.t.Helper()
	t.login(cognitolocal.SecondUser)
	sub := t.w.sub(cognitolocal.SecondUser)
	if n := run[int](t, `document.querySelectorAll('`+id("note-item")+`').length`); n != 0 {
		t.t.Errorf("the second user sees %d notes of the first", n)
	}
	before := t.w.object("users/" + first + "/notes/notes.json")
	t.addNote("Second's own")
	t.wait(`document.querySelectorAll('` + id("note-item") + `').length === 1`)
	t.waitSynced()
	if got := t.w.object("users/" + sub + "/notes/notes.json"); !strings.Contains(got, "Second's own") {
		t.t.Errorf("the second user's folder holds %q", got)
	}
	if after := t.w.object("users/" + first + "/notes/notes.json"); after != before {
		t.t.Error("the second user changed the first one's file")
	}
	t.wantNothingVisible("second user")
	t.shoot("08-second-user")
}
