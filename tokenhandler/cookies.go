package tokenhandler

import (
	"cmp"
	"errors"
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

// removeLogins removes the cookies of everything that has not come back from the
// provider, logins above all, and what is known of them, but not those that are named in
// keep.
func removeLogins(store *session.Store, w http.ResponseWriter, r *http.Request, keep ...string) {
	for name := range carriedCookies(store, r) {
		if (isShortLived(store, name) || name == store.Began) && !slices.Contains(keep, name) {
			removeCookie(store, w, r, name)
		}
	}
}

// hasLogins reports whether the browser has logins that have not come back from the
// provider, beside those that were removed.
func (h *loginHandler) hasLogins(r *http.Request) bool {
	for name := range carriedCookies(h.cfg.Store, r) {
		if cookie, err := h.cfg.Store.Get(r, name); holdsLogin(h.cfg.Store, name) && err == nil && cookie.Options.MaxAge >= 0 {
			return true
		}
	}
	return false
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
	for name, size := range carriedCookies(h.cfg.Store, r) {
		if isShortLived(h.cfg.Store, name) {
			cookie, err := h.cfg.Store.Get(r, name)
			if cookie.Options.MaxAge < 0 {
				continue // it was removed already
			}
			var l login
			if holdsLogin(h.cfg.Store, name) {
				l, err = h.openLogin(r, name)
			}
			if err != nil && !errors.Is(err, session.ErrUnknownKey) { // another replica may have that key
				removeCookie(h.cfg.Store, w, r, name)
				continue
			}
			if holdsLogin(h.cfg.Store, name) {
				alive = append(alive, pending{name: name, begun: l.Begun, size: size})
			}
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

// maxCarried is the largest number of a request's cookies that are looked at when
// logins are removed. The service never sets so many.
const maxCarried = 24

// carriedCookies returns the cookies of this service in a request, by name, with the
// bytes that each takes there.
func carriedCookies(store *session.Store, r *http.Request) map[string]int {
	return store.Carried(r.Header, maxCarried)
}

// isShortLived reports whether a cookie is of something that has to come back from the
// provider: a login, or a [wayBack] or an [ending], whose names begin like a login's.
func isShortLived(store *session.Store, name string) bool {
	return strings.HasPrefix(name, store.Login)
}

// holdsLogin reports whether a cookie is a login's. The others have longer or shorter names.
func holdsLogin(store *session.Store, name string) bool {
	return isShortLived(store, name) && len(name) == len(store.Login)+loginIDLength
}

// headerWriter is a response writer where only the header of an answer exists yet.
// Saving a gorilla session takes a response writer, but changes only its header.
type headerWriter http.Header

// Header implements [http.ResponseWriter].
func (w headerWriter) Header() http.Header { return http.Header(w) }

// Write implements [http.ResponseWriter]. It discards the body.
func (headerWriter) Write(body []byte) (int, error) { return len(body), nil }

// WriteHeader implements [http.ResponseWriter]. It does nothing.
func (headerWriter) WriteHeader(int) {}
