package cognito

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

const opAlive = "asking whether the user is still logged in"

// Alive asks userInfo whether an access token of the user is still accepted. The
// token itself verifies until it expires, whatever an administrator does
// meanwhile (README "Revocation"). Alive returns nil for a 200 with the same
// subject (OpenID Connect Core 1.0 §5.3.2), and if the provider has no userInfo.
//
// The error is a [*provider.Error]. It is [provider.ErrRejected] for a 401 or 403, and for
// another 4xx with invalid_token: the token may have expired or been revoked, or the user
// been disabled, deleted or signed out everywhere. It is only a suspicion, because the
// token may just lack a scope: providers do not agree on these answers. Any other error
// says nothing about the user.
func (p *Provider) Alive(ctx context.Context, access secret.String, subject string) error {
	c, err := p.connection(opAlive)
	if err != nil {
		return err
	}
	if c.endpoints.Userinfo == "" {
		return nil
	}
	answer, err := p.askUserinfo(ctx, c, opAlive, access)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	var body struct {
		Subject string `json:"sub"`
		Error   string `json:"error"`
	}
	decodeErr := json.NewDecoder(answer.Body).Decode(&body) // a refusal may have no body
	failed := statusError(opAlive, answer)
	invalid := body.Error == codeInvalidToken || hasInvalidToken(answer)
	switch {
	case refusesToken(answer.StatusCode, invalid):
		failed.Kind, failed.Reason = provider.ErrRejected, "the provider refused the access token"
		if invalid {
			failed.Code = codeInvalidToken
		}
	case answer.StatusCode != http.StatusOK:
	case decodeErr != nil:
		failed.Reason = "the provider's answer could not be read"
	case subject == "" || body.Subject != subject:
		failed.Reason = "userInfo is another user's"
	default:
		return nil
	}
	return failed
}

// askUserinfo sends a request to userInfo. The error is a [*provider.Error].
func (p *Provider) askUserinfo(ctx context.Context, c *connection, op string, access secret.String) (*http.Response, error) {
	asking := p.context(ctx, call{endpoint: endpointUserinfo, optional: true})
	r, err := http.NewRequestWithContext(asking, http.MethodGet, c.endpoints.Userinfo, http.NoBody)
	if err != nil {
		return nil, &provider.Error{Op: op, Kind: provider.ErrMisconfigured, Reason: "the userinfo endpoint is no URL"}
	}
	r.Header.Set("Authorization", access.Bearer())
	answer, err := p.client.Do(r)
	if err != nil {
		return nil, networkError(op, err)
	}
	return answer, nil
}

// refusesToken reports whether userInfo refused the access token, with or without
// invalid_token (RFC 6750 §3.1).
func refusesToken(status int, invalid bool) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return true
	case http.StatusTooManyRequests:
		return false
	}
	return invalid && status >= http.StatusBadRequest && status < http.StatusInternalServerError
}

const codeInvalidToken = "invalid_token"

// invalidToken matches the error of RFC 6750 §3.1 in WWW-Authenticate. Cognito
// omits the scheme before it (README "Revocation").
var invalidToken = regexp.MustCompile(`(?i)(?:^|[\s,])error\s*=\s*(?:"invalid_token"|invalid_token(?:[\s,]|$))`)

func hasInvalidToken(answer *http.Response) bool {
	return slices.ContainsFunc(answer.Header.Values("WWW-Authenticate"), invalidToken.MatchString)
}
