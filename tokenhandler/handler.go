package tokenhandler

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/limit"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// Provider is the OpenID provider, as a login needs it. The errors are
// [*provider.Error] values.
type Provider interface {
	// AuthorizeURL returns the URL that starts a login.
	AuthorizeURL(request provider.AuthRequest) (string, error)
	// Exchange redeems a code and verifies all tokens. It sends the code once.
	Exchange(ctx context.Context, grant provider.CodeGrant) (secret.Tokens, error)
	// Revoke revokes a refresh token. For one that is revoked already it returns nil,
	// and [provider.ErrUnsupported] if the provider cannot revoke tokens.
	// It takes a few seconds at most and goes on when ctx is cancelled.
	Revoke(ctx context.Context, token secret.String) error
	// LogoutURL returns the provider's logout page, which redirects to returnTo. It is
	// "" if there is none or the provider is not connected. idToken, unless it is
	// empty, tells a provider that takes such a hint which session is meant. The URL
	// then holds a token, so a script must not get it.
	LogoutURL(returnTo string, idToken secret.String) string
	// AcceptsIssuer reports whether a callback with this parameter iss can be the
	// provider's (RFC 9207 §2.4); sent says whether the callback has it.
	AcceptsIssuer(iss string, sent bool) bool
}

// Config is what a [Handler] needs.
type Config struct {
	// Site answers and checks origins. Required.
	Site *web.Site
	// Store writes the cookies of logins and of their sessions. Required.
	Store *session.Store
	// Sessions opens, refreshes and ends sessions. Required.
	Sessions *refresh.Manager
	// Provider logs users in. Required.
	Provider Provider
	// Path is the prefix of all paths, without a slash at its end. Required.
	Path string
	// PublicURL is the app's origin. Required.
	PublicURL *url.URL
	// ErrorPath is the app's page for failed logins. If it is empty, the service shows
	// a page of its own.
	ErrorPath string
	// AfterLogout is the path to which the provider's logout page redirects.
	AfterLogout string
	// PasskeyURL returns the provider's page where a signed-in user adds a passkey, which
	// redirects to returnTo. The error is a [*provider.Error]. Nil if the provider has none.
	PasskeyURL func(returnTo string) (string, error)
	// LoginError tells what the description of the provider's error response means. Nil
	// if the provider's descriptions mean nothing.
	LoginError func(description string) provider.LoginError
	// TriggerMessages passes the message of a rule at the provider that refused a user
	// to ErrorPath.
	TriggerMessages bool
	// AllowCrossSiteLogin allows links of other sites to start a login.
	AllowCrossSiteLogin bool
	// GroupsClaim is the claim of access tokens with the user's groups. Required.
	GroupsClaim string
	// VerifySecret is the secret that gateways send to /verify. Without one, /verify is
	// off.
	VerifySecret secret.String
	// Revoke ends the sessions that an entry names: in this process at once, in other
	// replicas when the entry has reached them. Required.
	Revoke func(ctx context.Context, entry replicas.Revocation) error
	// Begin returns the time at which a session begins that a user begins now: late
	// enough that no entry of Revoke ends it. sub and sid are those of its ID token.
	// Required.
	Begin func(sub, sid string) time.Time
	// RevokedSince returns a function that reports whether an entry of Revoke has ended the
	// sessions of a user since. Required.
	RevokedSince func() func(sub, sid string) bool
	// SessionLifetime is the longest life of a session, for which an entry of Revoke is
	// kept. Required.
	SessionLifetime time.Duration
	// Alive asks the provider whether the user of an access token may still use it.
	// [provider.ErrRejected] means that it refuses the token, which the refresh token then
	// confirms; any other error means that the provider could not tell. Nil turns probes off.
	Alive func(ctx context.Context, access secret.String, sub string) error
	// ProbeInterval is the time between two probes of a session; 0 means no probes.
	ProbeInterval time.Duration
	// SignOut ends all of the user's sessions at the provider. It takes a few seconds
	// at most and goes on when ctx is cancelled. Nil if the provider cannot do it.
	SignOut func(ctx context.Context, access secret.String) error
	// VerifyLogout checks a logout token, which names the sessions that the provider
	// has ended. The error is a [*provider.Error]. Nil if the provider sends none.
	VerifyLogout func(ctx context.Context, raw string) (provider.LogoutToken, error)
	// Limits are those of logins and of the gateways' secret. Default none but that of a login's cookie.
	Limits Limits
	// Now is the clock. Required.
	Now func() time.Time
	// Log receives logins, logouts and failures. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
	// Audit records logins, logouts and the ends of sessions; nil records nothing.
	Audit *audit.Trail
}

