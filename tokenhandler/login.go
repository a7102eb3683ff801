package tokenhandler

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/web"
)

// loginHandler serves the pages of a login.
type loginHandler struct {
	cfg     *Config
	revoker revoker
	endings *endings
	tried   triedLogins
	early   earlyEnds
}

const (
	// maxLogins is the largest number of logins that a browser may have at a time, one
	// in each tab.
	maxLogins = 5
	// loginLifetime is how long a login may take. Signing up and a second factor take
	// longer than the five minutes for which Cognito's authorization codes are valid.
	loginLifetime = 15 * time.Minute
)

// login is a login that has not come back from the provider. It is kept in a cookie
// of its own.
type login struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	ReturnTo string `json:"r"`
	// Begun is in Unix milliseconds: a browser that restores its tabs begins several
	// logins within a second, and the oldest is removed first.
	Begun int64 `json:"b"`
	// Tries is the number of automatic retries before this login.
	Tries int `json:"t,omitempty"`
	// MaxAge is the login's max_age in seconds; nil if it has none.
	MaxAge *int64 `json:"a,omitempty"`
	// Extra are the parameters that were passed to the provider, for another try.
	Extra map[string]string `json:"x,omitempty"`
}

// again returns a login that continues l after a failure that a new try may cure.
func (l login) again(now time.Time) login {
	next := newLogin(l.ReturnTo, l.Tries+1, now)
	next.MaxAge, next.Extra = l.MaxAge, l.Extra
	return next
}

// newLogin returns a login with new random values. The first character of the state
// is the number of tries, which stops a loop when the browser keeps no cookies.
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

// random returns 256 random bits in base64url. Its 43 characters are also a PKCE
// verifier (RFC 7636 §4.1).
func random() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails (Go 1.24)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// loginIDLength is the length of what loginID returns.
const loginIDLength = 8

// loginID returns the name of the login with this state, which does not reveal the
// state.
func loginID(state string) string {
	sum := sha256.Sum256([]byte(state))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// start answers /login, /signup and /forgot-password:
//
//  1. Answer 204 to a prefetch, and 400 to all but navigations.
//  2. Redirect a navigation that another site has started to the app (ASVS V7.6.2).
//  3. Check the parameters. A return_to that leaves the app becomes "/".
//  4. Refuse a client that has begun too many logins.
//  5. Set the login's cookie and that of [began], and remove older logins beyond the
//     limit.
//  6. Redirect to the provider.
func (h *loginHandler) start(page provider.Page) web.HandlerFunc {
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
		h.cfg.Site.WarnOfOtherAddress(r)
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
		l.Extra = extra
		if err := h.cfg.Limits.Login.TakeClient(r); err != nil {
			return err
		}
		return h.sendToProvider(w, r, l, page, &beginning{Begun: l.Begun})
	}
}

// sendToProvider does steps 5 and 6 of [loginHandler.start]. If begun is nil, the user
// has not begun this login, and what is known of the last beginning stays.
func (h *loginHandler) sendToProvider(w http.ResponseWriter, r *http.Request, l login, page provider.Page, begun *beginning) error {
	target, err := h.cfg.Provider.AuthorizeURL(provider.AuthRequest{Page: page, State: l.State, Nonce: l.Nonce, Verifier: l.Verifier, Extra: l.Extra})
	if err != nil {
		return providerProblem(err)
	}
	payload, err := encodeLogin(l)
	if err != nil {
		return err
	}
	cookie, _ := h.cfg.Store.Get(r, h.loginCookie(l.State)) // a new one: the state is fresh
	cookie.Values[session.Key] = payload
	cookie.Options.MaxAge = int(loginLifetime / time.Second)
	if err := cookie.Save(r, w); err != nil {
		return fmt.Errorf("setting the login's cookie: %w", err)
	}
	h.noteBeginning(w, r, l.State, begun)
	h.makeRoom(w, r)
	h.redirect(w, http.StatusFound, target, "Signing in")
	return nil
}

// maxPayload is the largest payload of a login's cookie in bytes. Sealed, the cookie
// has at most 3,800.
const maxPayload = 2800

// encodeLogin returns the payload of a login's cookie. If it does not fit, the
// parameters for another try are left out, and then the return path.
func encodeLogin(l login) ([]byte, error) {
	var payload bytes.Buffer
	encoder := json.NewEncoder(&payload)
	encoder.SetEscapeHTML(false) // which would turn each & into six bytes
	if err := encoder.Encode(l); err != nil {
		return nil, fmt.Errorf("encoding login: %w", err)
	}
	switch {
	case payload.Len() <= maxPayload:
	case len(l.Extra) > 0:
		l.Extra = nil
		return encodeLogin(l)
	case l.ReturnTo != "/":
		l.ReturnTo = "/"
		return encodeLogin(l)
	}
	return payload.Bytes(), nil
}

// loginCookie returns the name of the cookie of the login with this state.
func (h *loginHandler) loginCookie(state string) string {
	return h.cfg.Store.Login + loginID(state)
}

// removeNamedLogin removes the cookie of the login that a callback names, whether
// it opens or not: a state works once, however the callback ends (RFC 9700 §4.7.1).
func (h *loginHandler) removeNamedLogin(w http.ResponseWriter, r *http.Request, states []string) {
	carried := carriedCookies(h.cfg.Store, r)
	for _, state := range states {
		if name := h.loginCookie(state); carried[name] > 0 {
			removeCookie(h.cfg.Store, w, r, name)
			return
		}
	}
}

// openLogin opens the cookie of a login that has not expired.
func (h *loginHandler) openLogin(r *http.Request, name string) (login, error) {
	var l login
	cookie, err := h.cfg.Store.Get(r, name)
	if err != nil {
		return l, fmt.Errorf("opening login: %w", err)
	}
	payload, there := cookie.Values[session.Key].([]byte)
	if !there {
		return l, errState
	}
	if err := json.Unmarshal(payload, &l); err != nil {
		return l, fmt.Errorf("decoding login: %w", err)
	}
	if age := h.cfg.Now().Sub(time.UnixMilli(l.Begun)); age < -time.Minute || age > loginLifetime {
		return l, errLoginOver
	}
	return l, nil
}

// loginOf returns the login that a callback's state names, if this browser has its
// cookie. The whole state is compared, in constant time: the cookie's name holds only
// a part of its hash.
func (h *loginHandler) loginOf(r *http.Request, state string) (login, bool) {
	l, err := h.openLogin(r, h.loginCookie(state))
	if err != nil || !secret.New(l.State).Equal(secret.New(state)) {
		return login{}, false
	}
	return l, true
}
