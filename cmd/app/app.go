package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"cognito-token-handler/config"
	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/oauthproxy/spa"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/admin"
	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/tracing"
	"cognito-token-handler/tokenhandler/web"
)

const (
	// providerTimeout bounds one call to the provider.
	providerTimeout = 10 * time.Second
	// refreshTimeout bounds a refresh. After one slow call it leaves time to fetch the
	// provider's keys, or to try a second client secret.
	refreshTimeout = 15 * time.Second
	// awsCallTimeout bounds one call for the storage's credentials. The storage waits 10
	// seconds for them, which leaves time for a second call.
	awsCallTimeout = 4 * time.Second
	// shutdownTimeout is how long everything may take after SIGTERM. One more second is
	// for the last records of the log. Kubernetes kills after 30 seconds unless it is told
	// otherwise.
	shutdownTimeout = 27 * time.Second
	// drainTimeout is how much of that requests may take. What remains is enough for a
	// refresh that the last of them began: if it were cut off in the middle of a
	// rotation, the new refresh token would be lost, and with it the session.
	drainTimeout = shutdownTimeout - providerTimeout
	// flushTimeout bounds the export of the last spans, within the total: a collector
	// that is down must not delay every shutdown.
	flushTimeout = 5 * time.Second
)

// App is the service. [New] builds it, [App.Run] runs it.
type App struct {
	cfg      config.Config
	log      *slog.Logger
	now      func() time.Time
	registry *prometheus.Registry
	// tracer makes spans and spans exports them; both are nil without tracing.
	tracer    *tracing.Tracer
	spans     *sdktrace.TracerProvider
	keys      *seal.Keyring
	provider  *cognito.Provider
	store     *session.Store
	sessions  *refresh.Manager
	denied    denyList
	api       *oauthproxy.Handler
	public    http.Handler
	admin     http.Handler
	auth      *tokenhandler.Handler
	operators *admin.Handler // nil without admin.token
	// credentials watches those of the bucket; nil without one.
	credentials *credentialsWatch
	built       time.Time // when New was called
	reloads     *prometheus.GaugeVec
	// certificateExpiry is the end of the certificate in use.
	certificateExpiry *prometheus.GaugeVec
	certificate       *certificate // set by Run; nil without TLS
	// trail is the audit trail; nil without one. records is where it goes with
	// audit.output: stderr.
	trail   *audit.Trail
	records lateWriter
	// parts counts requests, keyGauge has the session keys.
	parts               *partMetrics
	keyGauge, buildInfo *prometheus.GaugeVec
	// droppedRecords returns how many records the log has dropped; nil if it drops none.
	droppedRecords atomic.Pointer[func() uint64]
	// reloadEvery is how often the files of keys and certificates are read again.
	reloadEvery time.Duration
	files       []*reloadedFile
	reloadAsked chan struct{} // has a value after Reload
	reloaded    func()        // is called when the files were read for that
	shutdown    shutdownTimes
	// firstTries is how long the first requests wait, see [App.awaitFirstTries].
	firstTries time.Duration
	// pause waits for d, or until ctx ends, unless a test replaces it.
	pause func(ctx context.Context, d time.Duration)
	// listener accepts the connections of the public server; set by Run.
	listener *drainingListener
	stopping atomic.Bool // true from the beginning of the shutdown
}

// shutdownTimes bound a shutdown: the total, the time for requests, and the time for
// the last spans. The first two begin with the signal.
type shutdownTimes struct{ total, drain, flush time.Duration }

// New builds the service from its configuration. It does not use the network, so that
// the service also starts while the provider is down. Errors name the key of the
// configuration.
func New(ctx context.Context, cfg config.Config, log *slog.Logger) (*App, error) {
	return newAt(ctx, cfg, log, time.Now)
}

// Check reports why the service would not start with this configuration. It builds the
// service as [New] does and throws it away, and changes nothing: another process may be
// running with the same files.
func Check(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	if cfg.Audit.Output == config.AuditFile {
		if err := audit.CheckFile(cfg.Audit.File); err != nil {
			return fmt.Errorf("audit.file: %w", err)
		}
	}
	cfg.Audit = config.Audit{Output: config.AuditOff}
	_, err := New(ctx, cfg, log)
	return err
}

