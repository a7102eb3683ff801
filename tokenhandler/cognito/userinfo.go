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

// Alive asks userInfo whether an access token of the user is still good: the
// token itself says so until its end, whatever an administrator does meanwhile
// (FACTS COG-UI-02, COG-SO-03). It is nil for a 200 with the subject (COG-UI-03),
// and if the provider has no userInfo.
//
// The error is an [*provider.Error]. Only 401 with invalid_token is a [provider.ErrRejected] one:
// the token has ended or was revoked, or the user was disabled, deleted or signed
// out everywhere. Anything else may pass and says nothing of the user.
func (p *Provider) Alive(ctx context.Context, access secret.String, subject string) error {
	c, err := p.connection(opAlive)
	if err != nil {
		return err
	}
	if c.endpoints.Userinfo == "" {
		return nil
	}
	asking := p.context(ctx, call{endpoint: endpointUserinfo, optional: true})
	r, err := http.NewRequestWithContext(asking, http.MethodGet, c.endpoints.Userinfo, http.NoBody)
	if err != nil {
		return &provider.Error{Op: opAlive, Kind: provider.ErrMisconfigured, Reason: "the userinfo endpoint is no URL"}
	}
	r.Header.Set("Authorization", "Bearer "+access.Reveal())
	answer, err := p.client.Do(r)
	if err != nil {
		return networkError(opAlive, err)
	}
	defer func() { _ = answer.Body.Close() }()
	var told struct {
		Subject string `json:"sub"`
		Error   string `json:"error"`
	}
	unreadable := json.NewDecoder(answer.Body).Decode(&told) // a refusal may have no body
	failed := statusError(opAlive, answer)
	switch {
	case answer.StatusCode == http.StatusUnauthorized && (told.Error == codeInvalidToken || saysInvalidToken(answer)):
		failed.Kind, failed.Code, failed.Reason = provider.ErrRejected, codeInvalidToken, "the provider refused the access token"
	case answer.StatusCode != http.StatusOK:
	case unreadable != nil:
		failed.Reason = "the provider's answer could not be read"
	case subject == "" || told.Subject != subject:
		failed.Reason = "userInfo is another user's"
	default:
		return nil
	}
	return failed
}

const codeInvalidToken = "invalid_token"

// invalidToken is the error of RFC 6750 §3.1. Cognito leaves out the scheme
// before it.
var invalidToken = regexp.MustCompile(`(?i)(?:^|[\s,])error\s*=\s*(?:"invalid_token"|invalid_token(?:[\s,]|$))`)

func saysInvalidToken(answer *http.Response) bool {
	return slices.ContainsFunc(answer.Header.Values("WWW-Authenticate"), invalidToken.MatchString)
}
