package hosted

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
)

// Name is which page is shown.
type Name string

// The pages. SignIn posts to Action; the others have actions of their own.
const (
	SignIn  Name = "signin"  // username, password
	SignUp  Name = "signup"  // username, password
	Confirm Name = "confirm" // code
	Forgot  Name = "forgot"  // username
	Reset   Name = "reset"   // code, password
	Passkey Name = "passkey"
	Failed  Name = "failed"
)

// Page is what a page shows.
type Page struct {
	Name    Name
	App     string     // host of the app to which the user returns
	Request url.Values // hidden fields of every form, and the query of links to the other pages
	Hidden  url.Values // further hidden fields
	Action  string     // of SignIn
	Known   bool       // SignIn is for a user of the app: the pages for others, which lead to a login, are not offered
	Back    string     // address that Passkey leads to without a passkey
	// Challenge is what a passkey signs on SignIn; without one, passkeys are not offered.
	Challenge string
	Email     string
	Error     string
	Notice    string
	Code      string   // shown, because the local stack sends no mail
	Users     []string // of the local stack, shown on SignIn
	// Password of all Users.
	Password string
}

// Link is the address of another page for the same request.
func (p Page) Link(path string) template.URL {
	return template.URL(path + "?" + p.Request.Encode())
}

//go:embed pages.html
var source string

//go:embed assets
var assets embed.FS

//nolint:gochecknoglobals // parsed once
var pages = template.Must(template.New("").Parse(source))

// policy allows the page's own style and script. There is no form-action, because Chromium applies that to the redirect to the app, too.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"

// Write answers with the page.
func Write(w http.ResponseWriter, status int, page Page) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "layout", page); err != nil {
		status = http.StatusInternalServerError
		b.Reset()
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// Assets serves the style, the script and the icon below /assets/.
func Assets() http.Handler { return http.FileServerFS(assets) }
