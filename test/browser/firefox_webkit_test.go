//go:build e2e

package browser_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/browser/webdriver"
	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
	"cognito-token-handler/test/testkit"
)

// TestFirefoxAndWebKit: a whole visit, from login to logout, works in the other engines, too, with the hosted UI on another site: their rules
// for cookies, policies and messages between tabs are their own.
func TestFirefoxAndWebKit(t *testing.T) {
	w := &world{t: t, stack: startStack(t)}
	for _, engine := range []struct {
		name    string
		start   func(ctx context.Context, dir string) (*webdriver.Browser, error)
		user    string
		cookies bool // WebKitWebDriver names no cookies of localhost
	}{
		{"Firefox", webdriver.Firefox, cognitolocal.DemoUser, true},
		{"WebKit", webdriver.WebKit, cognitolocal.SecondUser, false},
	} {
		t.Run(engine.name, func(t *testing.T) {
			begun := time.Now()
			browser := startEngine(t, engine.start)
			t.Logf("%s %s was up after %s", engine.name, browser.Version, time.Since(begun).Round(time.Millisecond))
			v := &visit{w: w, t: t, ctx: t.Context(), browser: browser, name: strings.ToLower(engine.name)}
			v.story(engine.user, engine.cookies)
			t.Logf("the visit ended after %s", time.Since(begun).Round(time.Millisecond))
		})
	}
}

func startEngine(t *testing.T, start func(ctx context.Context, dir string) (*webdriver.Browser, error)) *webdriver.Browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	defer cancel()
	browser, err := start(ctx, profile(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(browser.Close)
	return browser
}

func startStack(t *testing.T) *devstack.Stack {
	t.Helper()
	stack, err := devstack.Start(t.Context(), devstack.Options{
		Binary: os.Getenv("TOKENHANDLER_BINARY"), SPADir: filepath.Join(repo(t), "test", "demo", "spa", "dist"), ExtraConfig: onAnotherSite,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the token handler wrote:\n%s", stack.HandlerLog())
		}
		stack.Close()
	})
	return stack
}

// visit is one user's visit with one browser.
type visit struct {
	w       *world
	t       *testing.T
	ctx     context.Context
	browser *webdriver.Browser
	name    string
}

func (v *visit) story(user string, cookies bool) {
	v.t.Helper()
	v.do("opening the app", v.browser.Open(v.ctx, v.w.stack.URL))
	v.waitPhase("anonymous")
	v.login(user)
	v.run(`void document.addEventListener("securitypolicyviolation", (event) => (window.blocked = event.violatedDirective + " " + event.blockedURI))`, nil)
	if seen := v.text("document.cookie"); seen != "" {
		v.t.Errorf("a script sees the cookies %s", seen)
	}
	if cookies {
		v.wantCookies()
	}
	v.callAPI()
	v.goLive()
	v.upload(v.w.sub(user))
	v.writeNote(v.w.sub(user))
	if blocked := v.text(`window.blocked ?? ""`); blocked != "" {
		v.t.Errorf("the page's policy has blocked %s", blocked)
	}
	v.shoot()

	v.do("reloading", v.browser.Reload(v.ctx))
	v.waitPhase("authenticated")
	v.wait(`document.querySelector('` + fileItem("files/picture.png") + `') && document.querySelector('` + id("note-item") + ` textarea').value === "Written in ` + v.name + `"`)
	v.logoutInTwoTabs(user, cookies)
}

func (v *visit) login(user string) {
	v.t.Helper()
	v.click(id("login"))
	v.wait(`document.querySelector("input[name=password]") && document.readyState === "complete"`)
	if host := v.text("location.hostname"); host != "127.0.0.1" {
		v.t.Errorf("the hosted page is at %s", host)
	}
	v.typeInto("input[name=username]", user)
	v.typeInto("input[name=password]", cognitolocal.DemoPassword+webdriver.Enter)
	v.waitPhase("authenticated")
	v.wait(`document.querySelector('` + id("who-email") + `').innerText.trim() === "` + user + `"`)
	v.wait(settled) // what comes later moves what is to be clicked
}

