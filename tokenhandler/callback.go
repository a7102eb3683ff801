package tokenhandler

import (
	"errors"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/provider"
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
//     none, redirect a user with a session to the app, and retry once for others.
//  5. Compare iss, if there is one, with the provider (RFC 9207 §2.4), also if the
//     callback is an error.
//  6. Show the provider's error, if there is one.
//  7. Redeem the code, if not too many were redeemed for this login, and verify all
//     tokens.
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
		h.fail(w, r, failure{code: "invalid_request", err: errors.Join(errCallback, err)})
		return nil
	}
	l, found := h.loginOf(r, query["state"])
	if !found {
		h.unknownState(w, r, query)
		return nil
	}
	if iss, sent := query["iss"]; sent && iss != h.cfg.Provider.Issuer() {
		h.fail(w, r, failure{code: "invalid_request", returnTo: l.ReturnTo, err: errIssuer})
		return nil
	}
	if code, sent := query["error"]; sent {
		h.fail(w, r, failure{code: loginCode(code), returnTo: l.ReturnTo, err: errors.New("the provider answered " + knownError(code))})
		return nil
	}
	if query["code"] == "" {
		h.fail(w, r, failure{code: "invalid_request", returnTo: l.ReturnTo, err: errCallback})
		return nil
	}
	h.redeem(w, r, l, query["code"])
	return nil
}

var (
	errCallback = errors.New("the callback's parameters are malformed")
	errIssuer   = errors.New("the callback names another issuer")
	errTries    = errors.New("too many codes were redeemed for this login")
	errState    = errors.New("the callback's state is of no login of this browser")
)

// redeem does steps 7 and 8 of [loginHandler.callback].
func (h *loginHandler) redeem(w http.ResponseWriter, r *http.Request, l login, code string) {
	if !h.tried.take(l.State, h.cfg.Now()) {
		h.fail(w, r, failure{code: "login_failed", returnTo: l.ReturnTo, err: errTries})
		return
	}
	maxAge := time.Duration(-1)
	if l.MaxAge != nil {
		maxAge = time.Duration(*l.MaxAge) * time.Second
	}
	tokens, err := h.cfg.Provider.Exchange(r.Context(), provider.CodeGrant{
		Code: code, Verifier: l.Verifier, Nonce: l.Nonce, MaxAge: maxAge, Client: h.cfg.Site.ClientNet(r),
	})
	if err != nil {
		h.fail(w, r, failure{code: exchangeCode(err), returnTo: l.ReturnTo, err: err, retryAfter: retryAfter(err)})
		return
	}
	s := h.cfg.Store.Begin(tokens, h.cfg.Begin(tokens.Subject, tokens.SID))
	cookie, _ := h.cfg.Store.Get(r, h.cfg.Store.Session) // what the browser has is replaced
	cookie.Values[session.Key] = s
	if err := cookie.Save(r, w); err != nil {
		// Nobody will use these tokens.
		h.revoker.revoke(r.Context(), tokens.Refresh)
		h.fail(w, r, failure{code: string(web.CodeSessionTooLarge), returnTo: l.ReturnTo, err: err})
		return
	}
	h.replaceEarlier(r)
	h.makeRoom(w, r)
	h.tellLogins(w, r, s, l.ReturnTo)
	h.cfg.Metrics.Logins.WithLabelValues("ok").Inc()
	h.cfg.Log.InfoContext(r.Context(), "login", "sub", tokens.Subject, "session", s.ID, "request_id", web.RequestID(r),
		"client_ip", h.cfg.Site.ClientAddress(r), "user_agent", web.UserAgent(r))
	h.early.warn(r.Context(), s)
	h.arrive(w, l.ReturnTo)
}

// unknownState answers a callback without a login of this browser: the login took too
// long, its callback was loaded before, or it began in another browser.
func (h *loginHandler) unknownState(w http.ResponseWriter, r *http.Request, query map[string]string) {
	if _, err := h.cfg.Sessions.Open(r); err == nil {
		h.cfg.Metrics.Logins.WithLabelValues("already_logged_in").Inc()
		h.cfg.Site.Redirect(w, http.StatusSeeOther, "/")
		return
	}
	_, failed := query["error"]
	state := query["state"]
	if failed || len(state) < 2 || state[0] != '0' || !isNavigation(r) {
		// This is the second try, or a retry would not help.
		code := "login_failed"
		if failed {
			code = loginCode(query["error"])
		}
		h.fail(w, r, failure{code: code, err: errState})
		return
	}
	if err := h.sendToProvider(w, r, newLogin("/", 1, h.cfg.Now()), provider.PageLogin, nil); err != nil {
		h.fail(w, r, failure{code: string(web.AsProblem(err).Code), err: err, retryAfter: retryAfter(err)})
		return
	}
	h.cfg.Metrics.Logins.WithLabelValues("retried").Inc()
}

// exchangeCode returns the error code for an error of [Provider.Exchange].
func exchangeCode(err error) string {
	if p := providerProblem(err); p.Code != web.CodeProviderError {
		return string(p.Code)
	}
	if errors.Is(err, provider.ErrRejected) {
		return "login_failed"
	}
	return string(web.CodeProviderError)
}

// knownError returns code if it is an error code of the authorization response (RFC
// 6749 §4.1.2.1, OpenID Connect Core 1.0 §3.1.2.6). Anything else may be text of an
// attacker's.
func knownError(code string) string {
	switch code {
	case "access_denied", "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope",
		"server_error", "temporarily_unavailable", "login_required", "interaction_required",
		"consent_required", "account_selection_required":
		return code
	}
	return "an unknown error"
}

// loginCode returns the service's error code for one of the provider's.
func loginCode(code string) string {
	switch code {
	case "access_denied":
		return "access_denied"
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return "login_required" // the answers to prompt=none
	case "temporarily_unavailable":
		return string(web.CodeProviderUnavailable)
	}
	return "login_failed"
}
