//go:build e2e

package browser_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
)

// TestFieldnotes uses what the demo has beyond the story: conflicts between devices, live connections, the warning before the end
// of the session, the notices. Most states are checked for accessibility, and kept as a picture.
func TestFieldnotes(t *testing.T) {
	w := newWorld(t, devstack.Options{ExtraConfig: func(_ *devstack.Stack, config devstack.Config) {
		config.Set("session.idle_timeout", "2m4s") // the page warns two minutes before
		config.Set("auth.error_path", "/")
	}})
	tab := w.tab()
	tab.arrive()
	tab.failedLogin()
	tab.login(cognitolocal.DemoUser)
	tab.wait(`document.activeElement.matches("h1") && document.activeElement.innerText === "Your notes and files"`)

	tab.mergeNotes()
	tab.resolveConflict()
	tab.pauseUpload()
	tab.connectLive()
	tab.stayLoggedIn()

	second := w.tab()
	second.open("/")
	second.waitPhase("authenticated")
	second.waitSynced()
	second.waitThumbnail(fileItem(drawing)) // else the logout may be faster than its request, which is then refused
	second.press("logout-everywhere")
	second.waitPhase("anonymous")
	if said := second.text("notice"); !strings.Contains(said, "You are logged out") {
		t.Errorf("after the logout the page says %q", said)
	}
	second.wait(`document.activeElement.matches('` + id("notice") + `')`)
	tab.sessionEnded()
	second.login(cognitolocal.SecondUser)
	tab.forgetFirstUser()
	const name = "files/Gr%C3%B6%C3%9Fe%201.png"
	w.wantQuiet("412 DELETE /storage/objects/"+name, "412 PUT S3:/"+w.stack.S3.Bucket+"/"+w.demoFolder()+name)
}

// arrive opens the app under another name of this machine, where no login could end.
func (t *tab) arrive() {
	t.t.Helper()
	t.scheme("light")
	t.open(strings.Replace(t.w.stack.URL, "localhost", "127.0.0.1", 1) + "/?view=notes")
	t.waitPhase("anonymous")
	if at := run[string](t, "location.href"); at != t.w.stack.URL+"/?view=notes" {
		t.t.Errorf("127.0.0.1 led to %s", at)
	}
	t.do("pressing Tab", chromedp.KeyEvent(kb.Tab))
	if focused := run[string](t, `document.activeElement.innerText`); focused != "Skip to content" {
		t.t.Errorf("the first stop of the Tab key is %q", focused)
	}
	t.wantAccessible("logged out", "light", "dark")
}

// failedLogin opens the page as the service does after a login that failed.
func (t *tab) failedLogin() {
	t.t.Helper()
	t.open("/?error=access_denied&request_id=req-1&return_to=%2F%3Fview%3Dnotes&lang=en&view=notes")
	t.waitPhase("anonymous")
	said := t.text("error")
	if !strings.Contains(said, "The login was cancelled") || !strings.Contains(said, "req-1") {
		t.t.Errorf("the page says %q", said)
	}
	if at := run[string](t, "location.pathname + location.search"); at != "/?view=notes" {
		t.t.Errorf("the address is still %s", at)
	}
	t.wait(`document.activeElement.matches('` + id("error") + `')`)
	if again := run[string](t, `document.querySelector('`+id("login-again")+`').getAttribute("href")`); again != "/auth/login?return_to=%2F%3Fview%3Dnotes" {
		t.t.Errorf("a new try starts at %s", again)
	}
	t.wantAccessible("failed login", "light")
	t.picture("11-failed-login")
	t.press("dismiss")
	t.wait(`document.activeElement.matches("h1")`)
}

// press clicks a button of the page without a pointer: the warning may lie over it.
func (t *tab) press(testid string) {
	t.t.Helper()
	t.wait(`document.querySelector('` + id(testid) + `')?.disabled === false`)
	run[any](t, `document.querySelector('`+id(testid)+`').click()`)
}

// note is one of the notes, as the folder has them.
type note struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	At   string `json:"at"`
}

// onAnotherDevice changes the notes in the folder past this browser.
func (w *world) onAnotherDevice(change func([]note) []note) {
	w.t.Helper()
	var notes []note
	if err := json.Unmarshal([]byte(w.object(w.demoFolder()+"notes/notes.json")), &notes); err != nil {
		w.t.Fatal(err)
	}
	w.put("notes/notes.json", "application/json", []byte(describe(change(notes))))
}

// write types at the end of the first note, at once: a second after a pause the page sends what is there.
func (t *tab) write(text string) {
	t.t.Helper()
	t.focusFirstNote()
	must(t, input.InsertText, input.InsertTextParams{Text: text})
}

