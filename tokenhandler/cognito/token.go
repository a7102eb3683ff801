package cognito

import (
	"context"
	"crypto/sha256"
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

const opExchange = "redeeming the code"

// Exchange redeems a code and verifies the tokens: OIDC-01…12 for the ID token,
// OIDC-16 for the access token. The error is an [*provider.Error].
//
// A caller that leaves before the code was sent has used up nothing. Later the
// conversation goes on without it, within Timeout: a refresh token that comes
// and that nobody gets, because of a faulty answer or because the caller is
// gone, is revoked and does not live on for its thirty days.
func (p *Provider) Exchange(ctx context.Context, grant provider.CodeGrant) (secret.Tokens, error) {
	c, err := p.connection(opExchange)
	if err != nil {
		return secret.Tokens{}, err
	}
	answer, err := p.withSecrets(opExchange, func(i int) (*oauth2.Token, error) {
		calling := p.context(ctx, call{endpoint: endpointToken, detached: true})
		return p.oauth(c, i).Exchange(calling, grant.Code, oauth2.VerifierOption(grant.Verifier))
	})
	if err != nil {
		return secret.Tokens{}, err
	}
	tokens := p.unpack(answer)
	verified, err := p.verifyLogin(ctx, c, tokens, grant)
	if err == nil && ctx.Err() != nil {
		err = &provider.Error{Op: opExchange, Kind: provider.ErrUnavailable, Reason: "the browser left before the tokens came"}
	}
	if err != nil {
		p.discard(ctx, tokens.Refresh)
		return secret.Tokens{}, err
	}
	return verified, nil
}

// verifyLogin checks the tokens of a login, whether the caller is there or not.
func (p *Provider) verifyLogin(ctx context.Context, c *connection, tokens secret.Tokens, grant provider.CodeGrant) (secret.Tokens, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.cfg.Timeout)
	defer cancel()
	id, err := p.verifyID(ctx, c, opExchange, tokens)
	if err != nil {
		return secret.Tokens{}, err
	}
	if err := p.checkLogin(opExchange, id, grant); err != nil {
		return secret.Tokens{}, err
	}
	tokens.NonceHash = hashNonce(id.Nonce)
	tokens.Subject, tokens.AuthTime = id.Subject, id.authTime()
	tokens.Claims = p.showClaims(id.all)
	tokens.SID = id.sid()
	return p.verifyAccess(ctx, c, opExchange, tokens)
}

// discardTimeout bounds the revocation of what is not handed out, as that of a
// logout (FACTS COG-REV-05): somebody may be waiting for the error page.
const discardTimeout = 3 * time.Second

// discard revokes a refresh token that nobody will ever use, as well as it can.
func (p *Provider) discard(ctx context.Context, refresh secret.String) {
	if refresh.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTimeout)
	defer cancel()
	if err := p.Revoke(ctx, refresh); err != nil {
		p.cfg.Metrics.Discarded.WithLabelValues("failed").Inc()
		p.cfg.Log.WarnContext(ctx, "refresh token of an unused answer not revoked", "error", err.Error())
		return
	}
	p.cfg.Metrics.Discarded.WithLabelValues("revoked").Inc()
}

const opRefresh = "refreshing tokens"

// Refresh renews previous with its refresh token and verifies what comes back
// against it (OIDC-15). Without rotation there is no new refresh token. The
// error is an [*provider.Error]; [provider.ErrRejected] is the only one that ends a session.
func (p *Provider) Refresh(ctx context.Context, previous secret.Tokens) (secret.Tokens, error) {
	const op = opRefresh
	c, err := p.connection(op)
	if err != nil {
		return secret.Tokens{}, err
	}
	if previous.Refresh.IsZero() {
		return secret.Tokens{}, &provider.Error{Op: op, Kind: provider.ErrRejected, Reason: "the session has no refresh token"}
	}
	// Nobody waits for a refresh while the token is good for longer than that.
	spare := previous.AccessExpires.Sub(p.cfg.Now()) > optionalMargin
	answer, err := p.withSecrets(op, func(i int) (*oauth2.Token, error) {
		calling := p.context(ctx, call{endpoint: endpointToken, optional: spare})
		// The token source keeps the old refresh token if none comes back.
		return p.oauth(c, i).TokenSource(calling, &oauth2.Token{RefreshToken: previous.Refresh.Reveal()}).Token()
	})
	if err != nil {
		return secret.Tokens{}, err
	}
	tokens := p.unpack(answer)
	tokens.Subject, tokens.AuthTime, tokens.NonceHash = previous.Subject, previous.AuthTime, previous.NonceHash
	tokens.SID = previous.SID
	if tokens.RefreshExpires.IsZero() && tokens.Refresh.Equal(previous.Refresh) {
		tokens.RefreshExpires = previous.RefreshExpires // the same token ends when it did
	}
	verified, err := p.untilChecked(ctx, func(ctx context.Context) (secret.Tokens, error) {
		return p.verifyRenewed(ctx, c, tokens, previous)
	})
	if errors.Is(err, provider.ErrRejected) {
		// Another user's or issuer's: the session is over, and so is what came for it.
		p.discard(ctx, tokens.Refresh)
	}
	return verified, err
}

