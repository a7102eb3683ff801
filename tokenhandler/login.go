package tokenhandler

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/web"
)

// maxLogins is how many logins one browser may have under way, one per tab.
const maxLogins = 5

// login is one login under way, sealed in its own cookie (FACTS R-10).
type login struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	ReturnTo string `json:"r"`
	// Begun is in Unix milliseconds: a browser that restores its tabs begins
	// several logins in one second, and the oldest is the one to drop.
	Begun int64 `json:"b"`
	// Tries counts the automatic new tries that led to it.
	Tries int `json:"t,omitempty"`
	// MaxAge is the max_age asked for, in seconds; absent is none.
	MaxAge *int64 `json:"a,omitempty"`
	// Earlier is the session that the browser had when the login began, to be
	// ended by it: the callback comes from another site, without Strict cookies.
	Earlier *earlier `json:"e,omitempty"`
}

// earlier is what it takes to end a session without its cookie: its name, and
// when it would have ended anyway, in Unix seconds.
type earlier struct {
	Session string `json:"n"`
	Ends    int64  `json:"u"`
}

// earlierSession is the session that a request shows, also if it is idle: its
// sockets and streams may go on.
func (h *Handler) earlierSession(r *http.Request) *earlier {
	visit, _ := h.cfg.Sessions.Open(r)
	s := visit.Stored
	if s == nil {
		return nil
	}
	return &earlier{Session: s.ID.String(), Ends: s.Expires.Unix()}
}

// newLogin makes a login with fresh random values. The state's first character
// is the number of tries: when the browser keeps no cookies it is all that is
// left to stop a loop by. It grants nothing.
func newLogin(returnTo string, tries int, now time.Time) login {
	return login{
		State:    strconv.Itoa(tries) + random(),
		Nonce:    random(),
		Verifier: random(),
		ReturnTo: returnTo,
		Begun:    now.UnixMilli(),
		Tries:    tries,
	}
}

// random returns 256 random bits in base64url, 43 characters: also a PKCE
// verifier (RFC 7636 §4.1).
func random() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails (Go 1.24)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// loginID names the login of a state. The state itself stays secret.
func loginID(state string) string {
	sum := sha256.Sum256([]byte(state))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// startLogin answers /login, /signup and /forgot-password:
//
//  1. A prefetch gets 204, anything but a navigation 400.
//  2. A navigation that another site started goes to the start page (ASVS V7.6.2).
//  3. Parameters are checked; return_to is made safe.
//  4. The login's cookie is set, old ones beyond the limit are dropped.
//  5. 302 to the provider.
func (h *Handler) startLogin(page provider.Page) web.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if isPrefetch(r) {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		if !isNavigation(r) {
			return web.NewProblem(web.CodeInvalidRequest, "a login is a page: navigate to this URL instead of fetching it", nil)
		}
		if r.Header.Get("Sec-Fetch-Site") == "cross-site" && !h.cfg.AllowCrossSiteLogin {
			h.cfg.Site.Redirect(w, http.StatusSeeOther, "/")
			return nil
		}
		query, err := singleValues(r.URL.RawQuery)
		if err != nil {
			return web.NewProblem(web.CodeInvalidRequest, err.Error(), err)
		}
		extra, err := passThrough(query)
		if err != nil {
			return web.NewProblem(web.CodeInvalidRequest, err.Error(), err)
		}
		l := newLogin(h.cfg.Site.ReturnTo(query["return_to"], h.cfg.Path), 0, h.cfg.Now())
		if age, asked := extra["max_age"]; asked {
			seconds, _ := strconv.ParseInt(age, 10, 64) // checked by passThrough
			l.MaxAge = &seconds
		}
		l.Earlier = h.earlierSession(r)
		return h.sendToProvider(w, r, l, page, extra)
	}
}

// sendToProvider does steps 4 and 5.
func (h *Handler) sendToProvider(w http.ResponseWriter, r *http.Request, l login, page provider.Page, extra map[string]string) error {
	target, err := h.cfg.Provider.AuthorizeURL(provider.AuthRequest{Page: page, State: l.State, Nonce: l.Nonce, Verifier: l.Verifier, Extra: extra})
	if err != nil {
		return providerProblem(err)
	}
	payload, err := encodeLogin(l)
	if err != nil {
		return err
	}
	cookie, _ := h.cfg.Store.Get(r, h.loginCookie(l.State)) // a new one: the state is fresh
	cookie.Values[session.LoginKey] = payload
	if err := cookie.Save(r, w); err != nil {
		return fmt.Errorf("setting the login's cookie: %w", err)
	}
	h.makeRoom(w, r)
	h.cfg.Site.Redirect(w, http.StatusFound, target)
	return nil
}

// maxPayload bounds what a login's cookie holds. With it the head of the answer
// stays within the buffers of proxies, the long Location included.
const maxPayload = 1600

// encodeLogin makes a cookie's payload. A return path that would not fit is
// forgotten, like any other that cannot be used.
func encodeLogin(l login) ([]byte, error) {
	var payload bytes.Buffer
	encoder := json.NewEncoder(&payload)
	encoder.SetEscapeHTML(false) // or each & of a query would take six bytes
	if err := encoder.Encode(l); err != nil {
		return nil, fmt.Errorf("encoding login: %w", err)
	}
	if payload.Len() > maxPayload && l.ReturnTo != "/" {
		l.ReturnTo = "/"
		return encodeLogin(l)
	}
	return payload.Bytes(), nil
}

