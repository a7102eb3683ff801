package tokenhandler_test

import (
	"context"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

const (
	sessionCookie = "__Host-Http-session"
	activeCookie  = "__Host-Http-active"
	beganCookie   = "__Host-Http-began"
	loginPrefix   = "__Host-Http-login-"
	foreignSite   = "https://evil.example"
)

// settings are what a test changes of the app under test.
type settings struct {
	pool     cognitotest.Options
	session  func(*session.Config)
	refresh  func(*refresh.Config)
	handler  func(*tokenhandler.Config)
	provider func(*cognito.Config)
	allowed  []string
	// sameSite makes the provider's domain one of the app's site, as a custom domain
	// of Cognito may be. Default: another site.
	sameSite     bool
	disconnected bool
}

// app is the code under test behind a real server, in front of a scripted provider.
// Its clock stands still unless the test moves it.
type app struct {
	*tokenhandler.Handler

	tb       testing.TB
	url      string
	pool     *cognitotest.Server
	provider *adapter
	store    *session.Store
	sessions *refresh.Manager
	cfg      tokenhandler.Config
	site     *web.Site
	keys     *seal.Keyring
	denied   *memory.List
	clock    *testkit.Clock
	log      *testkit.Log
	registry *prometheus.Registry
	sameSite bool
}

func newApp(tb testing.TB, s settings) *app {
	tb.Helper()
	a := &app{
		tb: tb, clock: testkit.NewClock(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)), log: &testkit.Log{},
		registry: prometheus.NewRegistry(), sameSite: s.sameSite,
	}
	server := httptest.NewUnstartedServer(nil)
	a.url = "http://" + server.Listener.Addr().String()
	s.pool.Clock = a.clock.Now
	s.pool.CallbackURLs = []string{a.url + "/auth/callback"}
	s.pool.LogoutURLs = []string{a.url + "/bye"}
	a.pool = cognitotest.New(tb, s.pool)
	log := a.log.Logger()
	public := testkit.MustURL(tb, a.url)
	site := web.NewSite(web.Config{PublicURL: public, AllowedOrigins: s.allowed, LoginURL: "/auth/login", Log: log, Now: a.clock.Now})

	a.site = site
	a.provider = newAdapter(a, log, s.provider)
	if !s.disconnected {
		a.connect()
	}
	a.keys = keyring(tb, 7)
	a.denied = memory.New(a.clock.Now)
	sessions := session.Config{
		Keys: a.keys, Names: session.NewNames("session", false),
		IdleTimeout: time.Hour, AbsoluteLifetime: 12 * time.Hour, Now: a.clock.Now,
	}
	if s.session != nil {
		s.session(&sessions)
	}
	a.newSessions(sessions, s.refresh, log)
	cfg := tokenhandler.Config{
		Site: site, Store: a.store, Sessions: a.sessions, Provider: a.provider, Path: "/auth", PublicURL: public, AfterLogout: "/bye", GroupsClaim: "cognito:groups",
		Revoke: a.revoke, Begin: a.denied.Begin, RevokedSince: a.denied.Since, SessionLifetime: sessions.AbsoluteLifetime,
		Now: a.clock.Now, Log: log, Metrics: tokenhandler.NewMetrics(a.registry),
	}
	if s.handler != nil {
		s.handler(&cfg)
	}
	a.cfg = cfg
	a.Handler = tokenhandler.New(cfg)
	server.Config.Handler = a.routes(site)
	server.Config.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelError)
	server.Start()
	tb.Cleanup(func() {
		server.CloseClientConnections() // those that a test still holds
		server.Close()
		if tb.Failed() {
			tb.Log(a.log.String())
		}
	})
	return a
}

