//go:build e2e

package cognitolocal_test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"cognito-token-handler/test/cognitolocal"
)

// visitor is somebody at the hosted pages, in a browser that does not open the app.
type visitor struct {
	t      *testing.T
	client *http.Client
	at     *url.URL
	body   string // of the page, or "" after a redirect to the app
	left   *url.URL
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t: t}
	v.client = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), "http://localhost:8080/") {
			v.left = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return v
}

func (v *visitor) do(request *http.Request, err error) int {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	response, err := v.client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.at, v.body = response.Request.URL, string(body)
	return response.StatusCode
}

func (v *visitor) open(address string) int {
	v.t.Helper()
	return v.do(http.NewRequestWithContext(v.t.Context(), http.MethodGet, address, http.NoBody))
}

// follow clicks the link to the path.
func (v *visitor) follow(path string) {
	v.t.Helper()
	link := regexp.MustCompile(`href="(` + regexp.QuoteMeta(path) + `[^"]*)"`).FindStringSubmatch(v.body)
	if link == nil {
		v.t.Fatalf("the page has no link to %s: %s", path, v.body)
	}
	target, err := v.at.Parse(html.UnescapeString(link[1]))
	if err != nil {
		v.t.Fatal(err)
	}
	v.open(target.String())
}

// submit sends the page's form with the fields.
func (v *visitor) submit(fields ...string) {
	v.t.Helper()
	action := regexp.MustCompile(`<form method="POST" action="([^"]+)"`).FindStringSubmatch(v.body)
	if action == nil {
		v.t.Fatalf("the page has no form: %s", v.body)
	}
	form := url.Values{}
	for _, field := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`).FindAllStringSubmatch(v.body, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	target, err := v.at.Parse(action[1])
	if err != nil {
		v.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, target.String(), strings.NewReader(form.Encode()))
	if err == nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	v.do(request, err)
}

func (v *visitor) want(text string) {
	v.t.Helper()
	if !strings.Contains(html.UnescapeString(v.body), text) {
		v.t.Fatalf("the page has no %q: %s", text, v.body)
	}
}

// wantNoLink asserts that the page leads to none of the paths.
func (v *visitor) wantNoLink(paths ...string) {
	v.t.Helper()
	for _, path := range paths {
		if strings.Contains(v.body, `href="`+path) {
			v.t.Errorf("the page has a link to %s: %s", path, v.body)
		}
	}
}

// code returns the code that the page shows.
func (v *visitor) code() string {
	v.t.Helper()
	found := regexp.MustCompile(`<b id="code">(\d{6})</b>`).FindStringSubmatch(v.body)
	if found == nil {
		v.t.Fatalf("the page shows no code: %s", v.body)
	}
	return found[1]
}

// wantLogin asserts that the browser has been sent to the app with a code that is good for tokens.
func (v *visitor) wantLogin(p party) {
	v.t.Helper()
	if v.left == nil {
		v.t.Fatalf("the browser is still at %s: %s", v.at, v.body)
	}
	if _, err := p.Exchange(v.t.Context(), v.left.Query().Get("code"), oauth2.VerifierOption(p.verifier)); err != nil {
		v.t.Errorf("redeeming the code: %v", err)
	}
	v.left = nil
}

const newUser, newPassword = "new+1@example.com", "A-new-Passw0rd!"

func TestSignUp(t *testing.T) {
	p := newParty(t, start(t, 0))
	v := newVisitor(t)
	v.open(p.authorizeURL())
	v.follow("/signup?")
	v.submit("username", newUser, "password", "weak")
	v.want("The password still needs at least 8 characters, an upper-case letter, a digit and a symbol.")
	v.submit("username", newUser, "password", newPassword)
	v.submit("code", "12")
	v.want("The code is wrong.")
	v.follow("/login?") // before the account is confirmed
	v.submit("username", newUser, "password", newPassword)
	v.want("Your e-mail address is not confirmed yet.")
	v.submit("code", v.code())
	v.wantLogin(p)
	if _, err := cognitolocal.SignIn(t.Context(), p.authorizeURL(), newUser, newPassword); err != nil {
		t.Errorf("logging in again: %v", err)
	}
	v.open(strings.Replace(p.authorizeURL(), "/oauth2/authorize", "/signup", 1))
	v.submit("username", newUser, "password", newPassword)
	v.want("An account with this e-mail address exists.")
}

