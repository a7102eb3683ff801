//go:build e2e

package cognitolocal_test

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// Names in config/examples/cognito-local/db.
const (
	exampleUser     = "ada@example.com"
	examplePassword = "Passw0rd!"
)

// plain is what config/examples/cognito-local/README.md tells its readers to start, on other ports: cognito-local with nothing in front of
// it, and the token handler with config/examples/cognito-local.yaml.
type plain struct {
	t        *testing.T
	examples string
	dir      string // of the session keys, and of cognito-local's data
	url      string
	api      *httptest.Server
	handler  *process.Process
}

// newPlain starts both. TOKENHANDLER_BINARY is the path of the token handler.
func newPlain(t *testing.T) *plain {
	t.Helper()
	return newPlainWith(t, composed{})
}

// newPlainWith starts both with the environment and the files that compose.yaml gives them.
func newPlainWith(t *testing.T, compose composed) *plain {
	t.Helper()
	repo, err := process.RepoDir()
	if err != nil {
		t.Fatal(err)
	}
	w := &plain{t: t, examples: filepath.Join(repo, "config", "examples"), dir: t.TempDir()}
	w.api = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = rw.Write([]byte(strings.ToLower(strings.Fields(r.Header.Get("Authorization") + " none")[0])))
	}))
	t.Cleanup(w.api.Close)
	app, admin, pool := freePort(t), freePort(t), freePort(t)
	w.url = "http://" + process.Addr(app)
	ports := strings.NewReplacer("localhost:8080", process.Addr(app), "localhost:9229", process.Addr(pool),
		"http://localhost:3000", w.api.URL)
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	defer cancel()
	w.startPool(ctx, ports, compose.pool("PORT="+strconv.Itoa(pool)))
	w.startHandler(ctx, ports, repo, process.Addr(admin), compose.handler(w.dir, app, admin))
	return w
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// copyFile copies a file of config/examples with other ports.
func (w *plain) copyFile(ports *strings.Replacer, from, to string) string {
	w.t.Helper()
	content, err := os.ReadFile(filepath.Join(w.examples, from))
	if err != nil {
		w.t.Fatal(err)
	}
	to = filepath.Join(w.dir, to)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte(ports.Replace(string(content))), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return to
}