// newAt is [New] with another clock.
func newAt(ctx context.Context, cfg config.Config, log *slog.Logger, now func() time.Time) (*App, error) {
	a := &App{
		cfg: cfg, log: log, now: now, registry: prometheus.NewRegistry(), reloadEvery: reloadEvery, reloadAsked: make(chan struct{}, 1), reloaded: func() {},
		built: now(), pause: pause, firstTries: firstTriesTime, shutdown: shutdownTimes{total: shutdownTimeout, drain: drainTimeout, flush: flushTimeout},
	}
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.parts = newPartMetrics(a.registry)
	a.buildInfo = newBuildInfo(a.registry)
	a.reloads = newReloadGauge(a.registry)
	a.certificateExpiry = newCertificateExpiry(a.registry)
	a.newDroppedCounter()
	if err := a.newTrail(); err != nil {
		return nil, err
	}
	if err := a.newTracing(ctx); err != nil {
		return nil, err
	}
	var err error
	if a.keys, err = seal.NewKeyring(config.KeyBytes(cfg.Session.Keys)); err != nil {
		return nil, fmt.Errorf("session.keys: %w", err)
	}
	a.keyGauge = newKeyGauge(a.registry)
	a.showKeys()
	a.addFiles()
	site := a.newSite()
	a.provider = a.newProvider()
	if a.denied, err = a.newDenyList(ctx); err != nil {
		return nil, err
	}
	a.newSessions()
	a.auth = a.newAuth(site)
	if a.api, err = a.newAPI(site, a.auth); err != nil {
		return nil, err
	}
	parts := parts{auth: a.auth, api: a.api}
	if cfg.Storage.Bucket != "" {
		if parts.storage, err = a.newStorage(ctx, site, a.auth); err != nil {
			return nil, err
		}
	}
	if cfg.SPA.Dir != "" {
		if parts.spa, err = a.newSPA(site); err != nil {
			return nil, err
		}
	}
	a.public = a.publicHandler(site, parts)
	a.admin = a.adminHandler()
	a.logWarnings()
	return a, nil
}

// parts are the handlers that share the public listener.
type parts struct {
	auth    *tokenhandler.Handler
	api     *oauthproxy.Handler
	storage http.Handler // nil without a bucket
	spa     http.Handler // nil without spa.dir
}

func (a *App) newSite() *web.Site {
	rejected := newRejectedCounter(a.registry)
	return web.NewSite(web.Config{
		PublicURL:      a.cfg.PublicURL,
		AllowedOrigins: a.cfg.AllowedOrigins,
		TrustedProxies: a.cfg.TrustedProxies,
		LoginURL:       a.cfg.Auth.Path + "/login",
		Log:            a.log,
		Now:            a.now,
		LogRequests:    a.cfg.Log.Requests,
		Rejected:       rejected.Inc,
		Observe:        a.observe,
		Limited:        a.limited,
		Tracer:         a.tracer,
	})
}

func (a *App) newProvider() *cognito.Provider {
	cfg := ProviderConfig(a.cfg, a.now, a.log)
	cfg.Metrics, cfg.Tracer = cognito.NewMetrics(a.registry), a.tracer
	return cognito.New(cfg)
}

// ProviderConfig returns how the service calls its provider, without metrics and spans.
func ProviderConfig(cfg config.Config, now func() time.Time, log *slog.Logger) cognito.Config {
	p := cfg.Provider
	return cognito.Config{
		Profile:                  cognito.Profile(p.Kind),
		Issuer:                   p.Issuer,
		Domain:                   p.Domain,
		ClientID:                 p.ClientID,
		TrustedAudiences:         p.TrustedAudiences,
		ClientSecrets:            p.ClientSecret,
		PostAuth:                 p.ClientAuth == "post",
		Scopes:                   p.Scopes,
		RedirectURL:              CallbackURL(cfg),
		Endpoints:                cognito.Endpoints(p.Endpoints),
		InsecureSkipNonce:        p.InsecureSkipNonce,
		InsecureLogoutWithoutExp: p.InsecureLogoutWithoutExp,
		Claims:                   cfg.Session.Claims,
		MaxRPS:                   p.MaxRequestsPerSecond,
		Timeout:                  providerTimeout,
		Now:                      now,
		Log:                      log,
	}
}

