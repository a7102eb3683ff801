package cognito

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"golang.org/x/oauth2"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/tracing"
)

// Profile selects Cognito's deviations or plain OpenID Connect.
type Profile string

// The profiles.
const (
	Cognito Profile = "cognito"
	OIDC    Profile = "oidc"
)

// Endpoints are URLs of the provider. Those that are empty come from discovery.
type Endpoints struct {
	Authorization, Token, Revocation, Userinfo, Logout, JWKS string
}

// Config is what a [Provider] needs.
type Config struct {
	// Profile is [Cognito] or [OIDC]. Required.
	Profile Profile
	// Issuer is the exact issuer (OpenID Connect Discovery 1.0 §4.3). Required. It is
	// compared as it is, because Cognito has two forms (README "Hosts and discovery").
	Issuer string
	// Domain is the origin of Cognito's hosted pages. Default from discovery.
	Domain string
	// ClientID is the client id of this service. Required.
	ClientID string
	// TrustedAudiences are further audiences that ID tokens and logout tokens may have
	// beside ClientID.
	TrustedAudiences []string
	// ClientSecrets are tried in this order. Cognito lets a client have two while one
	// is replaced (README "Tokens"). None means a public client.
	ClientSecrets []secret.String
	// PostAuth sends the secret in the form (client_secret_post) instead of by HTTP
	// Basic (client_secret_basic).
	PostAuth bool
	// Scopes are the scopes of a login. Required.
	Scopes []string
	// RedirectURL is the URL of the callback. Required.
	RedirectURL string
	// Endpoints override discovery. If Authorization, Token and JWKS are set, there
	// is no discovery.
	Endpoints Endpoints
	// InsecureSkipNonce accepts ID tokens without the nonce of the login. It is safe
	// only in a test, with a provider that does not return it.
	InsecureSkipNonce bool
	// InsecureLogoutWithoutExp accepts logout tokens without exp. They are then refused
	// when their iat is older than five minutes.
	InsecureLogoutWithoutExp bool
	// Transport sends the requests to the provider. Nil means the network.
	Transport http.RoundTripper
	// Claims are the names of session.claims.
	Claims []string
	// MaxRPS is the largest number of calls a second to the token, revocation and
	// userInfo endpoints and to Cognito's API. Default [DefaultMaxRPS]. Replicas
	// share the provider's quota, so each of them gets its part.
	MaxRPS int
	// Timeout bounds one call, and the wait for its turn before. Required.
	Timeout time.Duration
	// Now is the clock. Required.
	Now func() time.Time
	// Log receives failures that no caller gets. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
	// Tracer makes a span of every call. Nil makes none.
	Tracer *tracing.Tracer
}

// Provider is one OpenID provider. It is safe for concurrent use. Until
// [Provider.Connect] has succeeded, all methods that return an error return
// [provider.ErrUnavailable].
type Provider struct {
	cfg    Config
	quota  *quota
	client *http.Client
	// api is the client of Cognito's API; nil if the issuer is no URL.
	api *cognitoidentityprovider.Client
	// connected is nil until discovery has succeeded.
	connected atomic.Pointer[connection]
	// failed is why the last try to connect failed; nil if there was none.
	failed atomic.Pointer[provider.Error]
	// tried is closed when the first try has ended.
	tried     chan struct{}
	triedOnce sync.Once
	// secrets are the client secrets in use; they may be replaced at any time.
	secrets atomic.Pointer[[]secret.String]
	// secretInUse is the index of the client secret that worked last.
	secretInUse atomic.Int32
	// replays are the logout tokens that were accepted.
	replays replays
	// sleep is [sleep], unless a test replaces it.
	sleep func(context.Context, time.Duration) error
}

// connection is the result of discovery.
type connection struct {
	*verifier

	endpoints Endpoints
	// createsUsers is set if prompt=create leads to the provider's page for signing up.
	createsUsers bool
	// sendsIssuer is set if callbacks always have the parameter iss.
	sendsIssuer bool
}

// New returns a provider that is not connected. It does not use the network.
func New(cfg Config) *Provider {
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	q := newQuota(cfg)
	client := newClient(cfg, q)
	p := &Provider{cfg: cfg, quota: q, client: client, api: newAPI(cfg.Issuer, client), sleep: sleep, tried: make(chan struct{})}
	p.ReplaceClientSecrets(cfg.ClientSecrets)
	return p
}

// ReplaceClientSecrets replaces the client secrets. Calls that have begun may still use
// the old ones.
func (p *Provider) ReplaceClientSecrets(secrets []secret.String) {
	p.secrets.Store(&secrets)
	p.secretInUse.Store(0)
}

func (p *Provider) clientSecrets() []secret.String { return *p.secrets.Load() }

// sleep waits for d. It returns the error of ctx if ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// AcceptsIssuer reports whether an authorization response with this parameter iss can
// be the provider's. It must have one if the provider's document says that it sends it
// (RFC 9207 §2.4); sent says whether it has.
func (p *Provider) AcceptsIssuer(iss string, sent bool) bool {
	if sent {
		return iss == p.cfg.Issuer
	}
	c := p.connected.Load()
	return c == nil || !c.sendsIssuer
}

// Ready returns nil when the provider is connected, else why the last try to connect
// failed.
func (p *Provider) Ready() error {
	if p.connected.Load() != nil {
		return nil
	}
	if failed := p.failed.Load(); failed != nil {
		return failed
	}
	return errNotConnected("checking the provider")
}

// Tried returns a channel that is closed when the first try to connect has ended, with or
// without success.
func (p *Provider) Tried() <-chan struct{} { return p.tried }

func errNotConnected(op string) *provider.Error {
	return &provider.Error{Op: op, Kind: provider.ErrUnavailable, Reason: "the provider's configuration is not known yet"}
}

func (p *Provider) connection(op string) (*connection, error) {
	if c := p.connected.Load(); c != nil {
		return c, nil
	}
	return nil, errNotConnected(op)
}

// oauth returns the configuration of x/oauth2 with the i-th client secret. It sets
// AuthStyle, because x/oauth2 would otherwise find it out by sending a request
// twice, and so use up a rotating refresh token (golang/oauth2#718).
func (p *Provider) oauth(c *connection, i int) *oauth2.Config {
	conf := &oauth2.Config{
		ClientID:    p.cfg.ClientID,
		RedirectURL: p.cfg.RedirectURL,
		Scopes:      p.cfg.Scopes,
		Endpoint: oauth2.Endpoint{
			AuthURL:   c.endpoints.Authorization,
			TokenURL:  c.endpoints.Token,
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}
	if secrets := p.clientSecrets(); i < len(secrets) {
		conf.ClientSecret = secrets[i].Reveal()
		if !p.cfg.PostAuth {
			conf.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
		}
	}
	return conf
}
