package refresh_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// life is what the model knows of one session. It is guarded by world.mu.
type life struct {
	n     int
	id    session.ID
	sub   string
	user  int
	begun time.Time // to the millisecond
	// ends is the absolute end, refreshEnds the refresh token's, if it is known.
	ends, refreshEnds time.Time
	revoked           []revoked
	// disabled: the provider ended it; killed: it took a race for theft.
	disabled, killed time.Time
	// refusedAt is when refusedBy heard that, of generation refusedOf.
	refusedAt time.Time
	refusedBy *incarnation
	refusedOf uint64
	issued    int
	made      map[uint64]time.Time // generation → when it was there
	shown     uint64               // the latest generation that a browser showed
	stored    uint64               // the latest generation in the store
	leased    *incarnation
	leaseEnds time.Time
	// leaseStored is stored as of when the lease was given.
	leaseStored uint64
	forced      []time.Time
}

// revoked is an end before its time, acknowledged by one process.
type revoked struct {
	at time.Time
	by *incarnation
}

func (l *life) make(generation uint64) {
	if l.made[generation].IsZero() {
		l.made[generation] = time.Now()
	}
}

// newer is since when there is a later generation; zero for never.
func (l *life) newer(generation uint64) time.Time {
	var first time.Time
	for g, at := range l.made {
		if g > generation && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// gone reports whether the provider gives no more tokens.
func (l *life) gone(now time.Time) bool {
	return !l.disabled.IsZero() || !l.killed.IsZero() || !l.refreshEnds.IsZero() && !now.Before(l.refreshEnds)
}

// mustBeRevoked reports whether the process must know that the session was ended.
// At the very moment of the end it may be either way: it is not acknowledged yet.
func (l *life) mustBeRevoked(at *incarnation, now time.Time) bool {
	for _, r := range l.revoked {
		if r.by == at && now.After(r.at) || now.After(r.at.Add(at.w.cfg.spread)) || at.born.After(r.at) {
			return true
		}
	}
	return false
}

func (l *life) leasedTo(inc *incarnation, now time.Time) bool {
	return l.leased == inc && now.Before(l.leaseEnds)
}

// cookieFact is what the model knows of a session cookie's value.
type cookieFact struct {
	life       *life
	generation uint64
	access     string
}

type activeFact struct {
	life *life
	at   time.Time
}

// showing is what a browser shows with one request.
type showing struct {
	cookieFact

	header http.Header
	active time.Time
	token  *tokenFact
}

// show looks up what the browser's cookies are.
func (w *world) show(b *browser) (showing, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fact, ok := w.shown[b.jar[sessionCookie]]
	if !ok {
		return showing{}, false
	}
	s := showing{cookieFact: fact, header: b.jar.header(), active: fact.life.begun.Truncate(time.Second), token: w.access[fact.access]}
	if active, ok := w.actives[b.jar[activeCookie]]; ok && active.life == fact.life {
		s.active = active.at
	}
	return s, true
}

// judge judges one outcome of a request: of Open, or of Fresh for a reason that
// began at from. It returns false if the request has no session.
func (w *world) judge(inc *incarnation, s showing, v *refresh.RequestSession, err error, why refresh.Reason, from time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := w.judgement(inc, s, v, err, why, from)
	w.counts["answer: "+name]++
	if err != nil {
		w.note("%v: session %d generation %d: %v", inc, s.life.n, s.generation, err)
	}
	return err == nil
}

func (w *world) judgement(inc *incarnation, s showing, v *refresh.RequestSession, err error, why refresh.Reason, from time.Time) string {
	now, l := time.Now(), s.life
	idle, over := !now.Before(s.active.Add(w.cfg.idle)), !now.Before(l.ends)
	unavailable, passing := errors.AsType[*refresh.UnavailableError](err)
	must := func(ok bool, name string) string {
		if !ok {
			w.violate("%v, session %d, cookie of generation %d: %s for no reason: %v", inc, l.n, s.generation, name, err)
		}
		return name
	}
	switch {
	case err == nil:
		w.judgeSuccess(inc, s, v, idle, over)
		return "ok"
	case passing:
		closing := inc.draining
		usable := from.Before(s.token.expires.Add(-5 * time.Second))
		because := closing || w.troubled(from) || l.gone(now)
		return must(because && unavailable.RetryAfter > 0 && (why != refresh.IfDue || !usable), "unavailable")
	case errors.As(err, new(*refresh.TooOftenError)):
		return must(l.tooOften(why, now), "too often")
	case errors.Is(err, session.ErrIdle):
		return must(idle, "idle")
	case errors.Is(err, session.ErrExpired):
		return must(over, "expired")
	case errors.Is(err, refresh.ErrRevoked):
		return must(len(l.revoked) > 0, "revoked")
	case errors.Is(err, refresh.ErrRejected):
		return must(l.gone(now), "rejected")
	case errors.Is(err, refresh.ErrSuperseded):
		newer := l.newer(s.generation)
		stored := w.store != nil && l.stored > s.generation && l.stored >= inc.known[l].generation && !w.troubled(from) && !l.gone(now)
		return must(w.cfg.rotates() && l.shown > s.generation && !newer.IsZero() && !now.Before(newer.Add(modelGrace)) && !stored, "superseded")
	case errors.Is(err, context.Canceled):
		return "client gone"
	}
	return must(false, "error")
}

// judgeSuccess: nobody gets in who must not, or with tokens that are no good.
func (w *world) judgeSuccess(inc *incarnation, s showing, v *refresh.RequestSession, idle, over bool) {
	now, l, got := time.Now(), s.life, v.Session
	fact := w.access[got.Access.Reveal()]
	switch {
	case idle || over:
		w.violate("%v let in session %d, idle %v, over %v", inc, l.n, idle, over)
	case l.mustBeRevoked(inc, now):
		w.violate("%v let in session %d after its end", inc, l.n)
	case got.ID != l.id || fact == nil || fact.life != l:
		w.violate("%v gave session %d the tokens of another", inc, l.n)
	case got.Generation < s.generation:
		w.violate("%v answered the cookie of generation %d of session %d with generation %d", inc, s.generation, l.n, got.Generation)
	}
	fact.generation = max(fact.generation, got.Generation)
	l.make(got.Generation)
	inc.knows(l, got.Generation)
}

// sawCookie: from now on somebody has shown this generation. The caller does
// not hold mu.
func (w *world) sawCookie(inc *incarnation, s showing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.life.shown = max(s.life.shown, s.generation)
	inc.knows(s.life, s.generation)
}

// judgeFresh: after Fresh the access token is good, and new if that was asked for.
func (w *world) judgeFresh(inc *incarnation, s showing, before string, v *refresh.RequestSession, why refresh.Reason) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, got := time.Now(), v.Session
	fact := w.access[got.Access.Reveal()]
	if fact == nil || !now.Before(fact.expires) {
		w.violate("%v: session %d goes on with a token that has ended, cookie of generation %d, now %d", inc, s.life.n, s.generation, got.Generation)
	}
	if why != refresh.IfDue && got.Access.Reveal() == before && !fact.expires.Equal(s.life.refreshEnds) && !w.cfg.refreshless {
		w.violate("%v: session %d was to have a new token, and has the old one of generation %d", inc, s.life.n, got.Generation)
	}
}

// tooOften reports whether the session was renewed on demand a lot.
func (l *life) tooOften(why refresh.Reason, now time.Time) bool {
	recent, within, enough := 0, 30*time.Second, 2 // with the one that is judged
	if why == refresh.OnDemand {
		within, enough = 101*time.Second, 11
	}
	for _, at := range l.forced {
		if now.Sub(at) <= within {
			recent++
		}
	}
	return why != refresh.IfDue && recent >= enough
}

// commit judges what an answer tells the browser, and notes what it is.
func (w *world) commit(inc *incarnation, s showing, v *refresh.RequestSession, touched time.Time) http.Header {
	h := make(http.Header)
	v.Commit(headerWriter(h))
	w.mu.Lock()
	defer w.mu.Unlock()
	l, now, wroteActive := s.life, time.Now(), false
	dead := l.mustBeRevoked(inc, now)
	for _, line := range h["Set-Cookie"] {
		pair, _, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case value == "" && len(l.revoked) == 0:
			w.violate("%v removed the cookies of session %d", inc, l.n)
		case value == "":
		case dead:
			w.violate("%v wrote a cookie of session %d after its end", inc, l.n)
		case name == sessionCookie:
			if v.Session.Generation <= s.generation {
				w.violate("%v replaced the cookie of generation %d of session %d with generation %d", inc, s.generation, l.n, v.Session.Generation)
			}
			l.make(v.Session.Generation)
			w.shown[value] = cookieFact{l, v.Session.Generation, v.Session.Access.Reveal()}
		case name == activeCookie:
			w.actives[value], wroteActive = activeFact{l, touched.Truncate(time.Second)}, true
		}
	}
	if due := touched.Truncate(time.Second).Sub(s.active) >= min(time.Minute, w.cfg.idle/4); due && !wroteActive && len(l.revoked) == 0 {
		w.violate("%v did not note that the user of session %d was active", inc, l.n)
	}
	if v.Session.Generation > s.generation && len(h["Set-Cookie"]) == 0 && len(l.revoked) == 0 {
		w.violate("%v did not tell the browser generation %d of session %d", inc, v.Session.Generation, l.n)
	}
	return h
}
