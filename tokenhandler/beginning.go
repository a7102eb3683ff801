package tokenhandler

import (
	"net/http"
	"time"
)

// beginning is that the user began a login in this browser. It is a part of the cookie
// of [began].
//
// A callback that belongs to no login of the browser begins a new one by itself only
// then. Any site can send its visitors to the callback, and a login that a site starts
// that way would complete without the user, if the provider has a session (ASVS V7.6.2).
type beginning struct {
	// Begun is in Unix milliseconds, 0 if the user began none.
	Begun int64 `json:"b,omitempty"`
	// Tries is the number of logins since then that callbacks began by themselves.
	Tries int `json:"t,omitempty"`
}

// noteBeginning sets the cookie of [began] for a login that begins.
func (h *loginHandler) noteBeginning(w http.ResponseWriter, r *http.Request, begun *beginning) {
	b := h.beganOf(r)
	b.Sessions, _ = h.owned(r)
	if begun != nil {
		b.beginning = *begun
	}
	h.writeBegan(w, r, b)
}

// beginningOf returns when the user began a login in this browser, if that is less than
// an hour ago.
func (h *loginHandler) beginningOf(r *http.Request) (beginning, bool) {
	b := h.beganOf(r)
	age := h.cfg.Now().Sub(time.UnixMilli(b.Begun))
	return b.beginning, age >= -time.Minute && age < beganLifetime
}

// mayBeginAnew reports whether a callback with this state, which is of no login of the
// browser, may begin one by itself, and what to note then. It may once in a row.
func (h *loginHandler) mayBeginAnew(r *http.Request, state string) (next beginning, may bool) {
	b, began := h.beginningOf(r)
	if !began {
		b = beginning{Begun: h.cfg.Now().UnixMilli()}
	}
	// The state has the number of tries, too, for browsers that keep no cookies.
	first := isNavigation(r) && (state == "" || state[0] == '0')
	allowed := began && b.Tries == 0 || h.cfg.AllowCrossSiteLogin
	return beginning{Begun: b.Begun, Tries: b.Tries + 1}, first && allowed
}
