package tokenhandler

import (
	"net/http"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// logoutURL is where the provider's own session is ended, or the app's page if
// there is nothing. It never carries state: whoever comes back is logged out
// already, so there is nothing that a forged return could do.
func (h *Handler) logoutURL(hint secret.String) string {
	back := h.cfg.Site.PublicOrigin() + h.cfg.AfterLogout
	if target := h.cfg.Provider.LogoutURL(back, hint); target != "" {
		return target
	}
	return back
}

// hintedLogoutURL is [Handler.logoutURL] with the session's ID token for the
// provider, where that is safe: in the Location of a redirect that the browser
// itself follows, which no script can read. So it is left out of an answer that
// a script can have asked for, of JSON always and of one to an old browser that
// does not say what it asks for. It is left out, too, if the head would be
// larger than proxies take: the hint is only recommended (OIDC RP-Initiated
// Logout §2).
func (h *Handler) hintedLogoutURL(w http.ResponseWriter, r *http.Request, visit *refresh.RequestSession) string {
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		target := h.logoutURL(hintOf(visit))
		if headBytes(w.Header())+len(target) <= maxHead {
			return target
		}
	}
	return h.logoutURL(secret.String{})
}

// hintOf is the ID token of a visit's session, also of one that is over here: at
// the provider it may not be. Empty if there is none or it is not kept.
func hintOf(visit *refresh.RequestSession) secret.String {
	s := visit.Session
	if s == nil {
		s = visit.Stored
	}
	if s == nil {
		return secret.String{}
	}
	tokens, err := s.Tokens()
	if err != nil {
		return secret.String{}
	}
	return tokens.ID
}
