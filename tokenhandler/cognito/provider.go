package cognito

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/tracing"
)

// Profile selects whose ways are followed.
type Profile string

// The profiles.
const (
	Cognito Profile = "cognito"
	OIDC    Profile = "oidc"
)

// Endpoints are URLs of the provider. Empty ones come from discovery.
type Endpoints struct {
	Authorization, Token, Revocation, Userinfo, Logout, JWKS string
}

// Config is what a [Provider] needs.
type Config struct {
	// Profile is [Cognito] or [OIDC]. Required.
	Profile Profile
	// Issuer is the exact issuer (OIDC Discovery §4.3). Required. It is never
	// built or matched against a pattern: Cognito has two forms (FACTS COG-DISC-02).
	Issuer string
	// Domain is the origin of Cognito's hosted pages; default from discovery.
	Domain string
	// ClientID is ours. Required.
	ClientID string
	// ClientSecrets are tried in order: Cognito lets a client have two while one
	// is replaced (FACTS COG-TOK-01). None means a public client.
	ClientSecrets []secret.String
	// PostAuth sends the secret in the form instead of HTTP Basic.
	PostAuth bool
	// Scopes are asked for. Required.
	Scopes []string
	// RedirectURL is our callback. Required.
	RedirectURL string
	// Endpoints override discovery; with Authorization, Token and JWKS given it
	// is not done.
	Endpoints Endpoints
	// InsecureSkipNonce accepts ID tokens without the nonce that was sent. It is
	// safe only for a provider in a test that does not echo it.
	InsecureSkipNonce bool
	// Claims are the names of the claims that a session shows.
	Claims []string
	// MaxRPS bounds how many calls a second this process makes to the token,
	// revocation and userInfo endpoints and Cognito's API; default
	// [DefaultMaxRPS]. Replicas share the provider's quota: each gets its part.
	MaxRPS int
	// Timeout bounds one call, and how long it waits for its turn before. Required.
	Timeout time.Duration
	// Now is the clock. Required.
	Now func() time.Time
	// Log receives what happens on the way. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
	// Tracer makes a span of every call; nil makes none.
	Tracer *tracing.Tracer
}

// Provider is one OpenID provider. It is safe for concurrent use. Until
// [Provider.Connect] has succeeded, everything fails with an [provider.ErrUnavailable] error.
type Provider struct {
	cfg    Config
	client *http.Client
	// api is Cognito's own; nil if the issuer has no place for it.
	api *cognitoidentityprovider.Client
	// connected is nil until discovery has succeeded.
	connected atomic.Pointer[connection]
	// secretInUse is the index of the client secret that worked last.
	secretInUse atomic.Int32
	// replays are the logout tokens that were used.
	replays replays
	// pause is a variable for tests.
	pause func(context.Context, time.Duration) error
}

// connection is what discovery taught.
type connection struct {
	endpoints Endpoints
	keys      *keySet
	idTokens  *oidc.IDTokenVerifier
	// accessTokens checks signature, issuer and expiry only: Cognito's access
	// tokens have no audience (FACTS COG-CLM-01).
	accessTokens *oidc.IDTokenVerifier
}

// New builds a provider. It does not use the network.
func New(cfg Config) *Provider {
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	client := newClient(cfg)
	return &Provider{cfg: cfg, client: client, api: newAPI(cfg.Issuer, client), pause: pause}
}

// pause waits for d; the error is ctx's, if that ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Issuer is the provider's issuer.
func (p *Provider) Issuer() string { return p.cfg.Issuer }

// Ready reports nil when the provider is discovered and its keys are loaded.
func (p *Provider) Ready() error {
	if p.connected.Load() == nil {
		return errNotConnected("checking the provider")
	}
	return nil
}

func errNotConnected(op string) *provider.Error {
	return &provider.Error{Op: op, Kind: provider.ErrUnavailable, Reason: "the provider's configuration is not known yet"}
}

func (p *Provider) connection(op string) (*connection, error) {
	if c := p.connected.Load(); c != nil {
		return c, nil
	}
	return nil, errNotConnected(op)
}

// oauth is x/oauth2's view with the i-th client secret. The style of client
// authentication is set explicitly: to guess it, x/oauth2 would send a request
// twice, and burn a rotating refresh token (golang/oauth2#718).
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
	if i < len(p.cfg.ClientSecrets) {
		conf.ClientSecret = p.cfg.ClientSecrets[i].Reveal()
		if !p.cfg.PostAuth {
			conf.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
		}
	}
	return conf
}
