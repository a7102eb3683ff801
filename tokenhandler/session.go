package tokenhandler

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// sessionBody is the answer to GET /auth/session and POST /auth/refresh. It never
// contains a token.
type sessionBody struct {
	Authenticated bool `json:"authenticated"`
	// LoginURL is set when not authenticated.
	LoginURL string `json:"login_url,omitempty"`
	// User has the claims of session.claims.
	User json.RawMessage `json:"user,omitempty"`
	// ExpiresAt is when the session ends, unless a refresh prolongs its refresh token,
	// IdleExpiresAt its end without further activity, AccessTokenExpiresAt the time before which the access token
	// is refreshed (RFC 3339, UTC).
	ExpiresAt            string `json:"expires_at,omitempty"`
	IdleExpiresAt        string `json:"idle_expires_at,omitempty"`
	AccessTokenExpiresAt string `json:"access_token_expires_at,omitempty"`
	// Warning is "session_too_large" while the newest tokens do not fit into the browser's
	// cookies, else empty.
	Warning web.Code `json:"warning,omitempty"`
}

// session answers GET /auth/session. The status is 200 with or without a session,
// except while revocation.on_outage refuses everybody. Tokens are refreshed if they
// are due. The request does not count as activity: an app that polls must not keep
// an absent user logged in.
func (h *Handler) session(w http.ResponseWriter, r *http.Request) error {
	current, err := h.open(r, refresh.IfDue)
	if errors.Is(err, refresh.ErrDenyListOutdated) {
		return h.sessionProblem(r, current, err) // whether there is a session is not known
	}
	// While the provider or the store is merely out of reach, the session goes on: the
	// answer then shows an access token that has expired.
	kept := errors.Is(err, refresh.ErrSuperseded) || needsLogin(err)
	ended := current.Session == nil || kept || errors.Is(err, refresh.ErrRejected)
	var body sessionBody
	if !ended {
		body, err = newSessionBody(current)
		ended = err != nil
	}
	if !ended && h.cfg.Store.Fits(current.Session) != nil {
		body.Warning = web.CodeSessionTooLarge
	}
	if ended {
		if !keepsCookies(err) {
			removeCookie(h.cfg.Store, w, r, h.cfg.Store.Session)
			if errors.Is(err, session.ErrCookiesTooLarge) {
				removeLogins(h.cfg.Store, w, r)
			}
		}
		if kept {
			current.Commit(w)
		}
		web.WriteJSON(w, r, http.StatusOK, sessionBody{LoginURL: h.cfg.Site.LoginURL(r)})
		return nil
	}
	current.Commit(w)
	web.WriteJSON(w, r, http.StatusOK, body)
	return nil
}

// keepsCookies reports whether the browser keeps its cookies although the request has no
// session: there are none, or it may have newer ones, or they may open elsewhere.
func keepsCookies(err error) bool {
	return errors.Is(err, refresh.ErrNone) || errors.Is(err, refresh.ErrSuperseded) || errors.Is(err, refresh.ErrReplaced) ||
		errors.Is(err, session.ErrUnknownKey) || hasEndedMeanwhile(err) || needsLogin(err)
}

// needsLogin reports whether the access token has ended, and the provider, which is
// reached, refuses to renew it. The cookies are kept: the cause may be another one than the
// refresh token. A refused client secret, or an answer that cannot be read, is an outage.
func needsLogin(err error) bool {
	unavailable, ok := errors.AsType[*refresh.UnavailableError](err)
	return ok && unavailable.Refused
}

// refresh answers POST /auth/refresh with new tokens. The request counts as
// activity: the app sends it when the user wants to stay logged in. New tokens that do
// not fit into the browser's cookies are an error, which keeps the session: it lasts
// only while the service remembers them.
func (h *Handler) refresh(w http.ResponseWriter, r *http.Request) error {
	current, err := h.open(r, refresh.OnDemand)
	if err != nil {
		return h.sessionProblem(r, current, err)
	}
	current.Touch()
	body, err := newSessionBody(current)
	if err == nil {
		err = h.cfg.Store.Fits(current.Session)
	}
	if err != nil {
		return h.sessionProblem(r, current, err)
	}
	current.Commit(w)
	web.WriteJSON(w, r, http.StatusOK, body)
	return nil
}

// newSessionBody describes a session. The error is [session.ErrUnreadable], because
// the claims are decrypted only here.
func newSessionBody(current *refresh.RequestSession) (sessionBody, error) {
	s := current.Session
	tokens, err := s.Tokens()
	if err != nil {
		return sessionBody{}, err
	}
	return sessionBody{
		Authenticated:        true,
		User:                 json.RawMessage(tokens.Claims),
		ExpiresAt:            timestamp(s.Ends()),
		IdleExpiresAt:        timestamp(current.IdleExpires()),
		AccessTokenExpiresAt: timestamp(s.AccessExpires),
	}, nil
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
