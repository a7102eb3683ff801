package tokenhandler

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/web"
)

// The largest lengths of a callback's parameters.
const (
	maxCode  = 4096
	maxState = 128
)

// callback ends a login:
//
//  1. Answer 204 to a prefetch, because a state works once.
//  2. Remove the cookie of the login that the state names, whatever follows.
//  3. Check the parameters: none repeated, lengths.
//  4. Find the login among those of the browser, and compare the state. If there is
//     none, redirect a user with a session to the app, unless the state is of a login that
//     began here. Otherwise begin a new login if this browser began one lately.
//  5. Compare iss with the provider (RFC 9207 §2.4), also if the callback is an error.
//  6. Show the provider's error, if there is one.
//  7. Redeem the code, if not too many were redeemed for this login, and verify all
//     tokens. If the provider refuses the code, begin the login once more. Go no further
//     if the user's sessions were revoked meanwhile, or the browser has left.
//  8. Write the session's cookies, end the earlier sessions of this browser (ASVS
//     V7.2.4) and redirect to where the login began.
func (h *loginHandler) callback(w http.ResponseWriter, r *http.Request) error {
	if isPrefetch(r) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	h.removeNamedLogin(w, r, r.URL.Query()["state"])
	query, err := singleValues(r.URL.RawQuery)
	if err != nil || len(query["code"]) > maxCode || len(query["state"]) > maxState {
		h.failMadeUp(w, r, failure{code: "invalid_request", err: errors.Join(errCallback, err)})
		return nil
	}
	l, found := h.loginOf(r, query["state"])
	if !found {
		return h.unknownState(w, r, query)
	}
	iss, sent := query["iss"]
	if !h.cfg.Provider.AcceptsIssuer(iss, sent) {
		h.failMadeUp(w, r, failure{code: "invalid_request", login: l, err: errIssuer})
		return nil
	}
	if code, sent := query["error"]; sent {
		return h.refused(w, r, l, code, query["error_description"])
	}
	if query["code"] == "" {
		h.fail(w, r, failure{code: "invalid_request", login: l, err: errCallback})
		return nil
	}
	return h.redeem(w, r, l, query["code"])
}

var (
	errCallback = errors.New("the callback's parameters are malformed")
	errIssuer   = errors.New("the callback names another issuer")
	errTries    = errors.New("too many codes were redeemed for this login")
	errState    = errors.New("the callback's state is of no login of this browser")
	errRevoked  = errors.New("the user's sessions were revoked while the code was redeemed")
	errLeft     = errors.New("the browser left while the code was redeemed")
)

// redeem does steps 7 and 8 of [loginHandler.callback].
func (h *loginHandler) redeem(w http.ResponseWriter, r *http.Request, l login, code string) error {
	if !h.tried.take(l.State, h.cfg.Limits.LoginCookie, h.cfg.Now()) {
		h.failMadeUp(w, r, failure{code: "login_failed", outcome: outcomeRefused, login: l, err: errTries})
		return nil
	}
	if err := h.cfg.Audit.Check(r.Context()); err != nil { // before the code is used up
		h.fail(w, r, failure{code: string(web.CodeAuditUnavailable), login: l, err: err})
		return nil //nolint:nilerr // fail has answered
	}
	maxAge := time.Duration(-1)
	if l.MaxAge != nil {
		maxAge = time.Duration(*l.MaxAge) * time.Second
	}
	revoked := h.cfg.RevokedSince()
	tokens, err := h.cfg.Provider.Exchange(r.Context(), provider.CodeGrant{
		Code: code, Verifier: l.Verifier, Nonce: l.Nonce, MaxAge: maxAge, Client: h.cfg.Site.ClientNet(r),
	})
	if errors.Is(err, provider.ErrRejected) && canTryAgain(r, l) {
		// Probably the callback was loaded before: the user stopped the page and loaded
		// it again while the provider was slow.
		return h.tryAgain(w, r, l, err)
	}
	if err != nil {
		h.fail(w, r, failure{code: exchangeCode(err), outcome: exchangeOutcome(err), login: l, err: err, retryAfter: retryAfter(err)})
		return nil
	}
	s := h.cfg.Store.Begin(tokens, h.cfg.Begin(tokens.Subject, tokens.SID))
	switch {
	case revoked(tokens.Subject, tokens.SID): // an entry that comes later ends s
		h.giveUp(w, r, tokens, failure{code: codeLoginFailed, login: l, err: errRevoked})
		return nil
	case isGone(r): // it keeps the session that it has
		h.giveUp(w, r, tokens, failure{code: codeLoginFailed, outcome: outcomeAbandoned, login: l, err: errLeft})
		return nil
	}
	return h.finish(w, r, l, s, tokens)
}

// isGone reports whether the browser has closed the connection.
func isGone(r *http.Request) bool { return r.Context().Err() != nil }

