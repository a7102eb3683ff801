package tokenhandler

import (
	"cmp"
	"errors"
	"net/http"

	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/web"
)

// maxLogoutBody is the largest body of a back-channel logout in bytes. A logout token
// has some hundred bytes and a signature of at most 512.
const maxLogoutBody = 16 << 10

var errLogoutForm = errors.New("the body is no form with one logout_token")

// backchannel ends the sessions that a logout token names (OpenID Connect
// Back-Channel Logout 1.0 §2.5 to §2.8). The provider's server sends the request, so
// cookies and origin decide nothing, but only the token's signature.
//
//  1. Read the body: bounded, a form, every parameter once.
//  2. Verify the token. All faults get the same 400; the log names the claim.
//  3. Put the sessions of its sid, or else of its sub, on the deny list.
//
// The status 200 means that they have ended in this process at least. Sessions that
// begin later are not meant: their users have logged in again.
func (h *logoutHandler) backchannel(w http.ResponseWriter, r *http.Request) error {
	outcome, err := h.endByProvider(w, r)
	h.cfg.Metrics.ProviderLogouts.WithLabelValues(outcome).Inc()
	if err != nil {
		h.cfg.Log.WarnContext(r.Context(), "logout by the provider not done", "outcome", outcome, "error", err.Error(), "request_id", web.RequestID(r))
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// endByProvider does the work of [logoutHandler.backchannel]. It returns the outcome
// for the metrics, and the error for the answer.
func (h *logoutHandler) endByProvider(w http.ResponseWriter, r *http.Request) (outcome string, err error) {
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
	h.cfg.Audit.Note(r.Context(), audit.Event{Name: audit.Revoked, By: "provider", Target: targetOf(entry), Subject: token.Subject, Caller: h.cfg.Site.CallerOf(r)})
	if err := h.cfg.Revoke(r.Context(), entry); err != nil {
		return "failed", err
	}
	h.cfg.Log.InfoContext(r.Context(), "logout by the provider", "sub", cmp.Or(token.Subject, "not told"), "by", string(entry.Kind), "request_id", web.RequestID(r), "client_ip", h.cfg.Site.ClientAddress(r))
	return "ok", nil
}

// targetOf names what an entry of the deny list ends, for the audit trail.
func targetOf(entry replicas.Revocation) string {
	if entry.Kind == replicas.KindSubject {
		return "sub:" + entry.Name
	}
	return "sid:" + entry.Name
}

// logoutToken returns the token of the form. The error is a [*web.Problem].
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
	// The error of net/url is not wrapped: it quotes the form, which has a token.
	return web.NewProblem(web.CodeInvalidRequest, "the body must be a form with one logout_token", errLogoutForm)
}
