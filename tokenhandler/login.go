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
	visit, _ := h.cfg.Sessions.Open(r.Header)
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
		jar, _ := h.cfg.Store.Cookies().Read(r.Header) // too many of them: they are dropped
		return h.sendToProvider(w, &jar, l, page, extra)
	}
}

// sendToProvider does steps 4 and 5.
func (h *Handler) sendToProvider(w http.ResponseWriter, jar *session.Jar, l login, page provider.Page, extra map[string]string) error {
	target, err := h.cfg.Provider.AuthorizeURL(provider.AuthRequest{Page: page, State: l.State, Nonce: l.Nonce, Verifier: l.Verifier, Extra: extra})
	if err != nil {
		return providerProblem(err)
	}
	payload, err := encodeLogin(l)
	if err != nil {
		return err
	}
	h.dropLogins(w.Header(), jar, 2*len(payload))
	if err := h.cfg.Store.SetLogin(w.Header(), loginID(l.State), payload); err != nil {
		return fmt.Errorf("setting the login's cookie: %w", err)
	}
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

// dropNamedLogin removes the cookie of a login whose state was shown, readable
// or not: a state works once, whatever becomes of it (FACTS OAU-05, R-25).
func (h *Handler) dropNamedLogin(header http.Header, jar *session.Jar, states []string) {
	for _, state := range states {
		id := loginID(state)
		if _, there := jar.Logins[id]; there {
			h.cfg.Store.ExpireLogin(header, id)
			return
		}
	}
}

// dropLogins makes room for one more login of size bytes: unreadable ones go,
// then the oldest, until the number and the budget of all our cookies hold.
func (h *Handler) dropLogins(header http.Header, jar *session.Jar, size int) {
	type pending struct {
		id    string
		begun int64
		bytes int
	}
	var alive []pending
	for id, value := range jar.Logins {
		l, err := h.openLogin(id, value)
		if err != nil {
			h.cfg.Store.ExpireLogin(header, id)
			jar.Bytes -= len(value)
			continue
		}
		alive = append(alive, pending{id: id, begun: l.Begun, bytes: len(value)})
	}
	slices.SortFunc(alive, func(a, b pending) int { return cmp.Compare(a.begun, b.begun) })
	for len(alive) > 0 && (len(alive) >= maxLogins || jar.Bytes+size > session.Budget) {
		h.cfg.Store.ExpireLogin(header, alive[0].id)
		jar.Bytes -= alive[0].bytes
		alive = alive[1:]
	}
}

// openLogin opens a login cookie that is not over its time.
func (h *Handler) openLogin(id, value string) (login, error) {
	var l login
	payload, err := h.cfg.Store.OpenLogin(id, value)
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(payload, &l); err != nil {
		return l, fmt.Errorf("decoding login: %w", err)
	}
	if age := h.cfg.Now().Sub(time.UnixMilli(l.Begun)); age < -time.Minute || age > session.LoginLifetime {
		return l, errLoginOver
	}
	return l, nil
}

// takeLogin returns the login of the state that a callback shows, if the browser
// has its cookie, and takes it out of the jar. The comparison is of the whole state, in constant
// time: the cookie's name holds a part of its hash only.
func (h *Handler) takeLogin(jar *session.Jar, state string) (login, bool) {
	id := loginID(state)
	value, there := jar.Logins[id]
	if !there {
		return login{}, false
	}
	delete(jar.Logins, id)
	jar.Bytes -= len(value)
	l, err := h.openLogin(id, value)
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
