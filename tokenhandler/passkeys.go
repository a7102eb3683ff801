package tokenhandler

import (
	"net/http"

	"cognito-token-handler/tokenhandler/web"
)

// PasskeysDone is the path, behind Config.Path, to which the provider redirects the browser
// when the user has added a passkey. It is a callback URL to be registered.
const PasskeysDone = "/passkeys/done"

// passkeyHandler sends signed-in users to the provider's page where they add a passkey.
type passkeyHandler struct {
	cfg  *Config
	back wayBack
}

// add answers GET /auth/passkeys/add, which redirects to the provider's page:
//
//  1. Answer 204 to a prefetch, and 400 to all but navigations.
//  2. Redirect a navigation that another site has started to the app: a site must not
//     lead its visitors to a page that asks them to prove who they are.
//  3. Remember return_to in a cookie. The provider's page brings nothing back, and does
//     not end in a login: what it adds to its redirect is ignored.
//
// The provider's page asks a user to sign in whose session there is over. It knows nothing
// of the session here, which stays as it is.
func (h *passkeyHandler) add(w http.ResponseWriter, r *http.Request) error {
	if isPrefetch(r) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if !isNavigation(r) {
		return web.NewProblem(web.CodeInvalidRequest, "this is a page: navigate to this URL instead of fetching it", nil)
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" && !h.cfg.AllowCrossSiteLogin {
		h.cfg.Site.Redirect(w, http.StatusSeeOther, "/")
		return nil
	}
	query, err := singleValues(r.URL.RawQuery)
	if err != nil {
		return web.NewProblem(web.CodeInvalidRequest, err.Error(), err)
	}
	target, err := h.cfg.PasskeyURL(h.cfg.Site.PublicOrigin() + h.cfg.Path + PasskeysDone)
	if err != nil {
		return providerProblem(err)
	}
	h.back.set(w, r, h.cfg.Site.ReturnTo(query["return_to"], h.cfg.Path), len(target))
	h.cfg.Site.Redirect(w, http.StatusFound, target)
	return nil
}
