package cognito

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"cognito-token-handler/tokenhandler/provider"
)

const (
	firstConnectPause = 250 * time.Millisecond
	maxConnectPause   = 5 * time.Second
	// misconfiguredPause is the pause after an error that only an operator can end, here
	// or at the provider.
	misconfiguredPause = 5 * time.Minute
	// skew is the accepted difference between this clock and the provider's.
	skew = time.Minute
)

// Run calls [Provider.Connect] until it succeeds or ctx ends. So the service can
// start while its provider is down (ASVS V16.5.2). If the configuration and the
// provider do not agree, it tries again rarely and logs an error.
func (p *Provider) Run(ctx context.Context) {
	wait := firstConnectPause
	for {
		err := p.Connect(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if errors.Is(err, provider.ErrMisconfigured) {
			p.cfg.Log.ErrorContext(ctx, "provider cannot be used as it is configured", "issuer", p.cfg.Issuer, "error", err.Error(), "pause", misconfiguredPause.String())
			if p.sleep(ctx, misconfiguredPause) != nil {
				return
			}
			continue
		}
		p.cfg.Log.WarnContext(ctx, "provider not reached, trying again", "issuer", p.cfg.Issuer, "error", err.Error(), "pause", wait.String())
		if p.sleep(ctx, wait) != nil {
			return
		}
		wait = min(2*wait, maxConnectPause)
	}
}

// Connect discovers the endpoints and fetches the signing keys. It does nothing if
// it has succeeded before. The error is a [*provider.Error].
func (p *Provider) Connect(ctx context.Context) error {
	defer p.triedOnce.Do(func() { close(p.tried) })
	err := p.connect(ctx)
	if failed, ok := errors.AsType[*provider.Error](err); ok {
		p.failed.Store(failed)
	}
	return err
}

func (p *Provider) connect(ctx context.Context) error {
	if p.connected.Load() != nil {
		return nil
	}
	endpoints, document, err := p.discover(ctx)
	if err != nil {
		return err
	}
	c := p.newConnection(endpoints, document)
	if err := c.keys.load(ctx); err != nil {
		return networkError(opKeys, err)
	}
	p.connected.Store(c)
	p.cfg.Log.InfoContext(ctx, "provider connected", "issuer", p.cfg.Issuer)
	return nil
}

const (
	opDiscovery = "discovering the provider"
	opKeys      = "loading the provider's keys"
)

// discover returns the endpoints: the configured ones, and the others from the
// provider's document (OpenID Connect Discovery 1.0 §4). If all that are required
// are configured, the document is not fetched, and empty.
func (p *Provider) discover(ctx context.Context) (Endpoints, discoveryDocument, error) {
	var document discoveryDocument
	e := p.overrides()
	if e.Authorization == "" || e.Token == "" || e.JWKS == "" {
		var err error
		if document, err = p.fetchDiscovery(ctx); err != nil {
			return Endpoints{}, document, err
		}
		if e, err = merge(e, document, p.cfg.Issuer); err != nil {
			return Endpoints{}, document, &provider.Error{Op: opDiscovery, Kind: provider.ErrMisconfigured, Reason: err.Error()}
		}
	}
	if p.cfg.Profile == Cognito && p.overrides().Logout == "" {
		// The document's end_session_endpoint is no RP-initiated logout (README "Logout").
		e.Logout = origin(e.Authorization) + "/logout"
	}
	return e, document, nil
}

func (p *Provider) newConnection(endpoints Endpoints, document discoveryDocument) *connection {
	algorithms := algorithmsOf(p.cfg.Profile, document)
	keys := newKeySet(algorithms, func(ctx context.Context) ([]jose.JSONWebKey, error) {
		var set struct {
			Keys []json.RawMessage `json:"keys"`
		}
		err := p.getJSON(p.context(ctx, call{endpoint: endpointJWKS}), opKeys, endpoints.JWKS, &set)
		return parseKeys(set.Keys), err
	}, p.cfg.Now, p.noteMismatch)
	// go-oidc allows no skew for exp (OpenID Connect Core 1.0 §3.1.3.7 permits one).
	earlier := func() time.Time { return p.cfg.Now().Add(-skew) }
	algs := make([]string, len(algorithms))
	for i, alg := range algorithms {
		algs[i] = string(alg)
	}
	sendsIssuer, _ := document.SendsIssuer.(bool)
	return &connection{endpoints: endpoints, sendsIssuer: sendsIssuer, createsUsers: slices.Contains(document.Prompts, "create"), verifier: &verifier{
		cfg:          &p.cfg,
		keys:         keys,
		idTokens:     oidc.NewVerifier(p.cfg.Issuer, keys, &oidc.Config{ClientID: p.cfg.ClientID, SupportedSigningAlgs: algs, Now: earlier}),
		accessTokens: oidc.NewVerifier(p.cfg.Issuer, keys, &oidc.Config{SkipClientIDCheck: true, SupportedSigningAlgs: algs, Now: earlier}),
	}}
}

// noteMismatch logs that a token was signed by another key than its kid names.
func (p *Provider) noteMismatch(named, actual string) {
	p.cfg.Log.Warn("a token of the provider names another key than the one that signed it; it was accepted, because both are the issuer's",
		"kid", bounded(named), "signed_by", bounded(actual))
}

// overrides returns the configured endpoints, including those that follow from
// provider.domain.
func (p *Provider) overrides() Endpoints {
	e := p.cfg.Endpoints
	if p.cfg.Domain == "" || p.cfg.Profile != Cognito {
		return e
	}
	domain := strings.TrimSuffix(p.cfg.Domain, "/")
	return Endpoints{
		Authorization: cmp.Or(e.Authorization, domain+"/oauth2/authorize"), Token: cmp.Or(e.Token, domain+"/oauth2/token"),
		Revocation: cmp.Or(e.Revocation, domain+"/oauth2/revoke"), Userinfo: cmp.Or(e.Userinfo, domain+"/oauth2/userInfo"),
		Logout: cmp.Or(e.Logout, domain+"/logout"), JWKS: e.JWKS,
	}
}

// discoveryDocument holds the fields of OpenID Connect Discovery 1.0 §3 that are
// used.
type discoveryDocument struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	Userinfo      string `json:"userinfo_endpoint"`
	EndSession    string `json:"end_session_endpoint"`
	JWKS          string `json:"jwks_uri"`
	// Algorithms are those of ID tokens, and of logout tokens.
	Algorithms []string `json:"id_token_signing_alg_values_supported"`
	// Prompts are the values of prompt (Initiating User Registration via OpenID Connect
	// 1.0 §4.2).
	Prompts []string `json:"prompt_values_supported"`
	// SendsIssuer is true if callbacks have the parameter iss (RFC 9207 §3). Of another
	// type it means nothing, and must not make the document unreadable.
	SendsIssuer any `json:"authorization_response_iss_parameter_supported"`
}

