package tokenhandler

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

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
	// AuthorizeURL returns where to send the browser.
	AuthorizeURL(request provider.AuthRequest) (string, error)
	// Exchange redeems a code once and verifies all tokens.
	Exchange(ctx context.Context, grant provider.CodeGrant) (secret.Tokens, error)
	// Revoke revokes a refresh token. For one that is revoked already it returns nil.
	// It takes a few seconds at most and goes on when ctx is cancelled.
	Revoke(ctx context.Context, refresh secret.String) error
	// LogoutURL is the provider's logout page that comes back to returnTo, or ""
	// if there is none or the provider is not reached yet. idToken, if not empty,
	// says which session is meant to a provider that takes such a hint: the URL
	// then holds a token, and must not reach a script.
	LogoutURL(returnTo string, idToken secret.String) string
	// Issuer is the provider's issuer (RFC 9207 §2.4).
	Issuer() string
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
	// Path is the prefix, without a slash at its end. Required.
	Path string
	// PublicURL is the app's origin. Required.
	PublicURL *url.URL
	// ErrorPath is where a failed login goes; empty for a page of our own.
	ErrorPath string
	// AfterLogout is the path to come back to from the provider's logout.
	AfterLogout string
	// AllowCrossSiteLogin lets other sites start a login.
	AllowCrossSiteLogin bool
	// GroupsClaim names the access token's claim of the user's groups. Required.
	GroupsClaim string
	// VerifySecret is what gateways show to /verify, which is off without one.
	VerifySecret secret.String
	// Revoke ends the sessions that an entry names: here at once, on other replicas
	// as soon as they can be told. Required.
	Revoke func(ctx context.Context, entry replicas.Revocation) error
	// SessionLifetime is how long a session can live: so long entries are kept. Required.
	SessionLifetime time.Duration
	// Alive asks the provider whether the user of an access token may still use it.
	// [provider.ErrRejected] means no; any other error means that the provider could
	// not tell. Nil turns probes off.
	Alive func(ctx context.Context, access secret.String, sub string) error
	// ProbeInterval is how often a session is probed at most; 0 is never.
	ProbeInterval time.Duration
	// SignOut ends all of the user's sessions at the provider. It takes a few seconds
	// at most and goes on when ctx is cancelled. Nil if the provider cannot do it.
	SignOut func(ctx context.Context, access secret.String) error
	// VerifyLogout checks a logout token, which names the sessions that the provider
	// has ended. The error is a [*provider.Error]. Nil if the provider sends none.
	VerifyLogout func(ctx context.Context, raw string) (provider.LogoutToken, error)
	// Now is the clock. Required.
	Now func() time.Time
	// Log receives logins, logouts and why they failed. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Handler serves /auth.
type Handler struct {
	cfg     Config
	mux     *http.ServeMux
	metrics *Metrics
	probes  probes
	// permissions are those of the access tokens in use.
	permissions *permissionCache
}

// New builds a Handler.
func New(cfg Config) *Handler {
	h := &Handler{cfg: cfg, mux: http.NewServeMux(), metrics: cfg.Metrics, permissions: newPermissionCache(cfg.GroupsClaim)}
	if h.metrics == nil {
		h.metrics = NewMetrics(nil)
	}
	h.routes()
	return h
}

// routes is the whole surface. Pages are what a person navigates to, from the
// provider's site too; calls are what the app fetches, from its own origin.
func (h *Handler) routes() {
	h.page("/login", h.startLogin(provider.PageLogin))
	h.page("/signup", h.startLogin(provider.PageSignup))
	h.page("/forgot-password", h.startLogin(provider.PageForgotPassword))
	h.page("/callback", h.callback)

	h.call("/session", h.session, http.MethodGet, http.MethodHead)
	h.call("/refresh", h.refresh, http.MethodPost)
	h.call("/logout", h.logout, http.MethodPost)

	if h.cfg.VerifyLogout != nil { // called by the provider's server: nothing a browser sends counts
		h.handle("/backchannel-logout", web.OwnHeaders(h.cfg.Site.Methods(h.cfg.Site.Handle(h.backchannelLogout), http.MethodPost)))
	}
	if !h.cfg.VerifySecret.IsZero() { // called by gateways, which show the secret
		h.handle("/verify", h.verify(http.StatusNoContent))
		h.handle("/verify/envoy", h.verify(http.StatusOK))
		h.handle("/verify/envoy/", h.verify(http.StatusOK))
	}
	h.mux.Handle("/", web.OwnHeaders(h.cfg.Site.CORS(h.cfg.Site.NotFound())))
}

// handle serves path, by which its requests' spans are named.
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

func (h *Handler) call(path string, handle web.HandlerFunc, methods ...string) {
	limited := func(w http.ResponseWriter, r *http.Request) error {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		return handle(w, r)
	}
	h.handle(path, web.OwnHeaders(h.cfg.Site.Guard(h.cfg.Site.Methods(h.cfg.Site.Handle(limited), methods...))))
}

// maxBody bounds the bodies of calls, none of which needs one.
const maxBody = 4 << 10

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }
