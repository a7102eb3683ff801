package tokenhandler

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/sessions"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// LogoutDone is the path, behind Config.Path, to which the provider redirects the browser
// after a logout with a page to return to. It is a sign-out URL to be registered.
const LogoutDone = "/logout/done"

// logoutURL returns the provider's logout page, or where that would redirect to if there
// is none: [LogoutDone] if returns, else the page of the configuration. It has no state
// parameter: the user is logged out already, so a forged return can do nothing.
func (h *logoutHandler) logoutURL(returns bool, hint secret.String) string {
	back := h.cfg.Site.PublicOrigin() + h.cfg.AfterLogout
	if returns {
		back = h.cfg.Site.PublicOrigin() + h.cfg.Path + LogoutDone
	}
	if target := h.cfg.Provider.LogoutURL(back, hint); target != "" {
		return target
	}
	return back
}

// hintOf returns the ID token of a session, also of one that has ended here, because
// the provider's session may go on. It is empty if there is none.
func hintOf(current *refresh.RequestSession) secret.String {
	s := current.Session
	if s == nil {
		s = current.Stored
	}
	if s == nil {
		return secret.String{}
	}
	tokens, err := s.Tokens()
	if err != nil {
		return secret.String{}
	}
	return tokens.ID
}

const (
	// endingLifetime is how long a browser may take from its logout to the provider's
	// logout page.
	endingLifetime = time.Minute
	// endingName is the name under which an ending is sealed. It is no cookie's.
	endingName = "logout"
	// endingParameter holds a sealed ending in the URL.
	endingParameter = "to"
)

// ending is the way from a logout to the provider's logout page. It is sealed in the
// URL of a page of the service, because the provider's URL contains the ID token, which
// no script may read (OpenID Connect RP-Initiated Logout 1.0 §2).
type ending struct {
	// ID is the content of a cookie, to which the URL is bound. So the URL is worth
	// nothing in another browser, and after its use.
	ID string `json:"i"`
	// Until is when the URL expires, in Unix seconds.
	Until int64 `json:"u"`
	// Hint is the ID token.
	Hint string `json:"h"`
	// Returns tells that the browser goes to [LogoutDone] after that page.
	Returns bool `json:"r,omitempty"`
}

// endingCookieSize is the size of an ending's cookie in the head of an answer, at most.
const endingCookieSize = 400

// next returns where the browser goes after its logout, at last to returnTo unless that
// is empty. It sets the cookie of an [ending] if the provider takes a hint and there is one.
func (h *logoutHandler) next(w http.ResponseWriter, r *http.Request, returnTo string, hint secret.String) string {
	returns := returnTo != "" && h.back.set(w, r, returnTo, endingCookieSize)
	plain := h.logoutURL(returns, secret.String{})
	if target := h.logoutURL(returns, hint); target == plain || len(target) > maxHead {
		return plain
	}
	e := ending{ID: random(), Until: h.cfg.Now().Add(endingLifetime).Unix(), Hint: hint.Reveal(), Returns: returns}
	payload, err := json.Marshal(e)
	if err != nil {
		return plain
	}
	sealed, err := h.cfg.Store.Sealer().Encode(endingName, payload)
	if err != nil {
		return plain
	}
	cookie := h.endingCookie(r, e)
	cookie.Values[session.Key] = []byte(e.ID)
	cookie.Options.MaxAge = int(endingLifetime / time.Second)
	if cookie.Save(r, w) != nil {
		return plain
	}
	return h.cfg.Site.PublicOrigin() + h.cfg.Path + "/logout/continue?" + url.Values{endingParameter: {sealed}}.Encode()
}

// endingCookie returns the cookie of an ending. It is kept like that of a login: for a
// short time, with SameSite=Lax, and one for each tab. Its name is longer, so that no
// login takes it for its own.
func (h *logoutHandler) endingCookie(r *http.Request, e ending) *sessions.Session {
	cookie, _ := h.cfg.Store.Get(r, h.cfg.Store.Login+"end"+loginID(e.ID))
	return cookie
}

// proceed answers GET /auth/logout/continue, which redirects to the provider's logout
// page. Only a navigation gets a hint, because no script can read the Location that a
// browser follows by itself. A URL that has expired, was used, or is another browser's
// leads there without a hint. One that this service did not make leads to the app: no
// link may log anybody out.
func (h *logoutHandler) proceed(w http.ResponseWriter, r *http.Request) error {
	if isPrefetch(r) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if !isNavigation(r) {
		return web.NewProblem(web.CodeInvalidRequest, "this is a page: navigate to this URL instead of fetching it", nil)
	}
	e, ours := h.endingOf(r)
	if !ours {
		h.cfg.Site.Redirect(w, http.StatusSeeOther, h.cfg.AfterLogout)
		return nil
	}
	target := h.logoutURL(e.Returns, secret.String{})
	if h.use(w, r, e) && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		// A proxy would answer 502 if the head were larger. The hint is only recommended.
		if hinted := h.logoutURL(e.Returns, secret.New(e.Hint)); headBytes(w.Header())+len(hinted) <= maxHead {
			target = hinted
		}
	}
	h.cfg.Site.Redirect(w, http.StatusSeeOther, target)
	return nil
}

// endingOf returns the ending that a URL contains, if this service made it.
func (h *logoutHandler) endingOf(r *http.Request) (e ending, ours bool) {
	var payload []byte
	err := h.cfg.Store.Sealer().Decode(endingName, r.URL.Query().Get(endingParameter), &payload)
	ours = err == nil && json.Unmarshal(payload, &e) == nil
	return e, ours
}

// use reports whether e may be used in this browser now, and removes its cookie.
func (h *logoutHandler) use(w http.ResponseWriter, r *http.Request, e ending) bool {
	cookie := h.endingCookie(r, e)
	id, _ := cookie.Values[session.Key].([]byte)
	if !secret.New(string(id)).Equal(secret.New(e.ID)) {
		return false
	}
	removeCookie(h.cfg.Store, w, r, cookie.Name())
	return h.cfg.Now().Unix() < e.Until
}
