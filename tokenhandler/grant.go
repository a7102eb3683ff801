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
	session         *refresh.RequestSession
	permissionCache *permissionCache
}

// Authorize opens the session of a request and refreshes its tokens if they are
// due. It asks the provider whether the user may still use them if that was asked
// longer ago than probe or Config.ProbeInterval (0 means never). The request counts
// as the user's activity.
//
// The error is a [*web.Problem]: not_authenticated without a cookie;
// session_expired with the cookies removed; cookies_too_large; user_changed if the
// request expects another user;
// provider_unavailable or rate_limited if the access token has expired and cannot
// be refreshed now, which keeps the session.
func (h *Handler) Authorize(r *http.Request, probe time.Duration) (Grant, error) {
	current, err := h.open(r, refresh.IfDue)
	if err == nil {
		err = h.prober.check(r.Context(), current, probe)
	}
	if err == nil && current.Ended() { // while the provider was asked
		err = endedMeanwhileError{refresh.ErrRevoked}
	}
	if err != nil {
		return Grant{}, h.sessionProblem(r, current, err)
	}
	current.Touch()
	return Grant{session: current, permissionCache: h.permissions}, nil
}

// open opens the session of a request, see [Handler.openSession], and notes if it has ended.
func (h *Handler) open(r *http.Request, why refresh.Reason) (*refresh.RequestSession, error) {
	current, err := h.openSession(r, why)
	if err != nil && current.Stored != nil {
		h.endings.seen(r, current.Stored, err)
	}
	return current, err
}

// openSession opens the session of a request and refreshes its tokens, unless the request
// expects another user. The result is never nil. After an error it has no Session, except
// after [refresh.ErrRejected] and errors that keep the session.
func (h *Handler) openSession(r *http.Request, why refresh.Reason) (*refresh.RequestSession, error) {
	current, err := h.cfg.Sessions.Open(r)
	if current.Stored != nil {
		web.NoteSession(r, current.Stored)
	}
	if err != nil {
		return current, err
	}
	if !isExpected(r, current.Session.Subject) {
		return current, errUserChanged
	}
	before := current.Session
	err = current.Refresh(r.Context(), why)
	if err == nil && current.Session == before {
		return current, nil
	}
	// The request has waited for the provider. If the session was ended meanwhile, the
	// request must not go on with tokens that were issued after that.
	if ended, reason := h.cfg.Sessions.Open(r); reason != nil {
		if errors.Is(reason, refresh.ErrRevoked) {
			reason = endedMeanwhileError{reason}
		}
		return ended, reason
	}
	return current, err
}

// endedMeanwhileError means that the session was ended while the request was being
// served, by a logout or by a login in another tab. That answer has removed or
// replaced the cookies, so this one must not remove them.
type endedMeanwhileError struct{ error }

// Unwrap returns the reason.
func (e endedMeanwhileError) Unwrap() error { return e.error }

func hasEndedMeanwhile(err error) bool {
	_, ok := errors.AsType[endedMeanwhileError](err)
	return ok
}

// isUnknownKey reports whether the session's cookies are sealed with a key that this
// replica does not have. Another replica may have loaded it already, so the cookies are
// kept. If what another replica has sealed for this one does not open, the session
// itself is known, and err is a [refresh.UnavailableError].
func isUnknownKey(err error) bool {
	_, unavailable := errors.AsType[*refresh.UnavailableError](err)
	return errors.Is(err, session.ErrUnknownKey) && !unavailable
}

// Subject returns the user's sub.
func (g Grant) Subject() string { return g.session.Session.Subject }

// Key returns a key that all requests of the session have, and no other session has.
func (g Grant) Key() [16]byte { return g.session.Session.ID }

// SessionID returns the session's id as logs show it.
func (g Grant) SessionID() string { return g.session.Session.ID.String() }

// AccessToken returns the access token, which is valid for some seconds at least.
func (g Grant) AccessToken() secret.String { return g.session.Session.Access }

// IDToken returns the ID token, or an empty one if the session does not keep it.
func (g Grant) IDToken() secret.String {
	tokens, err := g.session.Session.Tokens()
	if err != nil {
		return secret.String{}
	}
	return tokens.ID
}

// Renew refreshes the tokens after an upstream refused the access token, at most
// every 30 seconds. The error is one of package refresh.
func (g Grant) Renew(ctx context.Context) error {
	if err := g.session.Refresh(ctx, refresh.Refused); err != nil {
		return err
	}
	if g.session.Ended() {
		return refresh.ErrRevoked // by a logout meanwhile
	}
	return nil
}

// Commit adds the session's cookies to the header of the answer. It must be called
// once, right before the header is written.
func (g Grant) Commit(h http.Header) { g.session.Commit(headerWriter(h)) }

