package tokenhandler

import (
	"encoding/json"
	"errors"
	"net/http"

	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
	"cognito-token-handler/tokenhandler/wire"
)

// session answers GET /auth/session. The status is 200 with or without a session,
// except while revocation.on_outage refuses everybody. Tokens are refreshed if they
// are due. The request does not count as activity: an app that polls must not keep
// an absent user logged in.
func (h *Handler) session(w http.ResponseWriter, r *http.Request) error {
	current, err := h.open(r, refresh.IfDue)
	if errors.Is(err, refresh.ErrDenyListOutdated) || errors.Is(err, errUserChanged) {
		return h.sessionProblem(r, current, err) // for the former: whether there is a session is not known
	}
	// While the provider or the store is merely out of reach, the session goes on: the
	// answer then shows an access token that has expired.
	kept := errors.Is(err, refresh.ErrSuperseded) || needsLogin(err) || hasNoToken(err)
	ended := current.Session == nil || kept || errors.Is(err, refresh.ErrRejected)
	var body wire.Session
	if !ended {
		body, err = h.describe(current)
		ended = err != nil
	}
	if !ended && h.cfg.Store.Fits(current.Session) != nil {
		body.Warning = string(web.CodeSessionTooLarge)
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
		web.WriteJSON(w, r, http.StatusOK, wire.Session{
			Now: wire.Time{Time: h.cfg.Now()}, LoginURL: h.cfg.Site.LoginURL(r), Ended: h.whyEnded(current, err),
		})
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
		errors.Is(err, session.ErrUnknownKey) || hasEndedMeanwhile(err) || needsLogin(err) || hasNoToken(err)
}

// needsLogin reports whether the access token has ended, and the provider, which is
// reached, refuses to renew it. The cookies are kept: the cause may be another one than the
// refresh token. A refused client secret, or an answer that cannot be read, is an outage.
func needsLogin(err error) bool {
	unavailable, ok := errors.AsType[*refresh.UnavailableError](err)
	return ok && unavailable.Refused
}

// hasNoToken reports whether the access token has ended, and the provider, which is reached,
// has for some time refused this service or answered what cannot be read. Other requests get
// a 503, but an app that asks whether its user is logged in must not hear that for ever.
func hasNoToken(err error) bool {
	unavailable, ok := errors.AsType[*refresh.UnavailableError](err)
	return ok && unavailable.Unusable
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
	current.Prolong()
	body, err := h.describe(current)
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

// describe describes a session. The error is [session.ErrUnreadable], because the claims
// are decrypted only here.
func (h *Handler) describe(current *refresh.RequestSession) (wire.Session, error) {
	s := current.Session
	tokens, err := s.Tokens()
	if err != nil {
		return wire.Session{}, err
	}
	return wire.Session{
		Authenticated:        true,
		Now:                  wire.Time{Time: h.cfg.Now()},
		User:                 json.RawMessage(tokens.Claims),
		SessionID:            s.ID.String(),
		AuthTime:             wire.At(tokens.AuthTime),
		ExpiresAt:            wire.At(s.Ends()),
		IdleExpiresAt:        wire.At(current.IdleExpires()),
		AccessTokenExpiresAt: wire.At(s.AccessExpires),
	}, nil
}
