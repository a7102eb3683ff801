package tokenhandler

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"slices"
	"time"

	"cognito-token-handler/tokenhandler/session"
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

const (
	// maxMarked is how many logins are remembered in [began.Logins]: more than may be under
	// way, because the callback of one whose cookie was dropped comes, too.
	maxMarked = 6
	markSize  = 3
)

// markOf returns what is remembered of a login with this state. Nobody who does not know the
// state can make a callback that belongs to the mark.
func markOf(state string) []byte {
	sum := sha256.Sum256([]byte("began " + state))
	return sum[:markSize]
}

// mark remembers a login.
func (b *began) mark(state string) {
	b.Logins = append(b.Logins, markOf(state)...)
	b.Logins = b.Logins[max(0, len(b.Logins)-maxMarked*markSize):]
}

// forget is the opposite of mark.
func (b *began) forget(state string) {
	kept := []byte{}
	for mark := range slices.Chunk(b.Logins, markSize) {
		if !bytes.Equal(mark, markOf(state)) {
			kept = append(kept, mark...)
		}
	}
	b.Logins = kept
}

// has reports whether a login with this state began in the browser.
func (b *began) has(state string) bool {
	for mark := range slices.Chunk(b.Logins, markSize) {
		if bytes.Equal(mark, markOf(state)) {
			return true
		}
	}
	return false
}

// isLoggedIn reports whether the browser of a callback with this state has a session: that of
// the request, or one that [began] names, since browsers keep the session's cookies back if
// another site sent the user. Neither counts if the user began this login here: it may be
// one in another tab, or one as another user. Any site can make up a callback, and would otherwise make its
// visitors log in again, which ends the session that they have.
func (h *loginHandler) isLoggedIn(r *http.Request, state string) bool {
	b := h.beganOf(r)
	if b.has(state) {
		return false
	}
	if _, err := h.cfg.Sessions.Open(r); err == nil {
		return true
	}
	if h.cfg.AllowCrossSiteLogin {
		return false
	}
	return slices.ContainsFunc(b.Sessions, func(o ownSession) bool {
		return len(o.ID) == len(session.ID{}) && h.cfg.Sessions.MayLive(session.ID(o.ID), time.Unix(o.Ends, 0))
	})
}

// noteBeginning sets the cookie of [began] for a login that begins with this state.
func (h *loginHandler) noteBeginning(w http.ResponseWriter, r *http.Request, state string, begun *beginning) {
	b := h.beganOf(r)
	b.mark(state)
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