// wantCookies asserts that the browser keeps the session's cookies as they are meant.
func (v *visit) wantCookies() {
	v.t.Helper()
	names, found := v.w.names(), 0
	for _, cookie := range v.cookies() {
		switch cookie.Name {
		case names.Session, names.Active:
			found++
			if cookie.SameSite != "Strict" {
				v.t.Errorf("%s is SameSite=%s", cookie.Name, cookie.SameSite)
			}
		case names.Began:
		default:
			v.t.Errorf("there is a cookie %s", cookie.Name)
		}
		if !cookie.HTTPOnly || cookie.Secure || cookie.Path != "/" {
			v.t.Errorf("%s: HttpOnly %t, Secure %t, Path %s", cookie.Name, cookie.HTTPOnly, cookie.Secure, cookie.Path)
		}
	}
	if found != 2 {
		v.t.Errorf("there are %d of the session's two cookies", found)
	}
}

// callAPI calls with GET and with POST, for which the header against CSRF goes along.
func (v *visit) callAPI() {
	v.t.Helper()
	v.click(id("api-me"))
	v.wait(`document.querySelector('` + id("api-status") + `')?.innerText === "200" && !document.querySelector('` + id("api-echo") + `').disabled`)
	v.click(id("api-echo"))
	v.wait(`document.querySelector('` + id("api-result") + `')?.innerText.includes('"method": "POST"')`)
}

// goLive opens server-sent events and a WebSocket.
func (v *visit) goLive() {
	v.t.Helper()
	v.click(id("live-toggle"))
	for _, wire := range []string{"live-events", "live-socket"} {
		v.wait(`document.querySelector('` + id(wire) + `[data-state="open"]')`)
	}
}

// upload chooses a file as a user does, and sees it as a picture that the browser has loaded from the user's folder.
func (v *visit) upload(sub string) {
	v.t.Helper()
	var picture bytes.Buffer
	file := filepath.Join(v.t.TempDir(), "picture.png")
	v.do("drawing", errors.Join(png.Encode(&picture, image.NewGray(image.Rect(0, 0, 64, 48))), os.WriteFile(file, picture.Bytes(), 0o600)))
	v.typeInto(id("file-input"), file)
	v.wait(`document.querySelector('` + id("upload-said") + `[data-state="done"]')`)
	thumb := `document.querySelector('` + fileItem("files/picture.png") + ` img')`
	v.wait(thumb)
	v.run(thumb+`.scrollIntoView()`, nil)
	v.wait(thumb + `.complete && ` + thumb + `.naturalWidth === 64`)
	if stored := v.w.object("users/" + sub + "/files/picture.png"); stored != picture.String() {
		v.t.Errorf("S3 holds %d bytes, want the %d of the file", len(stored), picture.Len())
	}
}

// writeNote uses the mirror, which keeps tabs apart with Web Locks.
func (v *visit) writeNote(sub string) {
	v.t.Helper()
	v.wait(`document.querySelector('` + id("note-add") + `')?.disabled === false`)
	v.click(id("note-add"))
	v.typeInto(id("note-item")+" textarea", "Written in "+v.name)
	v.wait(`document.querySelector('` + id("notes-status") + `[data-status="synced"]')`)
	if stored := v.w.object("users/" + sub + "/notes/notes.json"); !strings.Contains(stored, "Written in "+v.name) {
		v.t.Errorf("S3 holds the notes %s", stored)
	}
}

