package cognito

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

const opExchange = "redeeming the code"

// Exchange redeems a code and verifies the tokens (OpenID Connect Core 1.0
// §3.1.3.5, §3.1.3.7). The error is a [*provider.Error].
//
// If ctx is cancelled before the code was sent, the code is not used up. After
// that, the exchange goes on without its caller, within Config.Timeout. A refresh
// token that nobody gets, because the answer is invalid or the caller has left, is
// revoked: otherwise it would stay valid for 30 days.
func (p *Provider) Exchange(ctx context.Context, grant provider.CodeGrant) (secret.Tokens, error) {
	c, err := p.connection(opExchange)
	if err != nil {
		return secret.Tokens{}, err
	}
	var granted grantBody
	answer, err := p.withSecrets(opExchange, func(i int) (*oauth2.Token, error) {
		calling := p.context(ctx, call{endpoint: endpointToken, detached: true, client: grant.Client, granted: &granted})
		return p.oauth(c, i).Exchange(calling, grant.Code, oauth2.VerifierOption(grant.Verifier))
	})
	p.noteCode(grant.Client, err)
	if err != nil {
		p.Discard(ctx, granted.refreshToken())
		return secret.Tokens{}, err
	}
	tokens := p.unpack(answer)
	verified, err := c.verifyLogin(ctx, tokens, grant)
	if err == nil {
		verified = p.addUserinfo(ctx, c, verified)
	}
	if err == nil && ctx.Err() != nil {
		err = &provider.Error{Op: opExchange, Kind: provider.ErrUnavailable, Reason: "the browser left before the tokens came"}
	}
	if err != nil {
		p.Discard(ctx, tokens.Refresh)
		return secret.Tokens{}, err
	}
	return verified, nil
}

// noteCode remembers whether the provider refused a code of this client. A failure
// that is not the code's says nothing.
func (p *Provider) noteCode(client netip.Prefix, err error) {
	failed, isFailure := errors.AsType[*provider.Error](err)
	if !isFailure {
		p.quota.noteCode(client, false)
		return
	}
	of4xx := failed.Status >= http.StatusBadRequest && failed.Status < http.StatusInternalServerError
	if of4xx && !errors.Is(failed, provider.ErrUnavailable) && failed.Code != "invalid_client" && failed.Code != "unauthorized_client" {
		p.quota.noteCode(client, true)
	}
}

const opRefresh = "refreshing tokens"

// Refresh renews previous with its refresh token. It verifies the new tokens, and
// that they are the same user's (OpenID Connect Core 1.0 §12.2). Without rotation
// there is no new refresh token. The error is a [*provider.Error];
// [provider.ErrRejected] ends the session.
//
// If the answer has a new refresh token and cannot be verified yet, that token and its
// end come with the error: the previous one may be dead already. The new refresh token
// of an answer that is refused for good is revoked.
func (p *Provider) Refresh(ctx context.Context, previous secret.Tokens) (secret.Tokens, error) {
	c, err := p.connection(opRefresh)
	if err != nil {
		return secret.Tokens{}, err
	}
	if previous.Refresh.IsZero() {
		return secret.Tokens{}, &provider.Error{Op: opRefresh, Kind: provider.ErrRejected, Reason: "the session has no refresh token"}
	}
	// While the access token is valid, no request waits for the refresh.
	optional := previous.AccessExpires.Sub(p.cfg.Now()) > optionalMargin
	var granted grantBody
	answer, err := p.withSecrets(opRefresh, func(i int) (*oauth2.Token, error) {
		calling := p.context(ctx, call{endpoint: endpointToken, refresh: true, optional: optional, granted: &granted})
		// The token source keeps the old refresh token if the answer contains none.
		return p.oauth(c, i).TokenSource(calling, &oauth2.Token{RefreshToken: previous.Refresh.Reveal()}).Token()
	})
	if err != nil {
		if lost := granted.refreshToken(); !lost.Equal(previous.Refresh) {
			p.Discard(ctx, lost)
		}
		return secret.Tokens{}, refreshRefusal(err)
	}
	tokens := p.unpack(answer)
	tokens.Subject, tokens.AuthTime, tokens.NonceHash = previous.Subject, previous.AuthTime, previous.NonceHash
	tokens.SID = previous.SID
	if tokens.RefreshExpires.IsZero() && tokens.Refresh.Equal(previous.Refresh) {
		tokens.RefreshExpires = previous.RefreshExpires // it is the same token
	}
	verified, err := p.verifyWithRetry(ctx, func(ctx context.Context) (secret.Tokens, error) {
		return c.verifyRenewed(ctx, tokens, previous)
	})
	if err != nil {
		return p.refuse(ctx, tokens, previous, err)
	}
	return verified, nil
}

