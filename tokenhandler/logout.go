package tokenhandler

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
	"cognito-token-handler/tokenhandler/wire"
)

// logoutHandler serves logouts, which the app or the provider starts.
type logoutHandler struct {
	cfg       *Config
	revoker   revoker
	endings   *endings
	loggedOut *loggedOut
	back      wayBack
}

// logout answers POST /auth/logout:
//
//  1. Put the session on the deny list, so that copies of its cookie and a refresh
//     that is under way are worth nothing.
//  2. Revoke the refresh token, also of a session that has expired, unless the session
//     was ended before. A failure is counted and logged.
//  3. Remove all cookies, also those of logins that have not come back.
//  4. Remember return_to in a cookie, because the provider brings nothing back. It must be
//     what a login accepts.
//  5. Send the browser, or tell the app to send it, to the provider's logout page. A form
//     is not answered by a redirect, but by a page that navigates on: browsers apply
//     form-action of the app's Content-Security-Policy to all redirects after a form,
//     and the provider's may lead to other origins (CSP Level 3 §6.4.1).
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
		if !isExpected(r, s.Subject) {
			return userChanged()
		}
		h.loggedOut.addSession(s.ID)
		alive := current.End() // also one that is idle: it may have WebSockets and streams
		everywhere := alive && query["everywhere"] == "true" && !errors.Is(err, refresh.ErrRevoked) && !errors.Is(err, session.ErrExpired)
		if everywhere {
			h.endAll(r, s.Subject)
			h.signOut(r.Context(), s.Access)
		}
		if alive { // else a copy of a cookie could cause any number of calls
			h.revoker.revokeSession(r.Context(), s)
		}
		web.NoteSession(r, s)
		h.cfg.Audit.Note(r.Context(), audit.Event{Name: audit.Logout, Subject: s.Subject, Session: s.LogName(), Caller: h.cfg.Site.CallerOf(r)})
		h.endings.end(r, s.ID, s.Subject, endedByLogout)
		h.cfg.Log.InfoContext(r.Context(), "logout", append(h.cfg.Site.CallerOf(r).Attrs(), "sub", s.Subject, "session", s.ID, "everywhere", everywhere)...)
	}
	removeCookie(h.cfg.Store, w, r, h.cfg.Store.Session)
	returnTo := h.returnTo(query)
	h.removeLogins(w, r, returnTo)
	h.cfg.Metrics.Logouts.Inc()
	next := h.next(w, r, returnTo, hintOf(current))
	if isFormNavigation(r) {
		goOn(w, "Signed out", next)
		return nil
	}
	web.WriteJSON(w, r, http.StatusOK, wire.Logout{LogoutURL: next})
	return nil
}

// removeLogins removes the cookies of logins, and that of the way back if there is none. If
// there is one, its cookie is set anew.
func (h *logoutHandler) removeLogins(w http.ResponseWriter, r *http.Request, returnTo string) {
	if returnTo == "" {
		removeLogins(h.cfg.Store, w, r)
		return
	}
	removeLogins(h.cfg.Store, w, r, h.back.cookieName())
}

// returnTo returns the page of the app to which the browser goes after the logout, or ""
// for the one of the configuration.
func (h *logoutHandler) returnTo(query map[string]string) string {
	raw, asked := query["return_to"]
	if !asked {
		return ""
	}
	if returnTo := h.cfg.Site.ReturnTo(raw, h.cfg.Path); returnTo != h.cfg.AfterLogout {
		return returnTo
	}
	return ""
}

// endAll ends all sessions of a user that have begun by now.
func (h *logoutHandler) endAll(r *http.Request, sub string) {
	ctx, now := r.Context(), h.cfg.Now()
	h.cfg.Audit.Note(ctx, audit.Event{Name: audit.Revoked, By: "user", Target: "sub:" + sub, Subject: sub, Caller: h.cfg.Site.CallerOf(r)})
	h.loggedOut.addUser(sub, now)
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
