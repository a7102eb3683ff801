package tokenhandler

import (
	"context"
	"errors"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// Grant is the permission to act for the user of one request.
type Grant struct {
	visit *refresh.RequestSession
	cache *permissionCache
}

// Authorize opens the request's session, renews its tokens if they are due, asks
// the provider whether the user is still good if the last time is longer ago
// than probe (or than Config.ProbeInterval; 0 is never), and counts the request
// as the user's activity. The error is a [*web.Problem]:
// not_authenticated without a cookie; session_expired with the cookies removed;
// cookies_too_large; provider_unavailable or rate_limited when the access token
// has ended and cannot be renewed now, which keeps the session.
func (h *Handler) Authorize(r *http.Request, probe time.Duration) (Grant, error) {
	visit, err := h.open(r, refresh.IfDue)
	if err == nil {
		err = h.probe(r.Context(), visit, probe)
	}
	if err == nil && visit.Ended() { // while the provider was asked
		err = lateError{refresh.ErrRevoked}
	}
	if err != nil {
		return Grant{}, h.sessionProblem(r, err)
	}
	visit.Touch()
	return Grant{visit: visit, cache: h.permissions}, nil
}

// open opens the request's session and renews its tokens for that reason. The visit
// is never nil; it has no session if there is none or if it is over, but for
// [refresh.ErrRejected].
func (h *Handler) open(r *http.Request, why refresh.Reason) (*refresh.RequestSession, error) {
	visit, err := h.cfg.Sessions.Open(r)
	if err != nil {
		return visit, err
	}
	before := visit.Session
	err = visit.Refresh(r.Context(), why)
	if err == nil && visit.Session == before {
		return visit, nil
	}
	// The provider was asked meanwhile, and a logout may have been faster: then
	// this request must not go on with tokens made after it.
	if ended, reason := h.cfg.Sessions.Open(r); reason != nil {
		if errors.Is(reason, refresh.ErrRevoked) {
			reason = lateError{reason}
		}
		return ended, reason
	}
	return visit, err
}

// lateError says that a session was ended while its request was under way: by a
// logout, whose answer removes the cookies, or by a login in another tab. Then
// the browser holds another session's by now, and they must not be removed.
type lateError struct{ error }

// Unwrap returns the reason.
func (e lateError) Unwrap() error { return e.error }

func isLate(err error) bool {
	_, late := errors.AsType[lateError](err)
	return late
}

// Subject is the user's sub.
func (g Grant) Subject() string { return g.visit.Session.Subject }

// AccessToken is good for at least some seconds.
func (g Grant) AccessToken() secret.String { return g.visit.Session.Access }

// IDToken is the last ID token, or empty if it is not kept.
func (g Grant) IDToken() secret.String {
	tokens, err := g.visit.Session.Tokens()
	if err != nil {
		return secret.String{}
	}
	return tokens.ID
}

// Renew gets other tokens after an upstream refused the access token, and waits
// for them. It does so every 30 seconds at most. The error is one of session's.
func (g Grant) Renew(ctx context.Context) error {
	if err := g.visit.Refresh(ctx, refresh.Refused); err != nil {
		return err
	}
	if g.visit.Ended() {
		return refresh.ErrRevoked // a logout was faster
	}
	return nil
}

// Commit adds to the answer's header what the browser must be told of its
// session. Call it once, right before the header goes out.
func (g Grant) Commit(h http.Header) { g.visit.Commit(h) }

// Watch returns a context that ends with ctx or when the session is over, see
// [refresh.RequestSession.Watch]. Any goroutine may call it.
func (g Grant) Watch(ctx context.Context) context.Context { return g.visit.Watch(ctx) }

// sessionProblem tells a client why it has no session, and removes cookies
// that will never be one again.
func (h *Handler) sessionProblem(r *http.Request, err error) *web.Problem {
	code, detail, over := web.CodeSessionExpired, "the session is over; log in again", true
	switch {
	case errors.Is(err, session.ErrNone):
		code, detail, over = web.CodeNotAuthenticated, "there is no session; log in", false
	case errors.Is(err, refresh.ErrSuperseded):
		// The browser has a newer cookie: removing it would end a good session.
		detail, over = "this cookie was replaced by a newer one; send the request again", false
	case isLate(err):
		over = false
	case errors.Is(err, session.ErrIdle):
		detail = "the session was idle for too long; log in again"
	case errors.Is(err, session.ErrUnreadable):
		// Also when it came to light at the refresh, wrapped in what may pass: it
		// will never be readable.
	case errors.Is(err, session.ErrCookiesTooLarge):
		code, detail = web.CodeCookiesTooLarge, "the cookies of this service are more or larger than it ever sets"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return web.NewProblem(web.CodeProviderUnavailable, "the request ended before the session was renewed", err).RetryAfter(0)
	case errors.Is(err, refresh.ErrDenyListOutdated):
		return web.NewProblem(web.CodeProviderUnavailable, "it cannot be checked right now whether the session was ended; try again", err).RetryAfter(0)
	default:
		if often, ok := errors.AsType[*refresh.TooOftenError](err); ok {
			return web.NewProblem(web.CodeRateLimited, "the session was renewed too often; use the token that it has", err).RetryAfter(often.RetryAfter)
		}
		if _, passing := errors.AsType[*refresh.UnavailableError](err); passing {
			p := providerProblem(err)
			if p.Code == web.CodeProviderError {
				// Nonsense from the provider may pass, too: the session is kept.
				return web.NewProblem(web.CodeProviderUnavailable, "the identity provider could not renew the session; try again", err).RetryAfter(0)
			}
			return p
		}
	}
	p := web.NewProblem(code, detail, err)
	if over {
		p.Header = make(http.Header)
		w := session.HeaderWriter(p.Header)
		h.remove(w, r, h.cfg.Store.Session())
		if code == web.CodeCookiesTooLarge {
			h.removeLogins(w, r) // or the next request would carry too many of them again
		}
	}
	return p
}