func TestForgottenPassword(t *testing.T) {
	p := newParty(t, start(t, 0))
	v := newVisitor(t)
	v.open(p.authorizeURL())
	v.follow("/forgotPassword?")
	v.submit("username", cognitolocal.SecondUser)
	v.submit("code", v.code(), "password", "weak")
	v.want("The password still needs")
	v.submit("code", "12", "password", newPassword)
	v.want("The code is wrong.")
	v.submit("code", v.code(), "password", newPassword)
	v.wantLogin(p)
	if _, err := cognitolocal.SignIn(t.Context(), p.authorizeURL(), cognitolocal.SecondUser, newPassword); err != nil {
		t.Errorf("logging in again: %v", err)
	}
	v.open(strings.Replace(p.authorizeURL(), "/oauth2/authorize", "/forgotPassword", 1))
	v.submit("username", "nobody@example.com") // the page does not tell that there is no such user
	v.submit("code", v.code(), "password", newPassword)
	v.want("The code is wrong.")
}

func TestPasskeyPage(t *testing.T) {
	p := newParty(t, start(t, 0))
	query := url.Values{"client_id": {p.ClientID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid"}}
	address := p.pool.URL + "/passkeys/add?" + query.Encode()
	v := newVisitor(t)
	v.open(address)
	v.wantNoLink("/signup", "/forgotPassword")
	v.submit("username", cognitolocal.DemoUser, "password", "wrong")
	v.want("Incorrect username or password.")
	v.wantNoLink("/signup", "/forgotPassword")
	v.submit("username", cognitolocal.DemoUser, "password", cognitolocal.DemoPassword)
	key := newKey(t)
	v.submit("credential", "id-of-a-passkey", "key", publicKey(t, key))
	if v.left == nil || v.left.String() != callback {
		t.Errorf("the browser was sent to %v", v.left)
	}
	v.open(address) // the browser is signed in there
	v.want("Add a passkey for " + cognitolocal.DemoUser)
	if got := p.pool.Passkeys(cognitolocal.DemoUser); len(got) != 1 || got[0] != "id-of-a-passkey" {
		t.Errorf("passkeys %q", got)
	}
	v.open(p.pool.URL + "/logout?client_id=" + p.ClientID + "&logout_uri=" + home)
	v.open(address)
	v.want("Sign in to add a passkey.")
	v.wantNoLink("/signup", "/forgotPassword")
	p.wantPasskeySignIn(v, key)
	query.Set("redirect_uri", "https://evil.example/")
	if status := v.open(p.pool.URL + "/passkeys/add?" + query.Encode()); status != http.StatusBadRequest {
		t.Errorf("an address that is not registered: %d", status)
	}
}

// TestHostedPagesLoadNothingFromElsewhere also holds their policy.
func TestHostedPagesLoadNothingFromElsewhere(t *testing.T) {
	p := newParty(t, start(t, 0))
	v := newVisitor(t)
	for _, path := range []string{"/login", "/signup", "/forgotPassword"} {
		v.open(strings.Replace(p.authorizeURL(), "/oauth2/authorize", path, 1) + "&login_hint=%22%3E%3Cscript%3E")
		for _, found := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"`).FindAllStringSubmatch(v.body, -1) {
			if !strings.HasPrefix(found[1], "/") || strings.HasPrefix(found[1], "//") {
				t.Errorf("%s has the address %s", path, found[1])
			}
		}
		if strings.Contains(v.body, `"><script>`) {
			t.Errorf("%s has markup from its address", path)
		}
	}
	for _, asset := range []string{"hosted.css", "hosted.js", "icon.svg"} {
		if status := v.open(p.pool.URL + "/assets/" + asset); status != http.StatusOK {
			t.Errorf("%s: %d", asset, status)
		}
	}
}
