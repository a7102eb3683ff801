package cognito

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	firstPause = 250 * time.Millisecond
	maxPause   = 5 * time.Second
	// skew is how far our clock and the provider's may be apart (OIDC-06).
	skew = time.Minute
)

// Run connects, trying again until it succeeds or ctx ends. The service starts
// without its provider and heals when the provider does (ASVS V16.5.2).
func (p *Provider) Run(ctx context.Context) {
	pause := firstPause
	for {
		err := p.Connect(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		p.cfg.Log.WarnContext(ctx, "provider not reached, trying again", "issuer", p.cfg.Issuer, "error", err.Error(), "pause", pause.String())
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, maxPause)
	}
}

// Connect discovers the endpoints and loads the signing keys, once. The error
// is an [*Error].
func (p *Provider) Connect(ctx context.Context) error {
	if p.connected.Load() != nil {
		return nil
	}
	c, err := p.discover(ctx)
	if err != nil {
		return err
	}
	var keys jose.JSONWebKeySet // looked at and kept by keyFetches
	if err := p.getJSON(ctx, "loading the provider's keys", c.endpoints.JWKS, &keys); err != nil {
		return err
	}
	p.connected.Store(c)
	p.cfg.Log.InfoContext(ctx, "provider connected", "issuer", p.cfg.Issuer)
	return nil
}

func (p *Provider) discover(ctx context.Context) (*connection, error) {
	const op = "discovering the provider"
	over := p.overrides()
	// The key set lives as long as the provider does.
	lasting := p.context(context.WithoutCancel(ctx))
	if over.Authorization != "" && over.Token != "" && over.JWKS != "" {
		return p.newConnection(lasting, over), nil
	}
	document, err := p.fetchDiscovery(ctx)
	if err != nil {
		return nil, err
	}
	if document.Issuer != p.cfg.Issuer {
		return nil, &Error{Op: op, Kind: Misconfigured, Reason: "the document names another issuer than provider.issuer"}
	}
	endpoints := Endpoints{
		Authorization: or(over.Authorization, document.Authorization), Token: or(over.Token, document.Token),
		Revocation: or(over.Revocation, document.Revocation), Userinfo: or(over.Userinfo, document.Userinfo),
		Logout: or(over.Logout, document.EndSession), JWKS: or(over.JWKS, document.JWKS),
	}
	if err := checkEndpoints(p.cfg.Issuer, endpoints); err != nil {
		return nil, &Error{Op: op, Kind: Misconfigured, Reason: err.Error()}
	}
	if p.cfg.Profile == Cognito && over.Logout == "" {
		endpoints.Logout = origin(endpoints.Authorization) + "/logout"
	}
	return p.newConnection(lasting, endpoints), nil
}

func (p *Provider) newConnection(lasting context.Context, endpoints Endpoints) *connection {
	p.keys.watch(endpoints.JWKS)
	// OIDC-06: an expiry within the skew passes.
	earlier := func() time.Time { return p.cfg.Now().Add(-skew) }
	algs := []string{oidc.RS256}
	keys := notingKeySet{oidc.NewRemoteKeySet(lasting, endpoints.JWKS)}
	return &connection{
		endpoints:    endpoints,
		idTokens:     oidc.NewVerifier(p.cfg.Issuer, keys, &oidc.Config{ClientID: p.cfg.ClientID, SupportedSigningAlgs: algs, Now: earlier}),
		accessTokens: oidc.NewVerifier(p.cfg.Issuer, keys, &oidc.Config{SkipClientIDCheck: true, SupportedSigningAlgs: algs, Now: earlier}),
	}
}

// overrides are the configured endpoints, those of provider.domain included.
func (p *Provider) overrides() Endpoints {
	e := p.cfg.Endpoints
	if p.cfg.Domain == "" || p.cfg.Profile != Cognito {
		return e
	}
	domain := strings.TrimSuffix(p.cfg.Domain, "/")
	return Endpoints{
		Authorization: or(e.Authorization, domain+"/oauth2/authorize"), Token: or(e.Token, domain+"/oauth2/token"),
		Revocation: or(e.Revocation, domain+"/oauth2/revoke"), Userinfo: or(e.Userinfo, domain+"/oauth2/userInfo"),
		Logout: or(e.Logout, domain+"/logout"), JWKS: e.JWKS,
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// discoveryDocument holds the fields of OIDC Discovery §3 that are used.
type discoveryDocument struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	Userinfo      string `json:"userinfo_endpoint"`
	EndSession    string `json:"end_session_endpoint"`
	JWKS          string `json:"jwks_uri"`
}

func (p *Provider) fetchDiscovery(ctx context.Context) (discoveryDocument, error) {
	var document discoveryDocument
	address := strings.TrimSuffix(p.cfg.Issuer, "/") + "/.well-known/openid-configuration"
	return document, p.getJSON(ctx, "discovering the provider", address, &document)
}

func (p *Provider) getJSON(ctx context.Context, op, address string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return &Error{Op: op, Kind: Misconfigured, Reason: "an endpoint is no URL"}
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return networkError(op, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return statusError(op, answer)
	}
	// The transport bounds the body.
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return &Error{Op: op, Kind: Nonsense, Reason: "the answer was cut short"}
		}
		return networkError(op, err)
	}
	return nil
}

// checkEndpoints refuses a document that would send a secret in the clear. The
// hosts may differ from the issuer's: Cognito's do (FACTS COG-DISC-01).
func checkEndpoints(issuer string, e Endpoints) error {
	for name, address := range map[string]string{
		"authorization_endpoint": e.Authorization, "token_endpoint": e.Token, "jwks_uri": e.JWKS,
		"revocation_endpoint": e.Revocation, "end_session_endpoint": e.Logout,
	} {
		if address == "" {
			if name == "revocation_endpoint" || name == "end_session_endpoint" {
				continue
			}
			return fmt.Errorf("the document has no %s; does the pool have a domain?", name)
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || (u.Scheme != "https" && (u.Scheme != "http" || !strings.HasPrefix(issuer, "http://"))) {
			return fmt.Errorf("the document's %s is no https URL", name)
		}
	}
	return nil
}

func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