func (p *Provider) fetchDiscovery(ctx context.Context) (discoveryDocument, error) {
	var document discoveryDocument
	address := strings.TrimSuffix(p.cfg.Issuer, "/") + "/.well-known/openid-configuration"
	return document, p.getJSON(p.context(ctx, call{endpoint: endpointDiscovery}), opDiscovery, address, &document)
}

func (p *Provider) getJSON(ctx context.Context, op, address string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return &provider.Error{Op: op, Kind: provider.ErrMisconfigured, Reason: "an endpoint is no URL"}
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return networkError(op, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return statusError(op, answer)
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return networkError(op, err)
	}
	return nil
}

// merge fills the empty fields of e from the document. It refuses the document of
// another issuer (OpenID Connect Discovery 1.0 §4.3) and URLs over which a secret
// would be sent in the clear. The hosts may differ from the issuer's, as Cognito's
// do (README "Hosts and discovery").
func merge(e Endpoints, document discoveryDocument, issuer string) (Endpoints, error) {
	if document.Issuer != issuer {
		return e, fmt.Errorf("the document names the issuer %s, and provider.issuer is another: %s; a slash at the end counts",
			strconv.QuoteToASCII(bounded(document.Issuer)), strconv.QuoteToASCII(issuer))
	}
	for _, field := range []struct {
		name      string
		into      *string
		described string
		required  bool
	}{
		{"authorization_endpoint", &e.Authorization, document.Authorization, true},
		{"token_endpoint", &e.Token, document.Token, true},
		{"jwks_uri", &e.JWKS, document.JWKS, true},
		{"revocation_endpoint", &e.Revocation, document.Revocation, false},
		{"userinfo_endpoint", &e.Userinfo, document.Userinfo, false},
		{"end_session_endpoint", &e.Logout, document.EndSession, false},
	} {
		switch {
		case *field.into != "":
		case field.described == "" && !field.required:
		case field.described == "":
			return e, fmt.Errorf("the document has no %s; does the pool have a domain?", field.name)
		case !isSafe(field.described, issuer):
			return e, fmt.Errorf("the document's %s is no https URL", field.name)
		default:
			*field.into = field.described
		}
	}
	return e, nil
}

func isSafe(address, issuer string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return false
	}
	return u.Scheme == "https" || (u.Scheme == "http" && strings.HasPrefix(issuer, "http://"))
}

func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
