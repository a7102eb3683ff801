package tokenhandler

import (
	"cmp"
	"errors"
	"net/http"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/web"
)

// maxLogoutBody bounds the body of a back-channel logout: a logout token has
// some hundred bytes, and a signature of 512 at most.
const maxLogoutBody = 16 << 10

var errLogoutForm = errors.New("not a form with one logout_token")

// backchannelLogout ends the sessions that a logout token names (OIDC
// Back-Channel Logout §2.5 to §2.8). The provider's server sends it, so neither
// cookies nor origins are looked at: the token's signature is all that counts.
//
//  1. The body is bounded, a form, and every parameter stands there once.
//  2. The token is verified; anything wrong with it is one and the same 400.
//  3. The sessions of its sid, else those of its sub, go on the deny list.
//
// 200 says that they are over, here at least. A session that begins later is
// not meant: its user has logged in again.
func (h *Handler) backchannelLogout(w http.ResponseWriter, r *http.Request) error {
	outcome, err := h.endByProvider(w, r)
	h.metrics.ProviderLogouts.WithLabelValues(outcome).Inc()
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// endByProvider is [Handler.backchannelLogout] without its answer: what metrics
// call the outcome, and the error to answer with.
func (h *Handler) endByProvider(w http.ResponseWriter, r *http.Request) (outcome string, err error) {
	raw, err := logoutToken(w, r)
	if err != nil {
		return "refused", err
	}
	token, err := h.cfg.VerifyLogout(r.Context(), raw)
	if err != nil {
		if errors.Is(err, provider.ErrUnavailable) {
			return "unavailable", web.NewProblem(web.CodeProviderUnavailable, "the logout token cannot be verified now; send it again", err).RetryAfter(retryAfter(err))
		}
		return "refused", web.NewProblem(web.CodeInvalidRequest, "the logout token is not valid", err)
	}
	now := h.cfg.Now()
	entry := replicas.Revocation{Kind: replicas.KindProviderSession, Name: token.SID, Before: now, Until: now.Add(h.cfg.SessionLifetime)}
	if token.SID == "" {
		entry.Kind, entry.Name = replicas.KindSubject, token.Subject
	}
	if err := h.cfg.Revoke(r.Context(), entry); err != nil {
		return "failed", err
	}
	h.cfg.Log.InfoContext(r.Context(), "logout by the provider", "sub", cmp.Or(token.Subject, "not told"), "by", string(entry.Kind), "request_id", web.RequestID(r))
	return "ok", nil
}

// logoutToken takes the token out of the form. The error is a [*web.Problem].
func logoutToken(w http.ResponseWriter, r *http.Request) (string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutBody)
	if err := r.ParseForm(); err != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return "", web.AsProblem(tooLarge)
		}
		return "", badLogoutForm()
	}
	for _, values := range r.PostForm {
		if len(values) != 1 {
			return "", badLogoutForm()
		}
	}
	token := r.PostForm.Get("logout_token")
	if token == "" {
		return "", badLogoutForm()
	}
	return token, nil
}

func badLogoutForm() error {
	// What net/url says of a form quotes it, and it holds a token.
	return web.NewProblem(web.CodeInvalidRequest, "the body must be a form with one logout_token", errLogoutForm)
}
