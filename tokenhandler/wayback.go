package tokenhandler

import (
	"encoding/json"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/web"
)

// wayBack is how a browser finds back to a page of the app from a page of the provider that
// brings nothing back, such as Cognito's logout. The provider redirects to a page of the
// service, and that to the path in this cookie, which is sealed. There is one for each
// page of the provider, so that a second tab replaces what the first one asked for.
type wayBack struct {
	cfg *Config
	// name is the end of the cookie's name.
	name string
	// otherwise is where a browser without the cookie goes.
	otherwise string
}

// wayBackLifetime is how long the user may stay at the provider's page.
const wayBackLifetime = 15 * time.Minute

// wayBackContent is what the cookie holds.
type wayBackContent struct {
	// ReturnTo comes from [web.Site.ReturnTo].
	ReturnTo string `json:"r"`
	// Until is when the cookie expires, in Unix seconds.
	Until int64 `json:"u"`
}

// cookieName returns the name of the cookie. It begins like that of a login, so that it
// is removed with them.
func (b wayBack) cookieName() string { return b.cfg.Store.Login + b.name }

// set sets the cookie. It reports whether the browser will find back to returnTo: the head
// of the answer must not become larger than proxies accept. other is the size of what is
// still to come in the head. Without the cookie, an older one is removed: the user does not
// want to go there any more.
func (b wayBack) set(w http.ResponseWriter, r *http.Request, returnTo string, other int) bool {
	payload, err := json.Marshal(wayBackContent{ReturnTo: returnTo, Until: b.cfg.Now().Add(wayBackLifetime).Unix()})
	if err != nil {
		return false
	}
	header := make(http.Header)
	cookie, _ := b.cfg.Store.Get(r, b.cookieName()) // what the browser has is replaced
	cookie.Values[session.Key] = payload
	cookie.Options.MaxAge = int(wayBackLifetime / time.Second)
	if cookie.Save(r, headerWriter(header)) != nil || headBytes(w.Header())+headBytes(header)+other > maxHead {
		if carriedCookies(b.cfg.Store, r)[b.cookieName()] > 0 {
			removeCookie(b.cfg.Store, w, r, b.cookieName())
		}
		return false
	}
	w.Header()["Set-Cookie"] = append(w.Header()["Set-Cookie"], header["Set-Cookie"]...)
	return true
}

// proceed answers the provider's redirect: it goes on to where the browser came from, and
// removes the cookie. Any site may send its visitors here. They end at a page of the app,
// too, which is what a link there would do.
func (b wayBack) proceed(w http.ResponseWriter, r *http.Request) error {
	if isPrefetch(r) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if !isNavigation(r) {
		return web.NewProblem(web.CodeInvalidRequest, "this is a page: navigate to this URL instead of fetching it", nil)
	}
	cookie, err := b.cfg.Store.Get(r, b.cookieName())
	payload, there := cookie.Values[session.Key].([]byte)
	var content wayBackContent
	if err != nil || !there || json.Unmarshal(payload, &content) != nil || b.cfg.Now().Unix() >= content.Until {
		content.ReturnTo = b.otherwise
	}
	if carriedCookies(b.cfg.Store, r)[b.cookieName()] > 0 {
		removeCookie(b.cfg.Store, w, r, b.cookieName())
	}
	b.cfg.Site.Redirect(w, http.StatusSeeOther, content.ReturnTo)
	return nil
}
