package tokenhandler

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"cognito-token-handler/tokenhandler/session"
)

// removeCookie removes a cookie of the service from the browser, even if it does
// not open. The request still has it.
func removeCookie(store *session.Store, w http.ResponseWriter, r *http.Request, name string) {
	cookie, _ := store.Get(r, name)
	cookie.Options.MaxAge = -1
	_ = cookie.Save(r, w) // removing a cookie cannot fail
}

// removeLogins removes the cookies of all logins that have not come back from the
// provider.
func removeLogins(store *session.Store, w http.ResponseWriter, r *http.Request) {
	for name := range store.Sizes(r) {
		if store.IsLogin(name) {
			removeCookie(store, w, r, name)
		}
	}
}

// makeRoom removes login cookies until the limits hold with those cookies that w
// already sets: the number of logins, and the budget of bytes of all cookies. Logins
// that do not open go first, then the oldest.
func (h *loginHandler) makeRoom(w http.ResponseWriter, r *http.Request) {
	type pending struct {
		name  string
		begun int64
		size  int
	}
	total := sizeOfCookies(w.Header())
	var alive []pending
	for name, size := range h.cfg.Store.Sizes(r) {
		if h.cfg.Store.IsLogin(name) {
			cookie, _ := h.cfg.Store.Get(r, name)
			if cookie.Options.MaxAge < 0 {
				continue // it was removed already
			}
			l, err := h.openLogin(r, name)
			if err != nil {
				removeCookie(h.cfg.Store, w, r, name)
				continue
			}
			alive = append(alive, pending{name: name, begun: l.Begun, size: size})
		}
		total += size
	}
	slices.SortFunc(alive, func(a, b pending) int { return cmp.Compare(a.begun, b.begun) })
	for len(alive) > 0 && (len(alive) >= maxLogins || total > session.Budget) {
		removeCookie(h.cfg.Store, w, r, alive[0].name)
		total -= alive[0].size
		alive = alive[1:]
	}
}

// sizeOfCookies returns how many bytes the cookies that an answer sets will take in a
// request. Cookies that it removes have no value.
func sizeOfCookies(header http.Header) (size int) {
	for _, line := range header["Set-Cookie"] {
		pair, _, _ := strings.Cut(line, ";")
		if !strings.HasSuffix(pair, "=") {
			size += len(pair) + len("; ")
		}
	}
	return size
}