func (a *App) newSessions() {
	s, demand := a.cfg.Session, a.cfg.Limits.Refresh
	a.store = session.NewStore(session.Config{
		Keys:             a.keys,
		Issuer:           a.cfg.Provider.Issuer,
		ClientID:         a.cfg.Provider.ClientID,
		Persistent:       s.Persistent,
		Names:            Cookies(a.cfg),
		IdleTimeout:      s.IdleTimeout,
		AbsoluteLifetime: s.AbsoluteLifetime,
		KeepIDToken:      needsIDToken(a.cfg),
		Now:              a.now,
		Log:              a.log,
		Metrics:          session.NewMetrics(a.registry),
	})
	a.sessions = refresh.NewManager(refresh.Config{
		Store:           a.store,
		Refresher:       a.provider,
		Denied:          a.denied,
		Replicas:        a.denied.replicas(),
		DenyListCurrent: a.denyListCurrent(),
		RotationGrace:   a.cfg.Provider.RotationGrace,
		Discard:         a.discard,
		RefreshBefore:   s.RefreshBefore,
		RefreshGrace:    s.RefreshGrace,
		RefreshTimeout:  refreshTimeout,
		DemandBurst:     demand.Count,
		DemandEvery:     demand.Per / time.Duration(demand.Count),
		Now:             a.now,
		Log:             a.log,
		Metrics:         refresh.NewMetrics(a.registry),
		MayRefresh:      a.trail.Check,
		Refused:         a.refreshRefused,
	})
	a.denied.OnGrowth(a.sessions.Recheck)
}

// needsIDToken reports whether sessions must keep the ID token: because a route sends
// it to its API, because the user's AWS credentials are got with it, or because the
// provider expects it at logout (id_token_hint).
func needsIDToken(cfg config.Config) bool {
	if cfg.Provider.Kind == config.KindOIDC || cfg.Storage.NeedsIDToken() {
		return true
	}
	routes := cfg.API.Routes
	for i := range routes {
		if routes[i].Token == string(oauthproxy.TokenID) {
			return true
		}
	}
	return false
}

func (a *App) newAuth(site *web.Site) *tokenhandler.Handler {
	return tokenhandler.New(tokenhandler.Config{
		Site:                site,
		Store:               a.store,
		Sessions:            a.sessions,
		Provider:            a.provider,
		Path:                a.cfg.Auth.Path,
		PublicURL:           a.cfg.PublicURL,
		ErrorPath:           a.cfg.Auth.ErrorPath,
		LoginError:          a.loginError(),
		PasskeyURL:          a.passkeyURL(),
		TriggerMessages:     a.cfg.Auth.TriggerMessages,
		AfterLogout:         a.cfg.Auth.AfterLogout,
		AllowCrossSiteLogin: a.cfg.Auth.AllowCrossSiteLogin,
		GroupsClaim:         groupsClaim(a.cfg.Provider.Kind),
		VerifySecret:        a.cfg.Auth.VerifySecret,
		Revoke:              a.denied.Revoke,
		Begin:               a.denied.Begin,
		RevokedSince:        a.denied.Since,
		SessionLifetime:     a.cfg.Session.AbsoluteLifetime,
		VerifyLogout:        a.verifyLogout(),
		Alive:               a.provider.Alive,
		ProbeInterval:       a.cfg.Session.ProbeInterval,
		SignOut:             a.signOut(),
		Limits:              a.authLimits(site),
		Now:                 a.now,
		Log:                 a.log,
		Metrics:             tokenhandler.NewMetrics(a.registry),
		Audit:               a.trail,
	})
}

