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

	"cognito-token-handler/tokenhandler/secret"
)

// CodeGrant is what redeems an authorization code (RFC 6749 §4.1.3, RFC 7636).
type CodeGrant struct {
	// Code is the callback's.
	Code string
	// Verifier is the PKCE verifier of this login.
	Verifier string
	// Nonce was sent with this login and must stand in the ID token.
	Nonce string
	// MaxAge, if not negative, is the max_age that was asked for: the ID token
	// must then show a recent auth_time (OIDC-10).
	MaxAge time.Duration
}

// Exchange redeems a code and verifies the tokens: OIDC-01…12 for the ID token,
// OIDC-16 for the access token. The error is an [*Error].
func (p *Provider) Exchange(ctx context.Context, grant CodeGrant) (secret.Tokens, error) {
	const op = "redeeming the code"
	c, err := p.connection(op)
	if err != nil {
		return secret.Tokens{}, err
	}
	answer, err := p.withSecrets(op, func(i int) (*oauth2.Token, error) {
		return p.oauth(c, i).Exchange(p.context(ctx, endpointToken), grant.Code, oauth2.VerifierOption(grant.Verifier))
	})
	if err != nil {
		return secret.Tokens{}, err
	}
	tokens := p.unpack(answer)
	id, err := p.verifyID(ctx, c, op, tokens)
	if err != nil {
		return secret.Tokens{}, err
	}
	if err := p.checkLogin(op, id, grant); err != nil {
		return secret.Tokens{}, err
	}
	tokens.NonceHash = hashNonce(id.Nonce)
	tokens.Subject, tokens.AuthTime = id.Subject, id.authTime()
	tokens.Claims = p.showClaims(id.all)
	if len(id.claims.SID) <= maxSubject {
		tokens.SID = id.claims.SID
	}
	return p.verifyAccess(ctx, c, op, tokens)
}

const opRefresh = "refreshing tokens"

// Refresh renews previous with its refresh token and verifies what comes back
// against it (OIDC-15). Without rotation there is no new refresh token. The
// error is an [*Error]; [Rejected] is the only one that ends a session.
func (p *Provider) Refresh(ctx context.Context, previous secret.Tokens) (secret.Tokens, error) {
	const op = opRefresh
	c, err := p.connection(op)
	if err != nil {
		return secret.Tokens{}, err
	}
	if previous.Refresh.IsZero() {
		return secret.Tokens{}, &Error{Op: op, Kind: Rejected, Reason: "the session has no refresh token"}
	}
	answer, err := p.withSecrets(op, func(i int) (*oauth2.Token, error) {
		// The token source keeps the old refresh token if none comes back.
		return p.oauth(c, i).TokenSource(p.context(ctx, endpointToken), &oauth2.Token{RefreshToken: previous.Refresh.Reveal()}).Token()
	})
	if err != nil {
		return secret.Tokens{}, err
	}
	tokens := p.unpack(answer)
	tokens.Subject, tokens.AuthTime, tokens.NonceHash = previous.Subject, previous.AuthTime, previous.NonceHash
	return p.untilChecked(ctx, func(ctx context.Context) (secret.Tokens, error) {
		return p.verifyRenewed(ctx, c, tokens, previous)
	})
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
		if failed, ok := errors.AsType[*Error](err); !ok || !failed.Unavailable() || p.pause(ctx, fetchAgain) != nil {
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
	var failed *Error
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
	if !strings.EqualFold(answer.TokenType, "bearer") {
		tokens.Access = secret.String{} // refused by verifyAccess
	}
	return tokens
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
	r, err := http.NewRequestWithContext(p.context(ctx, endpointRevocation), http.MethodPost, c.endpoints.Revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return &Error{Op: op, Kind: Misconfigured, Reason: "the revocation endpoint is no URL"}
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