// loginCookie is the name of the cookie of the login with this state.
func (h *Handler) loginCookie(state string) string { return h.cfg.Store.Login(loginID(state)) }

// remove removes a cookie of the service from the browser, even if it does not
// open. It lives on in the request.
func (h *Handler) remove(w http.ResponseWriter, r *http.Request, name string) {
	cookie, _ := h.cfg.Store.Get(r, name)
	cookie.Options.MaxAge = -1
	_ = cookie.Save(r, w) // removing a cookie cannot fail
}

// removeLogins removes the cookies of all logins that have not come back from the
// provider.
func (h *Handler) removeLogins(w http.ResponseWriter, r *http.Request) {
	for name := range h.cfg.Store.Sizes(r) {
		if h.cfg.Store.IsLogin(name) {
			h.remove(w, r, name)
		}
	}
}

// removeNamedLogin removes the cookie of the login that a callback names, whether
// it opens or not: a state works once, however the callback ends (RFC 9700 §4.7.1).
func (h *Handler) removeNamedLogin(w http.ResponseWriter, r *http.Request, states []string) {
	carried := h.cfg.Store.Sizes(r)
	for _, state := range states {
		if name := h.loginCookie(state); carried[name] > 0 {
			h.remove(w, r, name)
			return
		}
	}
}

// makeRoom removes login cookies until the limits hold with those cookies that w
// already sets: the number of logins, and the budget of bytes of all cookies. Logins
// that do not open go first, then the oldest.
func (h *Handler) makeRoom(w http.ResponseWriter, r *http.Request) {
	type pending struct {
		name  string
		begun int64
		bytes int
	}
	total := written(w.Header())
	var alive []pending
	for name, bytes := range h.cfg.Store.Sizes(r) {
		if h.cfg.Store.IsLogin(name) {
			cookie, _ := h.cfg.Store.Get(r, name)
			if cookie.Options.MaxAge < 0 {
				continue // it was removed already
			}
			l, err := h.openLogin(r, name)
			if err != nil {
				h.remove(w, r, name)
				continue
			}
			alive = append(alive, pending{name: name, begun: l.Begun, bytes: bytes})
		}
		total += bytes
	}
	slices.SortFunc(alive, func(a, b pending) int { return cmp.Compare(a.begun, b.begun) })
	for len(alive) > 0 && (len(alive) >= maxLogins || total > session.Budget) {
		h.remove(w, r, alive[0].name)
		total -= alive[0].bytes
		alive = alive[1:]
	}
}

// written is how many bytes the cookies that an answer sets will take in a request.
// Cookies that it removes have no value.
func written(header http.Header) (bytes int) {
	for _, line := range header["Set-Cookie"] {
		pair, _, _ := strings.Cut(line, ";")
		if !strings.HasSuffix(pair, "=") {
			bytes += len(pair) + len("; ")
		}
	}
	return bytes
}

// openLogin opens the cookie of a login that has not expired.
func (h *Handler) openLogin(r *http.Request, name string) (login, error) {
	var l login
	cookie, err := h.cfg.Store.Get(r, name)
	if err != nil {
		return l, fmt.Errorf("opening login: %w", err)
	}
	payload, there := cookie.Values[session.LoginKey].([]byte)
	if !there {
		return l, errState
	}
	if err := json.Unmarshal(payload, &l); err != nil {
		return l, fmt.Errorf("decoding login: %w", err)
	}
	if age := h.cfg.Now().Sub(time.UnixMilli(l.Begun)); age < -time.Minute || age > session.LoginLifetime {
		return l, errLoginOver
	}
	return l, nil
}

// loginOf returns the login that a callback's state names, if this browser has its
// cookie. The whole state is compared, in constant time: the cookie's name holds only
// a part of its hash.
func (h *Handler) loginOf(r *http.Request, state string) (login, bool) {
	l, err := h.openLogin(r, h.loginCookie(state))
	if err != nil || !secret.New(l.State).Equal(secret.New(state)) {
		return login{}, false
	}
	return l, true
}

// isPrefetch reports whether the browser only guesses that the user might go
// there: a login must not start then (PEERS C4).
func isPrefetch(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz"} {
		if value := r.Header.Get(name); value == "prefetch" || len(value) > 9 && value[:9] == "prefetch;" {
			return true
		}
	}
	return false
}

// isNavigation reports whether a person goes to the page at the top of a
// window. Browsers without Fetch Metadata cannot be told from it.
func isNavigation(r *http.Request) bool {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	return (mode == "" || mode == "navigate") && (dest == "" || dest == "document")
}

// singleValues parses a query in which no parameter stands twice: which of two
// would count depends on who reads it (ASVS V15.3.7).
func singleValues(raw string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errBadQuery
	}
	single := make(map[string]string, len(values))
	for name, list := range values {
		if len(list) > 1 {
			return nil, errRepeated
		}
		single[name] = list[0]
	}
	return single, nil
}