// refreshRefusal makes the error of a refresh a [provider.ErrRefused] if the provider
// may have refused the refresh token with another code than invalid_grant: with 400 or 401,
// or with another 4xx and an OAuth error. Another 4xx without one is not the provider's, but
// a firewall's: an [provider.ErrUnavailable].
func refreshRefusal(err error) error {
	e, ok := errors.AsType[*provider.Error](err)
	bare := ok && (e.Status == http.StatusBadRequest || e.Status == http.StatusUnauthorized)
	if !ok || e.Code == "invalid_client" || e.Status < http.StatusBadRequest ||
		errors.Is(e, provider.ErrRejected) || errors.Is(e, provider.ErrUnavailable) {
		return err
	}
	refused := *e
	refused.Kind, refused.Reason = provider.ErrRefused, "the provider refused to refresh, but not with invalid_grant"
	if e.Code == "" && !bare {
		refused.Kind, refused.Reason = provider.ErrUnavailable, "the call was refused, and not by the provider"
	}
	return &refused
}

// refuse decides what becomes of the refresh token in a refresh's answer, which was not
// verified because of err. It returns what [Provider.Refresh] returns.
func (p *Provider) refuse(ctx context.Context, tokens, previous secret.Tokens, err error) (secret.Tokens, error) {
	rotated := !tokens.Refresh.Equal(previous.Refresh)
	passing := errors.Is(err, provider.ErrUnverified) || errors.Is(err, provider.ErrUnavailable)
	switch {
	case errors.Is(err, provider.ErrRejected), rotated && !passing:
		// The session ends with ErrRejected. Else it goes on with the previous refresh
		// token, if that still works.
		p.Discard(ctx, tokens.Refresh)
	case rotated:
		return secret.Tokens{Refresh: tokens.Refresh, RefreshExpires: tokens.RefreshExpires}, err
	}
	return secret.Tokens{}, err
}

// grantBody is the body of a successful answer of the token endpoint.
type grantBody []byte

// refreshToken returns the refresh token, also if x/oauth2 refuses the answer: without an
// access token, or with a field of another type. It is empty if there is none.
func (b grantBody) refreshToken() secret.String {
	var fields struct {
		Refresh any `json:"refresh_token"`
	}
	if json.Unmarshal(b, &fields) != nil {
		form, _ := url.ParseQuery(string(b)) // x/oauth2 accepts forms, too
		return secret.New(form.Get("refresh_token"))
	}
	token, _ := fields.Refresh.(string)
	return secret.New(token)
}

// verifyWithRetry calls verify again while it fails because the keys cannot be
// fetched, until the deadline of ctx. After a rotation the answer holds the only
// valid refresh token (README "Refresh"), so it must not be given up early.
func (p *Provider) verifyWithRetry(ctx context.Context, verify func(context.Context) (secret.Tokens, error)) (secret.Tokens, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.cfg.Timeout)
		defer cancel()
	}
	for {
		tokens, err := verify(ctx)
		if !errors.Is(err, provider.ErrUnavailable) || p.sleep(ctx, fetchAgain) != nil {
			return tokens, err
		}
	}
}

// withSecrets makes a call with the client secret that worked last and, if the provider
// refuses that, with the others. So a secret can be replaced without an outage. The
// provider checks the secret before the grant, so a wrong one uses up no code or token.
// Some answer unauthorized_client to it instead of invalid_client. If the provider
// refuses all of them, the error is that of the first.
func (p *Provider) withSecrets(op string, call func(i int) (*oauth2.Token, error)) (*oauth2.Token, error) {
	n := max(1, len(p.clientSecrets()))
	first := int(p.secretInUse.Load())
	var refused *provider.Error
	for k := range n {
		i := (first + k) % n
		answer, err := call(i)
		if err == nil {
			p.secretInUse.Store(int32(i)) //nolint:gosec // a handful of secrets
			return answer, nil
		}
		failed := tokenError(op, err)
		if failed.Code != "invalid_client" && failed.Code != "unauthorized_client" {
			return nil, failed
		}
		refused = cmp.Or(refused, failed)
	}
	return nil, refused
}

// unpack returns the tokens of an answer, which are not verified yet.
func (p *Provider) unpack(answer *oauth2.Token) secret.Tokens {
	tokens := secret.Tokens{
		Access:  secret.New(answer.AccessToken),
		Refresh: secret.New(answer.RefreshToken),
		// Without expires_in the lifetime is documented elsewhere (RFC 6749 §5.1). A
		// short one is safe.
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

// maxRefreshLife is the longest life of a refresh token at Cognito (README
// "Tokens"). A longer one is ignored: no session lasts so long.
const maxRefreshLife = 3650 * 24 * time.Hour

// refreshEnd returns when the refresh token expires, or the zero time if the answer
// does not say so. Keycloak says it in refresh_expires_in, where 0 means never, and
// other providers in refresh_token_expires_in, some of them as a string. Neither is a
// standard. A value that is no positive number of seconds is ignored.
func (p *Provider) refreshEnd(answer *oauth2.Token) time.Time {
	for _, name := range []string{"refresh_expires_in", "refresh_token_expires_in"} {
		var seconds float64
		switch value := answer.Extra(name).(type) {
		case float64:
			seconds = value
		case string:
			seconds, _ = strconv.ParseFloat(value, 64) // NaN compares false
		}
		if seconds > 0 && seconds <= maxRefreshLife.Seconds() {
			return p.cfg.Now().Add(time.Duration(seconds) * time.Second)
		}
	}
	return time.Time{}
}
