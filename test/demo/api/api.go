package demoapi

import (
	"context"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Config says whose tokens are good.
type Config struct {
	Issuer   string        // required; the pool's issuer
	JWKSURL  string        // required; where its keys are
	ClientID string        // required; access tokens of other clients are refused
	Client   *http.Client  // fetches the keys; default one with a 10 s limit
	Interval time.Duration // between two events of /api/events; default a second
}

// API is the demo API.
type API struct {
	verifier *oidc.IDTokenVerifier
	clientID string
	interval time.Duration
}

// New returns the API. It fetches the keys when it sees the first token; the context serves all its fetches and bounds none.
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

// Handler lists every route; none is open.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /api/me", a.authorized(me))
	mux.Handle("GET /api/slow", a.authorized(slow))
	mux.Handle("GET /api/events", a.authorized(a.events))
	mux.Handle("GET /api/socket", a.authorized(socket))
	mux.Handle("POST /api/echo", a.authorized(echo))
	return mux
}
