package tokenhandler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// sessionBody answers GET /auth/session and POST /auth/refresh. It never holds
// a token.
type sessionBody struct {
	Authenticated bool `json:"authenticated"`
	// LoginURL is set when not authenticated.
	LoginURL string `json:"login_url,omitempty"`
	// User holds the configured claims.
	User json.RawMessage `json:"user,omitempty"`
	// ExpiresAt is the absolute end, IdleExpiresAt the end without activity,
	// AccessTokenExpiresAt when the token will have been renewed (RFC 3339, UTC).
	ExpiresAt            string `json:"expires_at,omitempty"`
	IdleExpiresAt        string `json:"idle_expires_at,omitempty"`
	AccessTokenExpiresAt string `json:"access_token_expires_at,omitempty"`
}

// session answers 200 always, unless revocation.on_outage says that nobody is
// to be served now. It refreshes if due, and never counts as
// activity: an app that polls it does not keep an absent user logged in.
func (h *Handler) session(w http.ResponseWriter, r *http.Request) error {
	visit, err := h.open(r, refresh.IfDue)
	// Whatever may pass leaves the session as it is: the answer then shows an
	// access token that has ended.
	if errors.Is(err, refresh.ErrDenyListOutdated) {
		return h.sessionProblem(r, err) // neither answer would be true
	}
	superseded := errors.Is(err, refresh.ErrSuperseded)
	over := visit.Session == nil || superseded || errors.Is(err, refresh.ErrRejected)
	var body sessionBody
	if !over {
		body, err = newSessionBody(visit)
		over = err != nil
	}
	if over {
		if !errors.Is(err, session.ErrNone) && !superseded && !isLate(err) { // the browser may have a newer cookie than that
			h.remove(w, r, h.cfg.Store.Session())
			if errors.Is(err, session.ErrCookiesTooLarge) {
				h.removeLogins(w, r)
			}
		}
		web.WriteJSON(w, r, http.StatusOK, sessionBody{LoginURL: h.cfg.Path + "/login"})
		return nil
	}
	visit.Commit(w.Header())
	web.WriteJSON(w, r, http.StatusOK, body)
	return nil
}

// refresh forces new tokens. It counts as activity: it is the app's way to say
// that the user wants to stay.
func (h *Handler) refresh(w http.ResponseWriter, r *http.Request) error {
	visit, err := h.open(r, refresh.OnDemand)
	if err != nil {
		return h.sessionProblem(r, err)
	}
	visit.Touch()
	body, err := newSessionBody(visit)
	if err != nil {
		return h.sessionProblem(r, err)
	}
	visit.Commit(w.Header())
	web.WriteJSON(w, r, http.StatusOK, body)
	return nil
}

// newSessionBody tells of a visit's session. The error is one of session's
// reasons: the claims are opened only here.
func newSessionBody(visit *refresh.RequestSession) (sessionBody, error) {
	s := visit.Session
	tokens, err := s.Tokens()
	if err != nil {
		return sessionBody{}, err
	}
	return sessionBody{
		Authenticated:        true,
		User:                 json.RawMessage(tokens.Claims),
		ExpiresAt:            timestamp(s.Expires),
		IdleExpiresAt:        timestamp(visit.IdleExpires()),
		AccessTokenExpiresAt: timestamp(s.AccessExpires),
	}, nil
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// logout ends the session here and at the provider:
//
//  1. The session is put on the deny list: a copy of its cookie is dead now,
//     and so is a refresh under way.
//  2. All cookies are removed, logins under way included.
//  3. The refresh token is revoked, as well as that goes, also if the session had
//     ended by itself.
//  4. The browser is told where to end the provider's own session.
//
// Without a session it answers the same. GET is refused: an image on another
// page must not log anybody out.
func (h *Handler) logout(w http.ResponseWriter, r *http.Request) error {
	query, err := singleValues(r.URL.RawQuery)
	if err != nil {
		return web.NewProblem(web.CodeInvalidRequest, err.Error(), err)
	}
	visit, err := h.cfg.Sessions.Open(r)
	if s := cmp.Or(visit.Session, visit.Stored); s != nil {
		// One that is idle here has sockets and streams, and copies of its cookie.
		visit.End()
		everywhere := query["everywhere"] == "true" && !errors.Is(err, refresh.ErrRevoked) && !errors.Is(err, session.ErrExpired)
		if everywhere {
			h.endAll(r.Context(), s.Subject)
			h.signOut(r.Context(), s.Access)
		}
		h.revokeSession(r.Context(), s)
		h.cfg.Log.InfoContext(r.Context(), "logout", "sub", s.Subject, "session", s.ID, "everywhere", everywhere, "request_id", web.RequestID(r))
	}
	h.remove(w, r, h.cfg.Store.Session())
	h.removeLogins(w, r)
	h.metrics.Logouts.Inc()
	if isFormNavigation(r) {
		h.cfg.Site.Redirect(w, http.StatusSeeOther, h.hintedLogoutURL(w, r, visit))
		return nil
	}
	web.WriteJSON(w, r, http.StatusOK, struct {
		LogoutURL string `json:"logout_url"`
	}{h.logoutURL(secret.String{})})
	return nil
}

// endAll ends every session of a user that has begun.
func (h *Handler) endAll(ctx context.Context, sub string) {
	now := h.cfg.Now()
	entry := replicas.Revocation{Kind: replicas.KindSubject, Name: sub, Before: now, Until: now.Add(h.cfg.SessionLifetime)}
	if err := h.cfg.Revoke(ctx, entry); err != nil {
		h.cfg.Log.ErrorContext(ctx, "sessions not ended everywhere", "sub", sub, "error", err.Error())
	}
}

// signOut ends all of the user's sessions at the provider, as well as that goes:
// other apps' refresh tokens too.
func (h *Handler) signOut(ctx context.Context, access secret.String) {
	if h.cfg.SignOut == nil {
		return
	}
	if err := h.cfg.SignOut(ctx, access); err != nil {
		h.metrics.SignOuts.WithLabelValues("failed").Inc()
		h.cfg.Log.WarnContext(ctx, "not signed out everywhere at the provider", "error", err.Error())
		return
	}
	h.metrics.SignOuts.WithLabelValues("ok").Inc()
}

func isFormNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}