func (t *tab) focusFirstNote() {
	t.t.Helper()
	css := id("note-item") + ":first-child textarea"
	run[any](t, `(() => { const note = document.querySelector('`+css+`'); note.focus(); note.setSelectionRange(1e6, 1e6) })()`)
}

// writeNew adds a note and types into it, wherever it is: notes that come from the other device meanwhile are put first.
func (t *tab) writeNew(text string) {
	t.t.Helper()
	t.press("note-add")
	t.wait(`document.activeElement.matches('` + id("note-item") + ` textarea') && document.activeElement.value === ""`)
	must(t, input.InsertText, input.InsertTextParams{Text: text})
}

// touch types into the first note and deletes that again, at once.
func (t *tab) touch() {
	t.t.Helper()
	t.focusFirstNote()
	run[any](t, `document.execCommand("insertText", false, "!") && document.execCommand("delete")`)
}

// wantStoredNotes waits until the folder and the page have these notes, in any order.
func (t *tab) wantStoredNotes(texts ...string) {
	t.t.Helper()
	t.waitSynced()
	shown := strings.Join(run[[]string](t, `[...document.querySelectorAll('`+id("note-item")+` textarea')].map((note) => note.value)`), "\n")
	stored := t.w.object(t.w.demoFolder() + "notes/notes.json")
	for _, text := range texts {
		if !strings.Contains(shown, text) || !strings.Contains(stored, text) {
			t.t.Errorf("%q is missing in the page, %q, or in the folder, %s", text, shown, stored)
		}
	}
	if n := strings.Count(stored, `"id"`); n != len(texts) {
		t.t.Errorf("the folder has %d notes, want %d: %s", n, len(texts), stored)
	}
}

// mergeNotes writes another note here than on the other device: both are kept, and nobody is asked. A note that was touched here, but
// reads as before, is the other device's.
func (t *tab) mergeNotes() {
	t.t.Helper()
	t.press("note-add")
	t.leaveWindow()
	t.write("Sea eagle over the bay")
	t.waitSynced()
	t.w.onAnotherDevice(func(notes []note) []note {
		notes[0].Text = "Sea eagle over the pier"
		return append(notes, note{ID: "theirs", Text: "Tide tables for June", At: "2026-05-01T08:00:00Z"})
	})
	t.touch()
	t.writeNew("Batteries")
	t.wantStoredNotes("Batteries", "Sea eagle over the pier", "Tide tables for June")
}

// leaveWindow lets the new note hear what it hears when another window comes to the front: the note is empty, and stays.
func (t *tab) leaveWindow() {
	t.t.Helper()
	t.wait(`document.activeElement.matches('` + id("note-item") + ` textarea')`)
	run[any](t, `document.activeElement.dispatchEvent(new FocusEvent("focusout", { bubbles: true }))`)
}

// resolveConflict changes the same note here and on the other device: the user is asked, and nothing is overwritten before.
func (t *tab) resolveConflict() {
	t.t.Helper()
	t.w.onAnotherDevice(func(notes []note) []note {
		notes[0].Text = "Tide tables for July" // a merge puts the other side's notes first
		return notes
	})
	t.write(", on the pier")
	t.wait(`document.querySelector('` + id("conflict") + `')`)
	if said := t.text("conflict"); !strings.Contains(said, "Tide tables for June, on the pier") || !strings.Contains(said, "Tide tables for July") {
		t.t.Errorf("the conflict is shown as %q", said)
	}
	if stored := t.w.object(t.w.demoFolder() + "notes/notes.json"); strings.Contains(stored, "on the pier") {
		t.t.Errorf("the other device's version was overwritten: %s", stored)
	}
	t.wantAccessible("conflict", "light")
	t.picture("12-conflict")
	t.press("conflict-both")
	t.wantStoredNotes("Tide tables for June, on the pier", "Tide tables for July", "Sea eagle over the pier", "Batteries")
}

// pauseUpload uploads a picture with a pause, and asks before it overwrites one. The keyboard's focus is never lost. Meanwhile another
// tab has an upload that is interrupted, and ends.
func (t *tab) pauseUpload() {
	t.t.Helper()
	entry := `[{ id: "other", key: "files/other.bin", size: 9e6, fingerprint: "other", startedAt: 0, sub: "` + t.w.sub(cognitolocal.DemoUser) + `" }]`
	run[any](t, `localStorage.setItem("th:uploads", JSON.stringify(`+entry+`))`)
	choose := chooseDrawing + `('` + id("file-input") + `', '` + id("upload-pause") + `', "` + filepath.Base(drawing) + `")`
	run[int](t, choose)
	t.wait(`document.querySelector('` + id("upload-said") + `[data-state="paused"]')`)
	t.wait(`document.querySelector('` + id("unfinished") + `')`)
	run[any](t, `localStorage.removeItem("th:uploads")`)
	t.pressFocused("upload-resume")
	t.waitThumbnail(fileItem(drawing))
	t.waitFocus("upload-dismiss")
	t.pressFocused("upload-dismiss")
	t.wait(`document.activeElement.id === "files-title" && !document.querySelector('` + id("unfinished") + `')`)

	t.keepNewerFile()
	run[int](t, choose)
	t.pressFocused("upload-resume")
	t.waitFocus("upload-replace")
	t.pressFocused("upload-replace")
	t.wait(`document.querySelector('` + id("upload-said") + `[data-state="done"]')`)
}

