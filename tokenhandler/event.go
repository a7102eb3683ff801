package tokenhandler

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// loginEvent is the event of a login that has succeeded.
func (h *loginHandler) loginEvent(r *http.Request, s *session.Session, l login, tokens secret.Tokens) audit.Event {
	return audit.Event{
		Name: audit.Login, Subject: tokens.Subject, Session: s.LogName(), Caller: h.cfg.Site.CallerOf(r),
		IdentityProvider: providerIn(tokens.ID), RequestedIdentityProvider: l.identityProvider(),
	}
}

// identityProvider returns the identity provider that the login was begun for, or "". The
// user chooses it, and may log in elsewhere.
func (l login) identityProvider() string {
	return cmp.Or(l.Extra["identity_provider"], l.Extra["idp_identifier"])
}

// providerIn returns where the user of a verified ID token of Cognito's has logged in: the
// name of the provider in the claim identities, or "" for users of the pool itself.
func providerIn(id secret.String) string {
	parts := strings.Split(id.Reveal(), ".")
	if len(parts) != 3 || len(parts[1]) > maxClaims {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		Identities []struct {
			ProviderName string `json:"providerName"`
		} `json:"identities"`
	}
	if json.Unmarshal(payload, &claims) != nil || len(claims.Identities) == 0 {
		return ""
	}
	return oneLine(claims.Identities[0].ProviderName, maxSubject)
}
