//go:build e2e

package oidcprovider_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/oidcprovider"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// world holds the token handler's binary, the provider and an API. The provider is on another site than the app.
type world struct {
	t        *testing.T
	url      string
	provider *oidcprovider.Provider
	handler  *process.Process
	api      *api
	// refreshTokens are those that were issued up to the last call of observed.
	refreshTokens []string
}

// newWorld starts all processes. TOKENHANDLER_BINARY is the path of the token handler.
func newWorld(t *testing.T, accessTTL time.Duration) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	defer cancel()
	app, admin := freePort(t), freePort(t)
	w := &world{t: t, url: "http://" + app, api: newAPI(t)}
	var err error
	w.provider, err = oidcprovider.Start(ctx, oidcprovider.Options{
		CallbackURL: w.url + "/auth/callback", LogoutURL: w.url + "/bye", BackchannelURL: w.url + "/auth/backchannel-logout",
		AccessTokenTTL: accessTTL, Log: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.provider.Close)
	w.startHandler(app, admin)
	if err := w.handler.AwaitOK(ctx, "http://"+admin+"/readyz"); err != nil {
		t.Fatal(err)
	}
	return w
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return process.Addr(port)
}

func (w *world) startHandler(app, admin string) {
	w.t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	config := filepath.Join(w.t.TempDir(), "tokenhandler.yaml")
	err := os.WriteFile(config, fmt.Appendf(nil, `
public_url: %s
listen: %s
admin: {listen: %q}
shutdown: {delay: 0s}
provider: {issuer: %q, client_id: %q, client_secret: %q, scopes: [openid, email, offline_access]}
session: {keys: [%q], refresh_before: 1s}
auth: {after_logout: /bye}
log: {level: debug}
api:
  routes:
    - {path: /api/, upstream: %q}
spa: {dir: %q}
`, w.url, app, admin, w.provider.Issuer, w.provider.ClientID, w.provider.ClientSecret,
		base64.StdEncoding.EncodeToString(key), w.api.URL, w.page()), 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	repo, err := process.RepoDir()
	if err != nil {
		w.t.Fatal(err)
	}
	binary := cmp.Or(os.Getenv("TOKENHANDLER_BINARY"), filepath.Join(repo, ".build", "tokenhandler"))
	w.handler, err = process.Start(process.Spec{
		Name: "token handler", Path: binary, Args: []string{"--config", config}, Env: process.Environment(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.stopHandler)
}

// page returns a folder with the app's page.
func (w *world) page() string {
	w.t.Helper()
	dir := w.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<!doctype html><title>app</title>"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

// stopHandler stops the token handler and checks that its output holds no data race and no token.
func (w *world) stopHandler() {
	w.handler.Stop(10 * time.Second)
	log := w.handler.Output()
	if strings.Contains(log, "DATA RACE") {
		w.t.Error("the race detector found a data race")
	}
	for _, planted := range append(w.refreshTokens, w.provider.ClientSecret, "eyJ") {
		if strings.Contains(log, planted) {
			w.t.Errorf("the log holds %.6s…", planted)
		}
	}
	if w.t.Failed() {
		w.t.Logf("the token handler's log:\n%s", log)
	}
}

// observed returns what happened at the provider so far.
func (w *world) observed() oidcprovider.Observed {
	w.t.Helper()
	seen, err := w.provider.Observe(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.refreshTokens = seen.RefreshTokens
	return seen
}

// refreshToken returns the newest refresh token.
func (w *world) refreshToken() string {
	w.t.Helper()
	seen := w.observed().RefreshTokens
	if len(seen) == 0 {
		w.t.Fatal("the provider gave no refresh token")
	}
	return seen[len(seen)-1]
}

func (w *world) wantActive(token string, want bool) {
	w.t.Helper()
	got, err := w.provider.Active(w.t.Context(), token)
	if err != nil || got != want {
		w.t.Errorf("the token is active: %v, want %v (%v)", got, want, err)
	}
}

// login logs in at the provider's own pages in a new browser. The provider issues refresh tokens only with consent (OpenID Connect
// Core 1.0 §11).
func (w *world) login() *useragent.UA {
	w.t.Helper()
	ua := useragent.New(w.t, w.url)
	page := ua.Navigate("/auth/login?prompt=consent&return_to=/start")
	page = w.submit(ua, page, url.Values{"login": {"ada"}, "password": {"any"}})
	if strings.HasPrefix(page.URL, w.provider.Issuer) {
		page = w.submit(ua, page, nil) // consent
	}
	if page.URL != w.url+"/start" || page.Status != http.StatusOK {
		w.t.Fatalf("the login ended at %s: %d %s", page.URL, page.Status, page.Body)
	}
	return ua
}

var (
	action = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
)

// submit fills in the form that the provider shows.
func (w *world) submit(ua *useragent.UA, page *useragent.Response, fields url.Values) *useragent.Response {
	w.t.Helper()
	target := action.FindStringSubmatch(string(page.Body))
	if !strings.HasPrefix(page.URL, w.provider.Issuer) || target == nil {
		w.t.Fatalf("no form at %s: %d %s", page.URL, page.Status, page.Body)
	}
	form := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(string(page.Body), -1) {
		form.Set(m[1], m[2])
	}
	maps.Copy(form, fields)
	return ua.SubmitForm(target[1], form)
}

// session is the body of GET /auth/session.
type session struct {
	Authenticated        bool
	User                 struct{ Sub string }
	AccessTokenExpiresAt time.Time `json:"access_token_expires_at"`
}

func (w *world) session(ua *useragent.UA) session {
	w.t.Helper()
	var s session
	if r := ua.Fetch(http.MethodGet, "/auth/session", ""); r.Status != http.StatusOK || r.JSON(&s) != nil {
		w.t.Fatalf("session: %d %s", r.Status, r.Body)
	}
	return s
}

func (w *world) wantSession(ua *useragent.UA, want bool) {
	w.t.Helper()
	status := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[want]
	if r := ua.Tab().Fetch(http.MethodGet, "/api/me", ""); r.Status != status {
		w.t.Errorf("API: %d %s, want %d", r.Status, r.Body, status)
	}
	if got := w.session(ua); got.Authenticated != want || want && got.User.Sub != "ada" {
		w.t.Errorf("session %+v, want %v", got, want)
	}
}

// copyOf returns another browser with copies of the selected cookies.
func (w *world) copyOf(ua *useragent.UA, pick func(useragent.Cookie) bool) *useragent.UA {
	other := useragent.New(w.t, w.url)
	for _, c := range ua.Cookies() {
		if pick(c) {
			other.SetCookie(c)
		}
	}
	return other
}

func (w *world) isOurs(c useragent.Cookie) bool { return testkit.Cookies(w.url).Ours(c.Name) }

// api records the bearer tokens that it receives.
type api struct {
	*httptest.Server

	mu     sync.Mutex
	tokens []string
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.tokens = append(a.tokens, r.Header.Get("Authorization"))
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(a.Close)
	return a
}

// take returns the tokens that the API has received since the last call.
func (a *api) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.tokens
	a.tokens = nil
	return taken
}