func (a *app) newSessions(cfg session.Config, change func(*refresh.Config), log *slog.Logger) {
	a.tb.Helper()
	a.store = session.NewStore(cfg)
	refreshes := refresh.Config{
		Store: a.store, Refresher: a.provider, Denied: a.denied, RefreshBefore: time.Minute,
		RefreshGrace: 30 * time.Second, RefreshTimeout: 5 * time.Second, Now: a.clock.Now, Log: log,
	}
	if change != nil {
		change(&refreshes)
	}
	a.sessions = refresh.NewManager(refreshes)
}

// routes returns the app: a page, and an API that authorizes requests as the proxy
// does.
func (a *app) routes(site *web.Site) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/auth/", a.Handler)
	mux.Handle("/api/", site.Guard(site.Handle(func(w http.ResponseWriter, r *http.Request) error {
		grant, err := a.Authorize(r, 0)
		if err != nil {
			return err
		}
		grant.Commit(w.Header())
		web.WriteJSON(w, r, http.StatusOK, map[string]string{"sub": grant.Subject()})
		return nil
	})))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<!doctype html><title>app</title>"))
	})
	return site.Instrument(mux)
}

func (a *app) connect() {
	a.tb.Helper()
	if err := a.provider.Connect(a.tb.Context()); err != nil {
		a.tb.Fatal(err)
	}
}

// browser returns a new browser, for which the provider is another site.
func (a *app) browser() *useragent.UA {
	a.tb.Helper()
	ua := useragent.New(a.tb, a.url)
	ua.SetClock(a.clock.Now)
	if !a.sameSite {
		ua.SetSite(testkit.MustURL(a.tb, a.pool.URL).Host, "https://amazoncognito.example")
	}
	return ua
}

// login logs in with a new browser.
func (a *app) login() *useragent.UA {
	a.tb.Helper()
	ua := a.browser()
	a.loginIn(ua, "/")
	return ua
}

// loginIn logs in and expects to come back to returnTo.
func (a *app) loginIn(ua *useragent.UA, returnTo string) *useragent.Response {
	a.tb.Helper()
	res := ua.Click("/auth/login?return_to=" + url.QueryEscape(returnTo))
	if res.Err != nil || res.Status != http.StatusOK || res.URL != a.url+returnTo {
		a.tb.Fatalf("login ended at %s with %d %v: %s", res.URL, res.Status, res.Err, res.Body)
	}
	return res
}

// begin starts a login in a new tab and logs in at the provider. It returns the tab
// and the URL of the callback, which the tab has not opened.
func (a *app) begin(ua *useragent.UA, path string) (tab *useragent.UA, callback string) {
	a.tb.Helper()
	tab = ua.Tab()
	res := tab.Open(useragent.Navigation{URL: path, From: a.url, NoFollow: true})
	target := res.Location()
	if _, rest, isPage := strings.Cut(string(res.Body), `content="0; url=`); res.Status == http.StatusOK && isPage {
		target, _, _ = strings.Cut(rest, `"`) // it does not fit into the head
		target = html.UnescapeString(target)
	} else if res.Status != http.StatusFound {
		a.tb.Fatalf("%s: %d %s", path, res.Status, res.Body)
	}
	return tab, a.authorize(target)
}

// authorize logs in at the provider and returns the URL to which it redirects the
// browser.
func (a *app) authorize(target string) string {
	a.tb.Helper()
	location := a.send(a.tb.Context(), http.MethodGet, target, nil).Header.Get("Location")
	if !strings.HasPrefix(location, a.url+"/auth/callback?") {
		a.tb.Fatalf("the provider sent the browser to %q", location)
	}
	return location
}

// back opens the callback as the provider's redirect does.
func (a *app) back(tab *useragent.UA, callback string) *useragent.Response {
	return tab.Open(useragent.Navigation{URL: callback, From: a.pool.URL, NoFollow: true})
}

// send sends a request with exactly these header fields.
func (a *app) send(ctx context.Context, method, target string, header http.Header) *testkit.Answer {
	a.tb.Helper()
	if strings.HasPrefix(target, "/") {
		target = a.url + target
	}
	r, err := http.NewRequestWithContext(ctx, method, target, http.NoBody)
	if err != nil {
		a.tb.Fatal(err)
	}
	maps.Copy(r.Header, header)
	return a.do(r)
}