func (w *plain) startPool(ctx context.Context, ports *strings.Replacer, env []string) {
	w.t.Helper()
	for _, name := range []string{"clients.json", "local_tests.json"} {
		w.copyFile(ports, "cognito-local/db/"+name, ".cognito/db/"+name)
	}
	if slices.ContainsFunc(env, func(entry string) bool { return strings.HasPrefix(entry, "HOST=") }) {
		w.copyFile(ports, "cognito-local/config.json", ".cognito/config.json")
	}
	child, _, err := cognitolocal.StartPlain(ctx, w.dir, w.t.Output(), env...)
	if child != nil {
		w.t.Cleanup(func() { child.Stop(2 * time.Second) })
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *plain) startHandler(ctx context.Context, ports *strings.Replacer, repo, admin string, env []string) {
	w.t.Helper()
	config := w.copyFile(ports, "cognito-local.yaml", "tokenhandler.yaml")
	binary := cmp.Or(os.Getenv("TOKENHANDLER_BINARY"), filepath.Join(repo, ".build", "tokenhandler"))
	keygen := exec.CommandContext(ctx, binary, "keygen", "--out", "session_keys")
	keygen.Dir = w.dir
	if out, err := keygen.CombinedOutput(); err != nil {
		w.t.Fatalf("keygen: %v: %s", err, out)
	}
	var err error
	w.handler, err = process.Start(process.Spec{
		Name: "token handler", Path: binary, Args: []string{"--config", config}, Dir: w.dir, Log: w.t.Output(),
		Env: process.Environment(append(env, "TH_SHUTDOWN__DELAY=0s")...),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.handler.Stop(10 * time.Second) })
	if err := w.handler.AwaitOK(ctx, "http://"+admin+"/readyz"); err != nil {
		w.t.Fatal(err)
	}
}

// session is the body of GET /auth/session and POST /auth/refresh.
type session struct {
	Authenticated        bool
	User                 struct{ Sub, Email string }
	AccessTokenExpiresAt time.Time `json:"access_token_expires_at"`
}

func (w *plain) fetch(ua *useragent.UA, method, path string, body any) {
	w.t.Helper()
	if r := ua.Fetch(method, path, ""); r.Status != http.StatusOK || r.JSON(body) != nil {
		w.t.Fatalf("%s %s: %d %s", method, path, r.Status, r.Body)
	}
}

// login fills in cognito-local's form.
func (w *plain) login(ua *useragent.UA) *useragent.Response {
	w.t.Helper()
	page := ua.Navigate("/auth/login?return_to=/start")
	form := url.Values{"username": {exampleUser}, "password": {examplePassword}}
	for _, field := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`).FindAllStringSubmatch(string(page.Body), -1) {
		form.Set(field[1], field[2])
	}
	action, _, _ := strings.Cut(page.URL, "?")
	return ua.SubmitForm(action, form)
}

// TestPlainCognitoLocal: with the example's settings, the token handler works with cognito-local as npm has it.
func TestPlainCognitoLocal(t *testing.T) {
	w := newPlain(t)
	ua := useragent.New(t, w.url)
	if end := w.login(ua); end.URL != w.url+"/start" {
		t.Fatalf("the login ended at %s: %d %s", end.URL, end.Status, end.Body)
	}
	var before, after session
	w.fetch(ua, http.MethodGet, "/auth/session", &before)
	if !before.Authenticated || before.User.Email != exampleUser {
		t.Errorf("session %+v", before)
	}
	if r := ua.Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusOK || string(r.Body) != "bearer" {
		t.Errorf("the API: %d %s", r.Status, r.Body)
	}
	w.fetch(ua, http.MethodPost, "/auth/refresh", &after)
	if after.User.Sub != before.User.Sub || after.AccessTokenExpiresAt.Before(before.AccessTokenExpiresAt) {
		t.Errorf("the refresh gave %+v, before %+v", after, before)
	}
	w.wantLoggedOut(ua)
}

func (w *plain) wantLoggedOut(ua *useragent.UA) {
	w.t.Helper()
	var out struct {
		LogoutURL string `json:"logout_url"`
	}
	w.fetch(ua, http.MethodPost, "/auth/logout", &out)
	// The app has no page in this test, so the service answers 404.
	if end := ua.Navigate(out.LogoutURL); !strings.HasPrefix(end.URL, w.url+"/?") || end.Status != http.StatusNotFound {
		w.t.Errorf("logout_url %q leads to %s: %d %s", out.LogoutURL, end.URL, end.Status, end.Body)
	}
	var ended session
	w.fetch(ua, http.MethodGet, "/auth/session", &ended)
	if ended.Authenticated {
		w.t.Error("logged in after the logout")
	}
}

// TestLoginScript runs the script for other people's tests.
func TestLoginScript(t *testing.T) {
	w := newPlain(t)
	jar := filepath.Join(w.dir, "cookies.txt")
	script := func(password string) (string, error) {
		out, err := exec.CommandContext(t.Context(), filepath.Join(w.examples, "cognito-local", "login.sh"), w.url, exampleUser, password, jar).CombinedOutput()
		return string(out), err
	}
	if out, err := script("wrong"); err == nil || !strings.Contains(out, exampleUser+" is not logged in") {
		t.Errorf("with a wrong password: %v: %s", err, out)
	}
	if out, err := script(examplePassword); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), "curl", "-sS", "-b", jar, "-H", "X-CSRF: 1", w.url+"/api/me").CombinedOutput()
	if err != nil || string(out) != "bearer" {
		t.Errorf("the API with the jar: %v: %s", err, out)
	}
	cookies, err := os.ReadFile(jar)
	if err != nil || !strings.Contains(string(cookies), testkit.Cookies(w.url).Session) {
		t.Errorf("the jar: %v: %s", err, cookies)
	}
}

// TestPageOfTheExample: the page and the files beside it agree on the version, the user and the names.
func TestPageOfTheExample(t *testing.T) {
	repo, err := process.RepoDir()
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(repo, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	page := read("config/examples/cognito-local/README.md") + read("config/examples/cognito-local/compose.yaml")
	version := regexp.MustCompile(`"cognito-local": "([0-9.]+)"`).FindStringSubmatch(read("test/cognitolocal/package.json"))
	if version == nil {
		t.Fatal("package.json has no version of cognito-local")
	}
	for _, want := range []string{"cognito-local@" + version[1], exampleUser, examplePassword, "login.sh http://localhost:8080"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, found := range regexp.MustCompile(`cognito-local@([0-9.]+)`).FindAllStringSubmatch(page, -1) {
		if found[1] != version[1] {
			t.Errorf("the page has cognito-local %s, the tests run %s", found[1], version[1])
		}
	}
}