// Watch returns a context that ends with ctx or when the session ends, see
// [refresh.RequestSession.Watch]. Any goroutine may call it.
func (g Grant) Watch(ctx context.Context) context.Context { return g.session.Watch(ctx) }

// sessionProblem returns the answer to a request without a usable session. It removes
// cookies that will never open again. If the session is kept, the answer has its newest
// generation: the provider may have replaced the refresh token in an answer that could
// not be verified yet, and the browser's cookie survives a restart of this process.
func (h *Handler) sessionProblem(r *http.Request, current *refresh.RequestSession, err error) *web.Problem {
	p := h.problemOf(r, err)
	if p.Header["Set-Cookie"] == nil && keptProblem(err) != nil {
		if p.Header == nil {
			p.Header = make(http.Header)
		}
		current.Commit(headerWriter(p.Header))
	}
	return p
}

// problemOf does the work of [Handler.sessionProblem], but for the newest generation.
func (h *Handler) problemOf(r *http.Request, err error) *web.Problem {
	code, detail, remove := web.CodeSessionExpired, "the session is over; log in again", true
	switch {
	case errors.Is(err, errUserChanged):
		return userChanged()
	case errors.Is(err, refresh.ErrNone):
		code, detail, remove = web.CodeNotAuthenticated, "there is no session; log in", false
	case errors.Is(err, refresh.ErrSuperseded):
		// The browser has a newer cookie: removing it would end a good session.
		detail, remove = "this cookie was replaced by a newer one; send the request again", false
	case hasEndedMeanwhile(err), errors.Is(err, refresh.ErrReplaced):
		remove = false
	case isUnknownKey(err):
		detail, remove = "the session is sealed with a key that is not known here; send the request again or log in", false
	case errors.Is(err, session.ErrIdle):
		detail = "the session was idle for too long; log in again"
	case errors.Is(err, session.ErrUnreadable):
		// This case stands before UnavailableError, which may wrap it: the cookie will
		// never be readable.
	case errors.Is(err, session.ErrCookiesTooLarge):
		code, detail = web.CodeCookiesTooLarge, "the cookies of this service are more or larger than it ever sets"
	default:
		if p := keptProblem(err); p != nil {
			return p
		}
	}
	p := web.NewProblem(code, detail, err)
	if remove {
		p.Header = make(http.Header)
		w := headerWriter(p.Header)
		removeCookie(h.cfg.Store, w, r, h.cfg.Store.Session)
		if code == web.CodeCookiesTooLarge {
			removeLogins(h.cfg.Store, w, r) // or the next request would carry too many of them again
		}
	}
	return p
}

// keptProblem returns the answer for an error that keeps the session, and nil for others.
func keptProblem(err error) *web.Problem {
	unavailable, isUnavailable := errors.AsType[*refresh.UnavailableError](err)
	often, isTooOften := errors.AsType[*refresh.TooOftenError](err)
	_, isTooLarge := errors.AsType[*session.TooLargeError](err)
	switch {
	case isTooLarge:
		return web.NewProblem(web.CodeSessionTooLarge, "the renewed session does not fit into cookies and may end early; tell the operator", err)
	case errors.Is(err, refresh.ErrDenyListOutdated):
		return web.NewProblem(web.CodeStoreUnavailable, "it cannot be checked right now whether the session was ended; try again", err).RetryAfter(0)
	case errors.Is(err, refresh.ErrNotAllowed):
		return web.NewProblem(web.CodeAuditUnavailable, "the session cannot be renewed while the audit trail cannot be written; try again", err).RetryAfter(retryAfter(err))
	case errors.Is(err, refresh.ErrStoreUnavailable):
		return web.NewProblem(web.CodeStoreUnavailable, "the session cannot be renewed while the session store is out; try again", err).RetryAfter(retryAfter(err))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return web.NewProblem(web.CodeProviderUnavailable, "the request ended before the session was renewed", err).RetryAfter(0)
	case isTooOften:
		return web.NewProblem(web.CodeRateLimited, "the session was renewed too often; use the token that it has", err).RetryAfter(often.RetryAfter).By(web.LimitRefresh)
	case !isUnavailable:
		return nil
	case unavailable.Refused:
		return web.NewProblem(web.CodeSessionExpired, "the identity provider does not renew this session; log in again", err)
	}
	p := providerProblem(err)
	if p.Code == web.CodeProviderError {
		// A later answer may be valid, so the session is kept.
		return web.NewProblem(web.CodeProviderUnavailable, "the identity provider could not renew the session; try again", err).RetryAfter(0)
	}
	return p
}