// do sends a request over a connection of its own.
func (a *app) do(r *http.Request) *testkit.Answer {
	a.tb.Helper()
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		a.tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		a.tb.Fatal(err)
	}
	return &testkit.Answer{Status: res.StatusCode, Header: res.Header, Body: raw}
}

// adapter is a cognito.Provider that records every secret on its way.
type adapter struct {
	*cognito.Provider

	mu      sync.Mutex
	secrets map[string]string // secret → what it is
	tokens  secret.Tokens     // the newest
	// exchanged changes the tokens of a login. failRevoke is the error of all
	// revocations, if it is set.
	exchanged  func(secret.Tokens) secret.Tokens
	failRevoke error
}

func newAdapter(a *app, log *slog.Logger, change func(*cognito.Config)) *adapter {
	cfg := cognito.Config{
		Profile: cognito.Cognito, Issuer: a.pool.Issuer(), ClientID: a.pool.ClientID(),
		ClientSecrets: []secret.String{secret.New(a.pool.Secret())},
		Scopes:        []string{"openid", "email", "profile"}, RedirectURL: a.url + "/auth/callback",
		Claims:  []string{"sub", "username", "email", "email_verified", "name", "groups"},
		Timeout: 5 * time.Second, Now: a.clock.Now, Log: log,
	}
	if change != nil {
		change(&cfg)
	}
	p := &adapter{Provider: cognito.New(cfg), secrets: map[string]string{}}
	p.note("client secret", a.pool.Secret())
	return p
}

func (p *adapter) note(what, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if value != "" {
		p.secrets[value] = what
	}
}

func (p *adapter) noteTokens(tokens secret.Tokens) {
	for what, token := range map[string]secret.String{"access token": tokens.Access, "ID token": tokens.ID, "refresh token": tokens.Refresh} {
		p.note(what, token.Reveal())
		for part := range strings.SplitSeq(token.Reveal(), ".") {
			p.note("part of the "+what, part)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !tokens.Access.IsZero() {
		p.tokens = tokens
	}
}

// newest returns the newest tokens.
func (p *adapter) newest() secret.Tokens {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tokens
}

func (p *adapter) AuthorizeURL(r provider.AuthRequest) (string, error) {
	p.note("state", r.State)
	p.note("nonce", r.Nonce)
	p.note("verifier", r.Verifier)
	return p.Provider.AuthorizeURL(r)
}

func (p *adapter) Exchange(ctx context.Context, grant provider.CodeGrant) (secret.Tokens, error) {
	p.note("code", grant.Code)
	tokens, err := p.Provider.Exchange(ctx, grant)
	if err != nil {
		return tokens, err
	}
	p.noteTokens(tokens)
	if p.exchanged != nil {
		tokens = p.exchanged(tokens)
	}
	return tokens, nil
}

func (p *adapter) Refresh(ctx context.Context, previous secret.Tokens) (secret.Tokens, error) {
	tokens, err := p.Provider.Refresh(ctx, previous)
	p.noteTokens(tokens)
	return tokens, err
}

func (p *adapter) Revoke(ctx context.Context, token secret.String) error {
	if p.failRevoke != nil {
		return p.failRevoke
	}
	return p.Provider.Revoke(ctx, token)
}

// revoke puts an entry on the deny list of the process.
func (a *app) revoke(_ context.Context, entry replicas.Revocation) error {
	_, err := a.denied.Add(a.denied.Cover(entry, false))
	return err
}

// config returns the app's configuration with a change, for example for another
// replica.
func (a *app) config(change func(*tokenhandler.Config)) tokenhandler.Config {
	cfg := a.cfg
	cfg.Metrics = nil
	change(&cfg)
	return cfg
}
