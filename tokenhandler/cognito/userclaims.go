package cognito

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

const (
	opUserClaims = "asking userInfo for the claims that the ID token lacks"
	// userClaimsTimeout bounds that question: the user waits for it, and can log in
	// without the answer.
	userClaimsTimeout = 3 * time.Second
)

// addUserinfo adds to the claims of a login those of session.claims that only userInfo
// has. Many providers put name and email only there if there is an access token, as
// OpenID Connect Core 1.0 §5.4 says. Cognito's ID tokens lack nothing that userInfo has.
// If userInfo cannot be asked, the login goes on without these claims.
func (p *Provider) addUserinfo(ctx context.Context, c *connection, tokens secret.Tokens) secret.Tokens {
	all := payloadOf(tokens.ID)
	missing := c.missing(all)
	if p.cfg.Profile == Cognito || c.endpoints.Userinfo == "" || len(missing) == 0 {
		return tokens
	}
	found, err := p.userinfo(ctx, c, tokens)
	if err != nil {
		p.cfg.Log.WarnContext(ctx, "claims of the user are missing", "claims", strings.Join(missing, " "), "error", err.Error())
		return tokens
	}
	for _, name := range missing {
		if value, there := found[c.claimName(name)]; there {
			all[c.claimName(name)] = value
		}
	}
	tokens.Claims = c.userClaims(all)
	return tokens
}

// userinfo returns the claims of userInfo. Those of another user are an error (OpenID
// Connect Core 1.0 §5.3.2).
func (p *Provider) userinfo(ctx context.Context, c *connection, tokens secret.Tokens) (map[string]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, userClaimsTimeout)
	defer cancel()
	answer, err := p.askUserinfo(ctx, c, opUserClaims, tokens.Access)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, statusError(opUserClaims, answer)
	}
	var found map[string]json.RawMessage
	var subject string
	switch {
	case json.NewDecoder(answer.Body).Decode(&found) != nil:
		return nil, &provider.Error{Op: opUserClaims, Kind: provider.ErrInvalidResponse, Reason: "the provider's answer is no JSON object"}
	case json.Unmarshal(found["sub"], &subject) != nil || subject != tokens.Subject:
		return nil, &provider.Error{Op: opUserClaims, Kind: provider.ErrInvalidResponse, Reason: "userInfo is another user's"}
	}
	return found, nil
}

// keepUserinfo adds to the claims of a refreshed ID token those that the session has
// from userInfo: those of session.claims that neither this ID token nor the previous one
// has. A claim that was in the previous ID token and is not in this one has ended.
func (v *verifier) keepUserinfo(all map[string]json.RawMessage, previous secret.Tokens) {
	var shown map[string]json.RawMessage
	before := payloadOf(previous.ID)
	if v.cfg.Profile == Cognito || len(before) == 0 || json.Unmarshal([]byte(previous.Claims), &shown) != nil {
		return
	}
	for _, name := range v.missing(all) {
		if _, ended := before[v.claimName(name)]; ended {
			continue
		}
		if value, there := shown[name]; there {
			all[v.claimName(name)] = value
		}
	}
}

// missing returns the names of session.claims that are not among the claims.
func (v *verifier) missing(all map[string]json.RawMessage) (names []string) {
	for _, name := range v.cfg.Claims {
		if _, there := all[v.claimName(name)]; !there {
			names = append(names, name)
		}
	}
	return names
}

// payloadOf returns the claims of a token WITHOUT verifying it. They are empty if it is
// no JWT.
func payloadOf(token secret.String) map[string]json.RawMessage {
	all := make(map[string]json.RawMessage)
	if parsed, err := jwt.ParseSigned(token.Reveal(), everyAlgorithm); err == nil {
		_ = parsed.UnsafeClaimsWithoutVerification(&all)
	}
	return all
}
