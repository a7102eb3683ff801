package cognito

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

const (
	opRevoke = "revoking the refresh token"
	// revokeTimeout bounds a revocation and a sign-out, the wait for their turn
	// included: a user who logs out must not wait for a provider that hangs.
	revokeTimeout = 3 * time.Second
)

// untilRevoked returns a context that ends after [revokeTimeout] and not when ctx
// is cancelled: a browser that leaves must not stop its logout.
func untilRevoked(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), revokeTimeout)
}

// Revoke revokes a refresh token and, at Cognito, all access tokens that came from
// it (RFC 7009; README "Revocation"). It takes at most [revokeTimeout] and goes on
// when ctx is cancelled. It returns nil for a token that is revoked already and for an
// empty one, and [provider.ErrUnsupported] if the provider has no revocation endpoint.
func (p *Provider) Revoke(ctx context.Context, refresh secret.String) error {
	ctx, cancel := untilRevoked(ctx)
	defer cancel()
	return p.revoke(ctx, refresh)
}

// Discard revokes a refresh token that nobody has got or will use. If that fails,
// the token stays valid until it expires; the failure is counted and logged.
func (p *Provider) Discard(ctx context.Context, refresh secret.String) {
	if refresh.IsZero() {
		return
	}
	switch err := p.Revoke(ctx, refresh); {
	case err == nil:
		p.cfg.Metrics.Discarded.WithLabelValues("revoked").Inc()
	case errors.Is(err, provider.ErrUnsupported):
		p.cfg.Metrics.Discarded.WithLabelValues("unsupported").Inc()
	default:
		p.cfg.Metrics.Discarded.WithLabelValues("failed").Inc()
		p.cfg.Log.WarnContext(ctx, "unused refresh token not revoked", "error", err.Error())
	}
}

func (p *Provider) revoke(ctx context.Context, refresh secret.String) error {
	c, err := p.connection(opRevoke)
	if err != nil {
		return err
	}
	switch {
	case refresh.IsZero():
		return nil
	case c.endpoints.Revocation == "":
		return provider.ErrUnsupported
	}
	_, err = p.withSecrets(opRevoke, func(i int) (*oauth2.Token, error) {
		return nil, p.postRevocation(ctx, c, i, refresh)
	})
	return err
}

func (p *Provider) postRevocation(ctx context.Context, c *connection, i int, refresh secret.String) error {
	form := url.Values{"token": {refresh.Reveal()}, "token_type_hint": {"refresh_token"}}
	conf := p.oauth(c, i)
	if conf.Endpoint.AuthStyle == oauth2.AuthStyleInParams {
		form.Set("client_id", conf.ClientID)
		if conf.ClientSecret != "" {
			form.Set("client_secret", conf.ClientSecret)
		}
	}
	r, err := http.NewRequestWithContext(p.context(ctx, call{endpoint: endpointRevocation}), http.MethodPost, c.endpoints.Revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return &provider.Error{Op: opRevoke, Kind: provider.ErrMisconfigured, Reason: "the revocation endpoint is no URL"}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if conf.Endpoint.AuthStyle == oauth2.AuthStyleInHeader {
		r.SetBasicAuth(url.QueryEscape(conf.ClientID), url.QueryEscape(conf.ClientSecret))
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return networkError(opRevoke, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode < http.StatusMultipleChoices {
		return nil
	}
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.NewDecoder(answer.Body).Decode(&body) // without a code, the status decides
	return refusal(opRevoke, answer, body.Error, body.Description)
}