func (a *App) newAPI(site *web.Site, auth *tokenhandler.Handler) (*oauthproxy.Handler, error) {
	var routes []oauthproxy.Route
	for i := range a.cfg.API.Routes {
		r := &a.cfg.API.Routes[i]
		authorities, err := UpstreamCAs(r)
		if err != nil {
			return nil, err
		}
		if authorities != nil {
			a.addFile(fileUpstreamCAs+":"+r.Path, a.reloadUpstreamCAs(r, authorities))
		}
		routes = append(routes, oauthproxy.Route{
			Path: r.Path, Upstream: r.Upstream, StripPrefix: r.StripPrefix, Methods: r.Methods,
			Token: oauthproxy.TokenKind(r.Token), Scopes: r.Scopes, Groups: r.Groups, Anonymous: r.Anonymous, Timeout: r.Timeout, MaxBody: r.MaxBody,
			ReplayBody: r.ReplayBody, Probe: r.ProbeInterval, UpstreamHost: r.UpstreamHost, UpstreamCAs: authorities, WebSocket: r.WebSocket,
		})
	}
	return oauthproxy.New(oauthproxy.Config{
		Routes: routes, Limits: oauthproxy.Limits{Requests: a.cfg.API.RequestsPerSession, Streams: a.cfg.API.StreamsPerSession},
		Site: site, Tokens: tokens{auth}, OurCookie: a.store.Withheld,
		Log: a.log, Metrics: oauthproxy.NewMetrics(a.registry), Tracer: a.tracer,
	}), nil
}

func (a *App) newSPA(site *web.Site) (http.Handler, error) {
	handler, err := spa.New(spa.Config{
		Dir: a.cfg.SPA.Dir, ContentSecurityPolicy: a.cfg.SPA.ContentSecurityPolicy, ExtraPolicy: a.cfg.SPA.ExtraPolicy,
		StorageOrigin: a.cfg.Storage.Origin(), Site: site, Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	a.addFile(fileApp, handler.Reload)
	return handler, nil
}

// CallbackURL returns the callback URL that must be registered at the provider.
func CallbackURL(cfg config.Config) string {
	return web.Origin(cfg.PublicURL) + cfg.Auth.Path + "/callback"
}

// BackchannelLogoutURL returns the URL to which a provider other than Cognito sends
// logout tokens.
func BackchannelLogoutURL(cfg config.Config) string {
	return web.Origin(cfg.PublicURL) + cfg.Auth.Path + "/backchannel-logout"
}

// SignOutURL returns the sign-out URL that must be registered at the provider.
func SignOutURL(cfg config.Config) string {
	return web.Origin(cfg.PublicURL) + cfg.Auth.AfterLogout
}

// SignOutReturnURL returns the one to register for logouts with return_to.
func SignOutReturnURL(cfg config.Config) string {
	return web.Origin(cfg.PublicURL) + cfg.Auth.Path + tokenhandler.LogoutDone
}

// PasskeyURL returns the callback URL that must be registered at Cognito if the app lets
// its users add passkeys.
func PasskeyURL(cfg config.Config) string {
	return web.Origin(cfg.PublicURL) + cfg.Auth.Path + tokenhandler.PasskeysDone
}

// Cookies returns the names of the service's cookies.
func Cookies(cfg config.Config) session.Names {
	if web.IsThisMachine(cfg.PublicURL) {
		return session.NewLoopbackNames(cfg.Session.CookieName, cmp.Or(cfg.PublicURL.Port(), "80"))
	}
	return session.NewNames(cfg.Session.CookieName, cfg.Cookies.InsecurePlainHTTP)
}

// logWarnings logs what the configuration allows and may still be a mistake.
func (a *App) logWarnings() {
	for _, w := range a.cfg.Warnings {
		if w.Insecure {
			a.log.Warn("INSECURE OPTION IS SET", "key", w.Key, "means", w.Problem, "where", w.Where)
			continue
		}
		a.log.Warn("check the configuration", "key", w.Key, "problem", w.Problem, "fix", w.Fix, "where", w.Where)
	}
}