// giveUp ends a login whose tokens nobody will use.
func (h *loginHandler) giveUp(w http.ResponseWriter, r *http.Request, tokens secret.Tokens, f failure) {
	h.revoker.revoke(r.Context(), tokens.Refresh)
	h.fail(w, r, f)
}

// finish does step 8 of [loginHandler.callback].
func (h *loginHandler) finish(w http.ResponseWriter, r *http.Request, l login, s *session.Session, tokens secret.Tokens) error {
	if h.cfg.Store.Fits(s) == nil { // else it cannot be saved
		if err := h.cfg.Audit.Record(r.Context(), h.loginEvent(r, s, l, tokens)); err != nil {
			h.giveUp(w, r, tokens, failure{code: string(web.CodeAuditUnavailable), login: l, err: err})
			return nil //nolint:nilerr // giveUp has answered
		}
	}
	cookie, _ := h.cfg.Store.Get(r, h.cfg.Store.Session) // what the browser has is replaced
	cookie.Values[session.Key] = s
	if err := cookie.Save(r, w); err != nil {
		h.giveUp(w, r, tokens, failure{code: string(web.CodeSessionTooLarge), login: l, err: err})
		return nil //nolint:nilerr // giveUp has answered
	}
	h.replaceEarlier(r)
	h.makeRoom(w, r)
	h.tellLogins(w, r, s, l)
	h.cfg.Metrics.Logins.WithLabelValues("ok").Inc()
	web.NoteSession(r, s)
	h.cfg.Log.InfoContext(r.Context(), "login", append(h.cfg.Site.CallerOf(r).Attrs(), "sub", tokens.Subject, "session", s.ID)...)
	h.early.warn(r.Context(), s)
	h.redirect(w, http.StatusSeeOther, l.ReturnTo, "Signed in")
	return nil
}

// canTryAgain reports whether a login may begin again by itself: once, and only if the
// user navigates.
func canTryAgain(r *http.Request, l login) bool { return l.Tries == 0 && isNavigation(r) }

// tryAgain sends the browser to the provider once more, with the same parameters.
func (h *loginHandler) tryAgain(w http.ResponseWriter, r *http.Request, l login, cause error) error {
	h.cfg.Log.InfoContext(r.Context(), "login tried again", "error", cause.Error(), "request_id", web.RequestID(r))
	return h.begin(w, r, l.again(h.cfg.Now()), nil)
}

// begin begins a login that the user has not asked for now.
func (h *loginHandler) begin(w http.ResponseWriter, r *http.Request, l login, began *beginning) error {
	if err := h.cfg.Limits.Login.TakeClient(r); err != nil {
		h.limited(w, r, l, err)
		return nil
	}
	if err := h.sendToProvider(w, r, l, provider.PageLogin, began); err != nil {
		h.fail(w, r, failure{code: string(web.AsProblem(err).Code), login: l, err: err, retryAfter: retryAfter(err)})
		return nil
	}
	h.cfg.Metrics.Logins.WithLabelValues("retried").Inc()
	return nil
}

// Outcomes of failed logins in the metric that users are not told apart: they see the same
// code login_failed or provider_error.
const (
	// outcomeUnknownState is for callbacks of no login of their browser. Most of them are
	// not a user's.
	outcomeUnknownState = "unknown_state"
	// outcomeStateLost is for those of a browser that began a login within the hour.
	outcomeStateLost = "state_lost"
	// outcomeRefused is for what the provider refused: the login, or its code.
	outcomeRefused = "refused"
	// outcomeUnverified is for answers of the provider that could not be verified.
	outcomeUnverified = "unverified"
	// outcomeAbandoned is for callbacks whose browser left before the answer.
	outcomeAbandoned = "abandoned"
)

// unknownState answers a callback without a login of this browser: the login took too
// long, its callback was loaded before, it began in another browser, or it began at the
// portal of an identity provider, so that there is no state. It begins a new one if this
// browser began a login lately.
func (h *loginHandler) unknownState(w http.ResponseWriter, r *http.Request, query map[string]string) error {
	if h.isLoggedIn(r, query["state"]) {
		h.cfg.Metrics.Logins.WithLabelValues("already_logged_in").Inc()
		h.cfg.Site.Redirect(w, http.StatusSeeOther, "/")
		return nil
	}
	outcome := outcomeUnknownState
	if _, began := h.beginningOf(r); began { // this is a user
		outcome = outcomeStateLost
	}
	if code, failed := query["error"]; failed {
		h.failMadeUp(w, r, failure{code: loginCode(code), outcome: outcome, err: fmt.Errorf("%w; the provider answered %s", errState, knownError(code))})
		return nil
	}
	next, may := h.mayBeginAnew(r, query["state"])
	if !may {
		h.failMadeUp(w, r, failure{code: "login_failed", outcome: outcome, err: errState})
		return nil
	}
	return h.begin(w, r, newLogin("/", 1, h.cfg.Now()), &next)
}