// logoutInTwoTabs logs out in one tab, which the other one sees by itself, and nothing of the user is left.
func (v *visit) logoutInTwoTabs(user string, cookies bool) {
	v.t.Helper()
	first, err := v.browser.Window(v.ctx)
	v.do("asking for the window", err)
	second, err := v.browser.NewTab(v.ctx)
	v.do("opening a tab", err)
	v.do("going to the other tab", v.browser.Switch(v.ctx, second))
	v.do("opening the app again", v.browser.Open(v.ctx, v.w.stack.URL))
	v.waitPhase("authenticated")

	v.click(id("logout"))
	v.waitPhase("anonymous")
	v.wait(`location.pathname === "/" && document.readyState === "complete"`)
	if cookies {
		if left := v.cookies(); len(left) > 0 {
			v.t.Errorf("after the logout there are %d cookies", len(left))
		}
	}
	session := struct{ Authenticated bool }{true} // an answer without the member is not enough
	v.run(`fetch("/auth/session", { headers: { "X-CSRF": "1" } }).then((answer) => answer.json())`, &session)
	if session.Authenticated {
		v.t.Error("after the logout the service knows the session")
	}
	v.do("going back to the first tab", v.browser.Switch(v.ctx, first))
	v.waitPhase("anonymous")
	text := v.text("document.documentElement.outerHTML")
	for _, theirs := range []string{v.w.sub(user), "Written in " + v.name} {
		v.wait(`!JSON.stringify(localStorage).includes("` + theirs + `")`) // the other tab's process tells this one of the removal
		if _, after, found := strings.Cut(text, theirs); found {
			v.t.Errorf("after the logout %q is in the page, before %.300q", theirs, after)
		}
	}
}

func (v *visit) do(what string, err error) {
	v.t.Helper()
	if err == nil {
		return
	}
	var seen string
	_ = v.browser.Run(v.ctx, `location.href + "\n" + document.body.innerText`, &seen)
	v.t.Fatalf("%s: %v; the tab shows %s", what, err, seen)
}

func (v *visit) run(expression string, value any) {
	v.t.Helper()
	v.do("looking into the page", v.browser.Run(v.ctx, expression, value))
}

func (v *visit) text(expression string) (text string) {
	v.t.Helper()
	v.run(expression, &text)
	return text
}

func (v *visit) click(css string) {
	v.t.Helper()
	v.wait(`document.querySelector(` + describe(css) + `)`)
	v.do("clicking "+css, v.browser.Click(v.ctx, css))
}

func (v *visit) typeInto(css, text string) {
	v.t.Helper()
	v.wait(`document.querySelector(` + describe(css) + `)`)
	v.do("typing into "+css, v.browser.Type(v.ctx, css, text))
}

func (v *visit) cookies() []webdriver.Cookie {
	v.t.Helper()
	cookies, err := v.browser.Cookies(v.ctx)
	v.do("reading the cookies", err)
	return cookies
}

func (v *visit) waitPhase(phase string) {
	v.t.Helper()
	v.wait(`document.querySelector('[data-phase="` + phase + `"]')`)
}

// wait returns when the expression is true in the page that is there by then; pages may come and go meanwhile.
func (v *visit) wait(expression string) {
	v.t.Helper()
	tick, end := time.NewTicker(50*time.Millisecond), time.After(testkit.Deadline)
	defer tick.Stop()
	for {
		var ok bool
		err := v.browser.Run(v.ctx, "!!("+expression+")", &ok)
		if err == nil && ok {
			return
		}
		select {
		case <-tick.C:
			continue
		case <-v.ctx.Done():
		case <-end:
		}
		v.do("waiting for "+expression, fmt.Errorf("%w; the browser wrote:\n%s", errors.Join(errors.New("it did not become true"), err), v.browser.Output()))
	}
}

// shoot keeps a picture of the window.
func (v *visit) shoot() {
	v.t.Helper()
	picture, err := v.browser.Screenshot(v.ctx)
	v.do("taking a picture", err)
	v.do("keeping it", os.WriteFile(filepath.Join(screenshots(v.t), "30-"+v.name+".png"), picture, 0o600))
}
