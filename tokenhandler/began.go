package tokenhandler

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

const (
	// beganLifetime is how long a browser keeps [began]. No login takes longer.
	beganLifetime = time.Hour
	// maxOwned is how many sessions are remembered for a browser. It has more than one
	// only while logins in several tabs overtake each other.
	maxOwned = 4
)

// began is what a browser began here lately. All logins in its tabs share this cookie.
// In contrast to the session's cookies, the browser sends it with the provider's
// redirect to the callback, because it is a Lax one: only so does a login know which
// session it replaces, also if another tab has just completed one.
type began struct {
	beginning

	// Sessions are the sessions of this browser, the newest last.
	Sessions []ownSession `json:"s,omitempty"`
	// Logins has a mark for each of the newest logins that began in this browser and have
	// not led to a session, see [markOf].
	Logins []byte `json:"l,omitempty"`
}

// ownSession is what is needed to end a session without its cookie: its id, and its end
// in Unix seconds.
type ownSession struct {
	ID   []byte `json:"i"`
	Ends int64  `json:"u"`
}

func own(s *session.Session) ownSession {
	return ownSession{ID: slices.Clone(s.ID[:]), Ends: s.Expires.Unix()}
}

// beganOf returns what the browser began here lately. It is empty if the browser has no
// such cookie that opens.
func (h *loginHandler) beganOf(r *http.Request) (b began) {
	cookie, err := h.cfg.Store.Get(r, h.cfg.Store.Began)
	payload, there := cookie.Values[session.Key].([]byte)
	if err != nil || !there || json.Unmarshal(payload, &b) != nil {
		return began{}
	}
	return b
}

// writeBegan sets the cookie anew. Its sessions are all that the browser may have.
func (h *loginHandler) writeBegan(w http.ResponseWriter, r *http.Request, b began) {
	b.Sessions = b.Sessions[max(0, len(b.Sessions)-maxOwned):]
	payload, err := json.Marshal(b)
	if err == nil {
		cookie, _ := h.cfg.Store.Get(r, h.cfg.Store.Began) // what the browser has is replaced
		cookie.Values[session.Key] = payload
		cookie.Options.MaxAge = int(beganLifetime / time.Second)
		err = cookie.Save(r, w)
	}
	if err != nil {
		h.cfg.Log.ErrorContext(r.Context(), "cookie not set", "error", err.Error(), "request_id", web.RequestID(r))
	}
}

// tellLogins tells the logins in other tabs, and those that begin within the hour, which
// session the browser has now. If the head of the answer would be larger than proxies
// accept, only the former count.
func (h *loginHandler) tellLogins(w http.ResponseWriter, r *http.Request, s *session.Session, l login) {
	cookie := make(http.Header)
	b := h.beganOf(r)
	b.forget(l.State)
	b.Sessions, b.Tries = []ownSession{own(s)}, 0 // the login worked: the next failure gets a new try
	h.writeBegan(headerWriter(cookie), r, b)
	if h.hasLogins(r) || headBytes(w.Header())+headBytes(cookie)+len(l.ReturnTo) <= maxHead {
		w.Header()["Set-Cookie"] = append(w.Header()["Set-Cookie"], cookie["Set-Cookie"]...)
	}
}

// owned returns the sessions that the browser has, as far as the request shows: those of
// [began], and the one of the session cookie if the browser sent it. That may be idle: it
// may have WebSockets and streams. current is that of the request.
func (h *loginHandler) owned(r *http.Request) (all []ownSession, current *refresh.RequestSession) {
	b := h.beganOf(r)
	current, _ = h.cfg.Sessions.Open(r)
	if s := current.Stored; s != nil {
		b.Sessions = slices.DeleteFunc(b.Sessions, func(o ownSession) bool { return string(o.ID) == string(s.ID[:]) })
		b.Sessions = append(b.Sessions, own(s))
	}
	return b.Sessions, current
}

// replaceEarlier ends the sessions that this browser had before a login (ASVS V7.2.4), all at
// the same time: the user waits for it.
func (h *loginHandler) replaceEarlier(r *http.Request) {
	all, current := h.owned(r)
	var ending sync.WaitGroup
	panics := make(chan any, len(all))
	for _, o := range all {
		if len(o.ID) == len(session.ID{}) {
			ending.Go(func() {
				defer func() {
					if v := recover(); v != nil {
						panics <- v
					}
				}()
				h.replace(r, session.ID(o.ID), time.Unix(o.Ends, 0), current)
			})
		}
	}
	ending.Wait()
	close(panics)
	for v := range panics {
		panic(v) // here, where net/http ends this request only
	}
}

// replace ends one session: first on the deny list, so that no answer writes its cookies any
// more, and then its refresh token, if that is known.
func (h *loginHandler) replace(r *http.Request, id session.ID, ends time.Time, current *refresh.RequestSession) {
	if !h.cfg.Sessions.Replace(id, ends) {
		return
	}
	h.endings.end(r, id, subjectOf(current, id), endedByLogin)
	token, found := h.cfg.Sessions.TakeToken(r.Context(), id)
	if !found {
		token, found = tokenOf(current, id)
	}
	if !found {
		h.cfg.Metrics.Replaced.WithLabelValues("denied").Inc()
		return
	}
	h.cfg.Metrics.Replaced.WithLabelValues("revoked").Inc()
	h.revoker.revoke(r.Context(), token)
}

// subjectOf returns the user of the session with this id, if a request has its cookie.
func subjectOf(current *refresh.RequestSession, id session.ID) string {
	if s := current.Stored; s != nil && s.ID == id {
		return s.Subject
	}
	return ""
}

// tokenOf returns the refresh token in the session cookie of a request, if that is the
// session with this id.
func tokenOf(current *refresh.RequestSession, id session.ID) (secret.String, bool) {
	s := current.Stored
	if s == nil || s.ID != id {
		return secret.String{}, false
	}
	tokens, err := s.Tokens()
	return tokens.Refresh, err == nil && !tokens.Refresh.IsZero()
}