// keepNewerFile lets the user think about a deletion while another device replaces the file.
func (t *tab) keepNewerFile() {
	t.t.Helper()
	t.pressFocused("file-rename")
	t.waitFocus("rename-input")
	t.do("pressing Escape", chromedp.KeyEvent(kb.Escape))
	t.waitFocus("file-rename")
	key := t.w.demoFolder() + drawing
	newer := t.w.object(key) + "newer"
	t.w.put(drawing, "image/png", []byte(newer))
	t.pressFocused("file-delete")
	t.pressFocused("file-delete-yes")
	t.wait(`document.querySelector('` + id("files-said") + `').innerText.includes("was changed meanwhile")`)
	t.wait(`document.activeElement.id === "files-title"`)
	if t.w.object(key) != newer {
		t.t.Error("the other device's version was deleted")
	}
}

// pressFocused clicks the button that a keyboard's user has reached.
func (t *tab) pressFocused(testid string) {
	t.t.Helper()
	t.wait(`document.querySelector('` + id(testid) + `')?.disabled === false`)
	run[any](t, `document.querySelector('`+id(testid)+`').focus()`)
	t.press(testid)
}

func (t *tab) waitFocus(testid string) {
	t.t.Helper()
	t.wait(`document.activeElement.matches('` + id(testid) + `')`)
}

// connectLive opens both streams.
func (t *tab) connectLive() {
	t.t.Helper()
	t.press("live-toggle")
	t.wait(`document.querySelector('` + id("live-events") + `[data-state="open"]') && document.querySelector('` + id("live-socket") + `[data-state="open"]')`)
	t.press("live-say")
	t.wait(`document.querySelector('` + id("live-log") + `').innerText.includes("the API says “Hello”")`)
}

// stayLoggedIn waits for the warning and prolongs the session.
func (t *tab) stayLoggedIn() {
	t.t.Helper()
	warning := `document.querySelector('` + id("warning") + `')`
	t.wait(warning)
	for _, look := range []func(){
		func() { t.wantAccessible("warning", "light") },
		func() { t.wantAccessible("warning", "dark") },
		t.wantTargets,
		func() { t.shootSmall("14-warning") },
		func() { t.pictureWithForcedColours("14-warning") },
	} {
		look()
		// On a busy machine all that takes longer than the session would last. The page does not hear of this call, so the warning stays.
		run[int](t, `fetch("/api/me", { headers: { "X-CSRF": "1" } }).then(({ status }) => status)`)
	}
	t.wait(warning)
	// After four seconds the warning is there again, so the page itself sees it go.
	run[bool](t, `new Promise((resolve) => {
		new MutationObserver(() => document.querySelector('`+id("warning")+`') || resolve(true)).observe(document.body, { childList: true, subtree: true })
		document.querySelector('`+id("stay")+`').click()
	})`)
	if renewed, ok := t.last("/auth/refresh"); !ok || renewed.status != 200 {
		t.t.Errorf("prolonging the session: %s", renewed)
	}
}

// sessionEnded looks at the tab whose user has logged out everywhere in another one.
func (t *tab) sessionEnded() {
	t.t.Helper()
	t.waitPhase("anonymous")
	for _, want := range []string{"closed by the server: 4401 session ended", "the stream has ended"} {
		t.wait(`document.querySelector('` + id("live-log") + `')?.innerText.includes("` + want + `")`)
	}
	t.wait(`document.activeElement.matches('` + id("error") + `')`)
	if kept := run[string](t, `JSON.stringify(localStorage)`); strings.Contains(kept, "Sea eagle") {
		t.t.Errorf("after the logout this browser keeps %s", kept)
	}
	t.wantAccessible("session ended", "light")
	t.picture("15-session-ended")
}

// forgetFirstUser looks at the tab of a user whose session has ended, after another user has logged in with the same browser.
func (t *tab) forgetFirstUser() {
	t.t.Helper()
	t.waitPhase("authenticated")
	t.wantText("who-email", cognitolocal.SecondUser)
	t.wantText("live-log", "")
	if run[bool](t, `!!document.querySelector('`+id("error")+`, `+id("notice")+`')`) {
		t.t.Errorf("the second user is told %q", run[string](t, `document.querySelector(".notice").innerText`))
	}
}
