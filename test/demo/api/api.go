package demoapi

import (
	"context"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Config configures which tokens are accepted.
type Config struct {
	Issuer   string        // required; the pool's issuer
	JWKSURL  string        // required; the address of its keys
	ClientID string        // required; access tokens of other clients are refused
	Client   *http.Client  // fetches the keys; the default has a time-out of 10 s
	Interval time.Duration // between two events of /api/events; default a second
}

// API is the demo API.
type API struct {
	verifier *oidc.IDTokenVerifier
	clientID string
	interval time.Duration
}

// New returns the API. It fetches the keys when it receives the first token. Fetches use the values of ctx but not its
// cancellation.
func New(ctx context.Context, config Config) *API {
	if config.Client == nil {
		config.Client = &http.Client{Timeout: 10 * time.Second}
	}
	if config.Interval == 0 {
		config.Interval = time.Second
	}
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.WithoutCancel(ctx), config.Client), config.JWKSURL)
	return &API{
		// An access token has no audience; its client_id is checked instead.
		verifier: oidc.NewVerifier(config.Issuer, keys, &oidc.Config{SkipClientIDCheck: true}),
		clientID: config.ClientID,
		interval: config.Interval,
	}
}

// Handler returns the handler of all routes. Each requires an access token.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /api/me", a.authorized(me))
	mux.Handle("GET /api/slow", a.authorized(slow))
	mux.Handle("GET /api/events", a.authorized(a.events))
	mux.Handle("GET /api/socket", a.authorized(socket))
	mux.Handle("POST /api/echo", a.authorized(echo))
	return mux
}
