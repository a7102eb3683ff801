package tokenhandler

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// Bounds of what a callback may carry.
const (
	maxCode  = 4096
	maxState = 128
)

// callback ends a login:
//
//  1. A prefetch gets 204: the browser only guesses, and a state works once.
//  2. The cookie of the login that the state names is dropped, whatever follows.
//  3. Parameters: each once, bounded.
//  4. The state is looked up among the browser's own logins and compared.
//     Unknown: with a live session home, else one automatic new try.
//  5. iss, if present, must be the provider (RFC 9207 §2.4), errors included.
//  6. The provider's error, if it sent one.
//  7. The code is redeemed and every token verified.
//  8. The session's cookies are written, an earlier session of this browser is
//     ended (ASVS V7.2.4), and 303 to where the login began.
func (h *Handler) callback(w http.ResponseWriter, r *http.Request) error {
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
	errIssuer   = errors.New("the callback comes from another issuer")
	errState    = errors.New("the callback's state is not one of this browser")
)

// redeem does steps 7 and 8.
func (h *Handler) redeem(w http.ResponseWriter, r *http.Request, l login, code string) {
	maxAge := time.Duration(-1)
	if l.MaxAge != nil {
		maxAge = time.Duration(*l.MaxAge) * time.Second
	}
	tokens, err := h.cfg.Provider.Exchange(r.Context(), provider.CodeGrant{Code: code, Verifier: l.Verifier, Nonce: l.Nonce, MaxAge: maxAge})
	if err != nil {
		h.fail(w, r, failure{code: exchangeCode(err), returnTo: l.ReturnTo, err: err, retryAfter: retryAfter(err)})
		return
	}
	s := h.cfg.Store.Begin(tokens)
	cookie, _ := h.cfg.Store.Get(r, h.cfg.Store.Session()) // what the browser has is replaced
	cookie.Values[session.Key], cookie.Values[session.ActivityKey] = s, s.Activity()
	if err := cookie.Save(r, w); err != nil {
		// Nobody will ever use these tokens.
		h.revoke(r.Context(), tokens.Refresh)
		h.fail(w, r, failure{code: string(web.CodeSessionTooLarge), returnTo: l.ReturnTo, err: err})
		return
	}
	h.makeRoom(w, r)
	h.endEarlier(r, l)
	h.metrics.Logins.WithLabelValues("ok").Inc()
	h.cfg.Log.InfoContext(r.Context(), "login", "sub", tokens.Subject, "session", s.ID, "request_id", web.RequestID(r))
	h.arrive(w, l.ReturnTo)
}

// endEarlier ends the session that this browser had (ASVS V7.2.4): the one that
// it shows, or the one that it showed when the login began. Of the latter only
// the name is known, so its refresh token cannot be revoked; nobody can use it
// here any more.
func (h *Handler) endEarlier(r *http.Request, l login) {
	visit, _ := h.cfg.Sessions.Open(r)
	if s := cmp.Or(visit.Session, visit.Stored); s != nil {
		visit.End()
		h.revokeSession(r.Context(), s)
	}
	if l.Earlier == nil {
		return
	}
	entry := replicas.Revocation{Kind: replicas.KindSession, Name: l.Earlier.Session, Until: time.Unix(l.Earlier.Ends, 0)}
	if err := h.cfg.Revoke(r.Context(), entry); err != nil {
		h.cfg.Log.WarnContext(r.Context(), "earlier session not ended", "error", err.Error(), "request_id", web.RequestID(r))
	}
}

// unknownState answers a callback whose login is not known here: the cookie
// ran out, or was used, or another browser's link was opened.
func (h *Handler) unknownState(w http.ResponseWriter, r *http.Request, query map[string]string) {
	if _, err := h.cfg.Sessions.Open(r); err == nil {
		h.metrics.Logins.WithLabelValues("already_logged_in").Inc()
		h.cfg.Site.Redirect(w, http.StatusSeeOther, "/")
		return
	}
	_, failed := query["error"]
	state := query["state"]
	if failed || len(state) < 2 || state[0] != '0' || !isNavigation(r) {
		// Not a first try, or nothing that a new try could mend.
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
	h.metrics.Logins.WithLabelValues("retried").Inc()
}

func (h *Handler) revokeSession(ctx context.Context, s *session.Session) {
	tokens, err := s.Tokens()
	if err != nil {
		h.metrics.Revocations.WithLabelValues("failed").Inc()
		h.cfg.Log.WarnContext(ctx, "refresh token not revoked", "error", err.Error())
		return
	}
	h.revoke(ctx, tokens.Refresh)
}

// revoke revokes a refresh token. A failure is counted and logged: a logout
// succeeds without it.
func (h *Handler) revoke(ctx context.Context, refresh secret.String) {
	if refresh.IsZero() {
		return
	}
	if err := h.cfg.Provider.Revoke(ctx, refresh); err != nil {
		h.metrics.Revocations.WithLabelValues("failed").Inc()
		h.cfg.Log.WarnContext(ctx, "refresh token not revoked", "error", err.Error())
		return
	}
	h.metrics.Revocations.WithLabelValues("ok").Inc()
}

// exchangeCode names why a code was not redeemed.
func exchangeCode(err error) string {
	if p := providerProblem(err); p.Code != web.CodeProviderError {
		return string(p.Code)
	}
	if errors.Is(err, provider.ErrRejected) {
		return "login_failed"
	}
	return string(web.CodeProviderError)
}

// knownError names an error code of the authorization response (RFC 6749
// §4.1.2.1, OIDC Core §3.1.2.6); anything else may be a text of anybody's.
func knownError(code string) string {
	switch code {
	case "access_denied", "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope",
		"server_error", "temporarily_unavailable", "login_required", "interaction_required",
		"consent_required", "account_selection_required":
		return code
	}
	return "an unknown error"
}

// loginCode is the error code of ours for one of the provider's.
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

// retryAfter is when a new try makes sense, or 0.
func retryAfter(err error) time.Duration {
	if unavailable, ok := errors.AsType[*refresh.UnavailableError](err); ok {
		return unavailable.RetryAfter
	}
	return provider.RetryAfter(err)
}

// providerProblem makes the problem of a provider's error.
func providerProblem(err error) *web.Problem {
	retry := retryAfter(err)
	if errors.Is(err, provider.ErrRateLimited) {
		return web.NewProblem(web.CodeRateLimited, "the identity provider asks to slow down", err).RetryAfter(retry)
	}
	if errors.Is(err, provider.ErrUnavailable) {
		return web.NewProblem(web.CodeProviderUnavailable, "the identity provider cannot be reached; try again", err).RetryAfter(retry)
	}
	return web.NewProblem(web.CodeProviderError, "the identity provider's answer cannot be used", err)
}