// Limits bound how often logins are begun and ended, and secrets are tried.
type Limits struct {
	// Login counts the logins that a client begins.
	Login *limit.Limit
	// Callback counts a client's callbacks that no login of its own explains. Only made-up
	// requests are so in number.
	Callback *limit.Limit
	// VerifySecret counts a client's requests to /verify with a wrong secret.
	VerifySecret *limit.Limit
	// LoginCookie is how many codes are redeemed for one login. Default 5.
	LoginCookie int
}

// Handler serves /auth.
type Handler struct {
	cfg         Config
	mux         *http.ServeMux
	prober      prober
	endings     endings
	permissions *permissionCache // of the access tokens in use
	loggedOut   loggedOut
	gateway     *gatewayHandler // nil without Config.VerifySecret
}

// New returns a Handler.
func New(cfg Config) *Handler {
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	cfg.Limits.LoginCookie = cmp.Or(cfg.Limits.LoginCookie, defaultTries)
	h := &Handler{cfg: cfg, mux: http.NewServeMux(), permissions: newPermissionCache(cfg.GroupsClaim)}
	h.prober.cfg, h.endings.cfg = &h.cfg, &h.cfg
	h.routes()
	return h
}

// routes registers all paths. A page is what a user navigates to, also from the
// provider's site. A call is what the app fetches from its own origin.
func (h *Handler) routes() {
	revoker := revoker{cfg: &h.cfg}
	login := &loginHandler{cfg: &h.cfg, revoker: revoker, endings: &h.endings, early: earlyEnds{cfg: &h.cfg}}
	h.page("/login", login.start(provider.PageLogin))
	h.page("/signup", login.start(provider.PageSignup))
	h.page("/forgot-password", login.start(provider.PageForgotPassword))
	h.page("/callback", login.callback)

	h.call("/session", h.session, http.MethodGet, http.MethodHead)
	h.call("/refresh", h.refresh, http.MethodPost)

	h.logoutRoutes(revoker)
	h.clientRoutes()

	if h.cfg.PasskeyURL != nil {
		passkeys := &passkeyHandler{cfg: &h.cfg, back: wayBack{cfg: &h.cfg, name: "passkey", otherwise: "/"}}
		h.page("/passkeys/add", passkeys.add)
		h.page(PasskeysDone, passkeys.back.proceed)
	}

	if !h.cfg.VerifySecret.IsZero() { // called by gateways, which send the secret
		h.gateway = &gatewayHandler{cfg: &h.cfg, authorize: h.Authorize}
		h.ReplaceVerifySecret(h.cfg.VerifySecret)
		h.handle("/verify", h.gateway.verify(http.StatusNoContent))
		h.handle("/verify/envoy", h.gateway.verify(http.StatusOK))
		h.handle("/verify/envoy/", h.gateway.verify(http.StatusOK))
	}
	h.mux.Handle("/", web.OwnHeaders(h.cfg.Site.CORS(h.cfg.Site.NotFound())))
}

// logoutRoutes registers the paths of logouts.
func (h *Handler) logoutRoutes(revoker revoker) {
	logout := &logoutHandler{
		cfg: &h.cfg, revoker: revoker, endings: &h.endings, loggedOut: &h.loggedOut,
		back: wayBack{cfg: &h.cfg, name: "logout", otherwise: h.cfg.Site.ReturnTo(h.cfg.AfterLogout, h.cfg.Path)},
	}
	h.call("/logout", logout.logout, http.MethodPost)
	h.page("/logout/continue", logout.proceed)
	h.page(LogoutDone, logout.back.proceed)
	if h.cfg.VerifyLogout != nil { // called by the provider's server, so cookies and origins decide nothing
		h.handle("/backchannel-logout", web.OwnHeaders(h.cfg.Site.Methods(h.cfg.Site.Handle(logout.backchannel), http.MethodPost)))
	}
}

// ReplaceVerifySecret replaces the gateways' secret: from now on only the new one is
// accepted. It must not be called without Config.VerifySecret.
func (h *Handler) ReplaceVerifySecret(value secret.String) { h.gateway.secret.Store(&value) }

// handle registers path. Spans of its requests have its name.
func (h *Handler) handle(path string, next http.Handler) {
	path = h.cfg.Path + path
	h.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		web.NoteRoute(r, path)
		next.ServeHTTP(w, r)
	})
}

func (h *Handler) page(path string, handle web.HandlerFunc) {
	h.handle(path, web.OwnHeaders(h.cfg.Site.Methods(h.cfg.Site.Handle(handle), http.MethodGet)))
}

// call registers a call. No call reads the request's body.
func (h *Handler) call(path string, handle web.HandlerFunc, methods ...string) {
	h.handle(path, web.OwnHeaders(h.cfg.Site.Guard(h.cfg.Site.Methods(h.cfg.Site.Handle(handle), methods...))))
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }
