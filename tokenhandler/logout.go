package tokenhandler

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// logoutHandler serves logouts, which the app or the provider starts.
type logoutHandler struct {
	cfg     *Config
	revoker revoker
}

// logout answers POST /auth/logout:
//
//  1. Put the session on the deny list, so that copies of its cookie and a refresh
//     that is under way are worth nothing.
//  2. Revoke the refresh token, also of a session that has expired. A failure is
//     counted and logged.
//  3. Remove all cookies, also those of logins that have not come back.
//  4. Send the browser, or tell the app to send it, to the provider's logout page.
//
// Without a session the answer is the same. GET is refused, because an image on
// another page must not log anybody out.
func (h *logoutHandler) logout(w http.ResponseWriter, r *http.Request) error {
	query, err := singleValues(r.URL.RawQuery)
	if err != nil {
		return web.NewProblem(web.CodeInvalidRequest, err.Error(), err)
	}
	current, err := h.cfg.Sessions.Open(r)
	if s := cmp.Or(current.Session, current.Stored); s != nil {
		current.End() // also one that is idle: it may have WebSockets and streams
		everywhere := query["everywhere"] == "true" && !errors.Is(err, refresh.ErrRevoked) && !errors.Is(err, session.ErrExpired)
		if everywhere {
			h.endAll(r.Context(), s.Subject)
			h.signOut(r.Context(), s.Access)
		}
		h.revoker.revokeSession(r.Context(), s)
		h.cfg.Log.InfoContext(r.Context(), "logout", "sub", s.Subject, "session", s.ID, "everywhere", everywhere, "request_id", web.RequestID(r),
			"client_ip", h.cfg.Site.ClientAddress(r), "user_agent", web.UserAgent(r))
	}
	removeCookie(h.cfg.Store, w, r, h.cfg.Store.Session)
	removeLogins(h.cfg.Store, w, r)
	h.cfg.Metrics.Logouts.Inc()
	if isFormNavigation(r) {
		h.cfg.Site.Redirect(w, http.StatusSeeOther, h.hintedLogoutURL(w, r, current))
		return nil
	}
	web.WriteJSON(w, r, http.StatusOK, struct {
		LogoutURL string `json:"logout_url"`
	}{h.logoutURL(secret.String{})})
	return nil
}

// endAll ends all sessions of a user that have begun by now.
func (h *logoutHandler) endAll(ctx context.Context, sub string) {
	now := h.cfg.Now()
	entry := replicas.Revocation{Kind: replicas.KindSubject, Name: sub, Before: now, Until: now.Add(h.cfg.SessionLifetime)}
	if err := h.cfg.Revoke(ctx, entry); err != nil {
		h.cfg.Log.ErrorContext(ctx, "sessions not ended everywhere", "sub", sub, "error", err.Error())
	}
}

// signOut ends all of the user's sessions at the provider, including those of other
// apps. A failure is counted and logged.
func (h *logoutHandler) signOut(ctx context.Context, access secret.String) {
	if h.cfg.SignOut == nil {
		return
	}
	if err := h.cfg.SignOut(ctx, access); err != nil {
		h.cfg.Metrics.SignOuts.WithLabelValues("failed").Inc()
		h.cfg.Log.WarnContext(ctx, "not signed out everywhere at the provider", "error", err.Error())
		return
	}
	h.cfg.Metrics.SignOuts.WithLabelValues("ok").Inc()
}

// isFormNavigation reports whether the browser navigates to the answer, as after a
// form. Otherwise a script fetches it.
func isFormNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// logoutURL returns the provider's logout page, or the app's page if there is none.
// It has no state parameter: the user is logged out already, so a forged return can
// do nothing.
func (h *logoutHandler) logoutURL(hint secret.String) string {
	back := h.cfg.Site.PublicOrigin() + h.cfg.AfterLogout
	if target := h.cfg.Provider.LogoutURL(back, hint); target != "" {
		return target
	}
	return back
}

// hintedLogoutURL returns [logoutHandler.logoutURL] with the session's ID token as a
// hint for the provider. It does so only in the Location of a redirect that the
// browser follows, because no script can read that. Without Sec-Fetch-Mode a script
// may have sent the request, so there is no hint. There is none either if the head
// of the answer would be larger than proxies accept: the hint is only recommended
// (OpenID Connect RP-Initiated Logout 1.0 §2).
func (h *logoutHandler) hintedLogoutURL(w http.ResponseWriter, r *http.Request, current *refresh.RequestSession) string {
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		target := h.logoutURL(hintOf(current))
		if headBytes(w.Header())+len(target) <= maxHead {
			return target
		}
	}
	return h.logoutURL(secret.String{})
}

// hintOf returns the ID token of a session, also of one that has ended here, because
// the provider's session may go on. It is empty if there is none.
func hintOf(current *refresh.RequestSession) secret.String {
	s := current.Session
	if s == nil {
		s = current.Stored
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