// untilChecked verifies an answer again and again while that fails for want of
// keys, until ctx's deadline. The answer must not be given up early: after a
// rotation it holds the only refresh token that is still good (FACTS COG-ROT-07).
func (p *Provider) untilChecked(ctx context.Context, verify func(context.Context) (secret.Tokens, error)) (secret.Tokens, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.cfg.Timeout)
		defer cancel()
	}
	for {
		tokens, err := verify(ctx)
		if !errors.Is(err, provider.ErrUnavailable) || p.pause(ctx, fetchAgain) != nil {
			return tokens, err
		}
	}
}

// withSecrets makes a call with the client secret that worked last and, if the
// provider does not know the client by it, with the others: a secret can be
// replaced without an outage. invalid_client is refused before the grant is
// looked at, so nothing is used up.
func (p *Provider) withSecrets(op string, call func(i int) (*oauth2.Token, error)) (*oauth2.Token, error) {
	n := max(1, len(p.cfg.ClientSecrets))
	first := int(p.secretInUse.Load())
	var failed *provider.Error
	for k := range n {
		i := (first + k) % n
		answer, err := call(i)
		if err == nil {
			p.secretInUse.Store(int32(i)) //nolint:gosec // a handful of secrets
			return answer, nil
		}
		failed = tokenError(op, err)
		if failed.Code != "invalid_client" {
			break
		}
	}
	return nil, failed
}

// unpack takes the tokens out of an answer.
func (p *Provider) unpack(answer *oauth2.Token) secret.Tokens {
	tokens := secret.Tokens{
		Access:  secret.New(answer.AccessToken),
		Refresh: secret.New(answer.RefreshToken),
		// RFC 6749 §5.1: without expires_in the lifetime is documented elsewhere;
		// a short one is safe.
		AccessExpires: p.cfg.Now().Add(5 * time.Minute),
	}
	if id, ok := answer.Extra("id_token").(string); ok {
		tokens.ID = secret.New(id)
	}
	if answer.ExpiresIn > 0 {
		tokens.AccessExpires = p.cfg.Now().Add(time.Duration(answer.ExpiresIn) * time.Second)
	}
	tokens.RefreshExpires = p.refreshEnd(answer)
	if !strings.EqualFold(answer.TokenType, "bearer") {
		tokens.Access = secret.String{} // refused by verifyAccess
	}
	return tokens
}

// maxRefreshLife is the longest that Cognito offers (FACTS COG-VAL-01); what is
// said to live longer has no end that a session could meet.
const maxRefreshLife = 3650 * 24 * time.Hour

// refreshEnd is when the refresh token ends, if the provider says so: Keycloak
// in refresh_expires_in, others in refresh_token_expires_in. No standard names
// either; 0 is Keycloak's word for "never". Anything else that is no positive
// number of seconds says nothing.
func (p *Provider) refreshEnd(answer *oauth2.Token) time.Time {
	for _, name := range []string{"refresh_expires_in", "refresh_token_expires_in"} {
		if seconds, ok := answer.Extra(name).(float64); ok && seconds > 0 && seconds <= maxRefreshLife.Seconds() {
			return p.cfg.Now().Add(time.Duration(seconds) * time.Second)
		}
	}
	return time.Time{}
}

// hashNonce is what a session remembers of its nonce.
func hashNonce(nonce string) [4]byte {
	sum := sha256.Sum256([]byte(nonce))
	return [4]byte(sum[:4])
}

// Revoke ends a refresh token and, at Cognito, all access tokens of it (RFC
// 7009; FACTS COG-REV-*). A provider without a revocation endpoint is no error.
func (p *Provider) Revoke(ctx context.Context, refresh secret.String) error {
	const op = "revoking the refresh token"
	c, err := p.connection(op)
	if err != nil {
		return err
	}
	if c.endpoints.Revocation == "" || refresh.IsZero() {
		return nil
	}
	_, err = p.withSecrets(op, func(i int) (*oauth2.Token, error) {
		return nil, p.postRevocation(ctx, c, i, refresh)
	})
	return err
}

func (p *Provider) postRevocation(ctx context.Context, c *connection, i int, refresh secret.String) error {
	const op = "revoking the refresh token"
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
		return &provider.Error{Op: op, Kind: provider.ErrMisconfigured, Reason: "the revocation endpoint is no URL"}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if conf.Endpoint.AuthStyle == oauth2.AuthStyleInHeader {
		r.SetBasicAuth(url.QueryEscape(conf.ClientID), url.QueryEscape(conf.ClientSecret))
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return networkError(op, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode < http.StatusMultipleChoices {
		return nil
	}
	var told struct {
		Error string `json:"error"`
	}
	_ = json.NewDecoder(answer.Body).Decode(&told) // without a code the status must do
	return refusal(op, answer, told.Error)
}
