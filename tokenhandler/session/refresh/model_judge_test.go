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

// modelSession is what the model knows of one session. It is guarded by world.mu.
type modelSession struct {
	n     int
	id    session.ID
	sub   string
	user  int
	begun time.Time // to the millisecond
	// ends is the absolute end, refreshEnds the refresh token's, if it is known.
	ends, refreshEnds time.Time
	revoked           []revoked
	// disabled is when the user was disabled at the provider, killed when the provider took
	// a second use of a refresh token for theft.
	disabled, killed time.Time
	// refusedAt is when the process refusedBy first heard of that, for generation refusedOf.
	refusedAt time.Time
	refusedBy *process
	refusedOf uint64
	issued    int
	made      map[uint64]time.Time // generation → since when there is one
	sent      uint64               // the latest generation that a browser has sent
	stored    uint64               // the latest generation in the store
	leased    *process
	leaseEnds time.Time
	// leaseStored is what stored was when the lease was given.
	leaseStored uint64
	forced      []time.Time
}

// revoked is when one process acknowledged the end of a session.
type revoked struct {
	at time.Time
	by *process
}

func (l *modelSession) make(generation uint64) {
	if l.made[generation].IsZero() {
		l.made[generation] = time.Now()
	}
}

// newer is since when there is a later generation; zero if there is none.
func (l *modelSession) newer(generation uint64) time.Time {
	var first time.Time
	for g, at := range l.made {
		if g > generation && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// refusedByProvider reports whether the provider gives no more tokens.
func (l *modelSession) refusedByProvider(now time.Time) bool {
	return !l.disabled.IsZero() || !l.killed.IsZero() || !l.refreshEnds.IsZero() && !now.Before(l.refreshEnds)
}

// mustBeRevoked reports whether the process must know that the session was ended. At
// the very moment of the end either answer is right, because the end was not
// acknowledged yet.
func (l *modelSession) mustBeRevoked(at *process, now time.Time) bool {
	for _, r := range l.revoked {
		if r.by == at && now.After(r.at) || now.After(r.at.Add(at.w.cfg.spread)) || at.born.After(r.at) {
			return true
		}
	}
	return false
}

func (l *modelSession) leasedTo(proc *process, now time.Time) bool {
	return l.leased == proc && now.Before(l.leaseEnds)
}

// cookieFact is what the model knows of the value of a session cookie.
type cookieFact struct {
	session    *modelSession
	generation uint64
	access     string
}

type activeFact struct {
	session *modelSession
	at      time.Time
}

// sentCookies are the cookies of one request, and what the model knows of them.
type sentCookies struct {
	cookieFact

	header http.Header
	active time.Time
	token  *tokenFact
}

// cookiesOf returns the cookies that a browser sends now.
func (w *world) cookiesOf(b *browser) (sentCookies, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fact, ok := w.sessionCookies[b.jar[sessionCookie]]
	if !ok {
		return sentCookies{}, false
	}
	s := sentCookies{cookieFact: fact, header: b.jar.header(), active: fact.session.begun.Truncate(time.Second), token: w.access[fact.access]}
	if active, ok := w.activityCookies[b.jar[activeCookie]]; ok && active.session == fact.session {
		s.active = active.at
	}
	return s, true
}

// judge checks the result of Open, or of a Refresh that began at from. It returns
// false if the request has no session.
func (w *world) judge(proc *process, s sentCookies, v *refresh.RequestSession, err error, why refresh.Reason, from time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := w.judgement(proc, s, v, err, why, from)
	w.counts["answer: "+name]++
	if err != nil {
		w.note("%v: session %d generation %d: %v", proc, s.session.n, s.generation, err)
	}
	return err == nil
}

func (w *world) judgement(proc *process, s sentCookies, v *refresh.RequestSession, err error, why refresh.Reason, from time.Time) string {
	now, l := time.Now(), s.session
	idle, over := !now.Before(s.active.Add(w.cfg.idle)), !now.Before(l.ends)
	unavailable, passing := errors.AsType[*refresh.UnavailableError](err)
	must := func(ok bool, name string) string {
		if !ok {
			w.violate("%v, session %d, cookie of generation %d: %s for no reason: %v", proc, l.n, s.generation, name, err)
		}
		return name
	}
	switch {
	case err == nil:
		w.judgeSuccess(proc, s, v, idle, over)
		return "ok"
	case passing:
		closing := proc.draining
		usable := from.Before(s.token.expires.Add(-5 * time.Second))
		because := closing || w.troubled(from) || l.refusedByProvider(now)
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
		return must(l.refusedByProvider(now), "rejected")
	case errors.Is(err, refresh.ErrSuperseded):
		newer := l.newer(s.generation)
		stored := w.store != nil && l.stored > s.generation && l.stored >= proc.known[l].generation && !w.troubled(from) && !l.refusedByProvider(now)
		return must(w.cfg.rotates() && l.sent > s.generation && !newer.IsZero() && !now.Before(newer.Add(modelGrace)) && !stored, "superseded")
	case errors.Is(err, context.Canceled):
		return "client gone"
	}
	return must(false, "error")
}

// judgeSuccess checks that the request may have a session, and that its tokens work.
func (w *world) judgeSuccess(proc *process, s sentCookies, v *refresh.RequestSession, idle, over bool) {
	now, l, got := time.Now(), s.session, v.Session
	fact := w.factOf(got.Access, allTokens(w.t, got).Refresh)
	switch {
	case idle || over:
		w.violate("%v let in session %d, idle %v, over %v", proc, l.n, idle, over)
	case l.mustBeRevoked(proc, now):
		w.violate("%v let in session %d after its end", proc, l.n)
	case got.ID != l.id || fact == nil || fact.session != l:
		w.violate("%v gave session %d the tokens of another", proc, l.n)
	case w.access[got.Access.Reveal()].unverified:
		w.violate("%v gave session %d a token that was not verified", proc, l.n)
	case got.Generation < s.generation:
		w.violate("%v answered the cookie of generation %d of session %d with generation %d", proc, s.generation, l.n, got.Generation)
	}
	fact.generation = max(fact.generation, got.Generation)
	l.make(got.Generation)
	proc.learns(l, got.Generation)
}

// sawCookie notes that a browser has sent this generation. The caller does not hold
// mu.
func (w *world) sawCookie(proc *process, s sentCookies) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.session.sent = max(s.session.sent, s.generation)
	proc.learns(s.session, s.generation)
}

// judgeFresh checks that the access token works after Refresh, and that it is a new
// one if the reason demands that.
func (w *world) judgeFresh(proc *process, s sentCookies, before string, v *refresh.RequestSession, why refresh.Reason) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, got := time.Now(), v.Session
	fact := w.access[got.Access.Reveal()]
	if fact == nil || !now.Before(fact.expires) {
		w.violate("%v: session %d goes on with a token that has ended, cookie of generation %d, now %d", proc, s.session.n, s.generation, got.Generation)
	}
	if why != refresh.IfDue && got.Access.Reveal() == before && !fact.expires.Equal(s.session.refreshEnds) && !w.cfg.refreshless {
		w.violate("%v: session %d was to have a new token, and has the old one of generation %d", proc, s.session.n, got.Generation)
	}
}

// tooOften reports whether the session was refreshed on demand so often that a further
// refresh may be declined.
func (l *modelSession) tooOften(why refresh.Reason, now time.Time) bool {
	recent, within, enough := 0, 30*time.Second, 2 // with the one that is checked
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

// commit commits the response, and checks the cookies that it writes.
func (w *world) commit(proc *process, s sentCookies, v *refresh.RequestSession, touched time.Time) http.Header {
	h := make(http.Header)
	v.Commit(headerWriter(h))
	w.mu.Lock()
	defer w.mu.Unlock()
	l, now, wroteActive := s.session, time.Now(), false
	dead := l.mustBeRevoked(proc, now)
	for _, line := range h["Set-Cookie"] {
		pair, _, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case value == "" && len(l.revoked) == 0:
			w.violate("%v removed the cookies of session %d", proc, l.n)
		case value == "":
		case dead:
			w.violate("%v wrote a cookie of session %d after its end", proc, l.n)
		case name == sessionCookie:
			if v.Session.Generation <= s.generation {
				w.violate("%v replaced the cookie of generation %d of session %d with generation %d", proc, s.generation, l.n, v.Session.Generation)
			}
			l.make(v.Session.Generation)
			if v.Session.Partial {
				w.counts["cookie: partial"]++
			}
			w.sessionCookies[value] = cookieFact{l, v.Session.Generation, v.Session.Access.Reveal()}
		case name == activeCookie:
			w.activityCookies[value], wroteActive = activeFact{l, touched.Truncate(time.Second)}, true
		}
	}
	if due := touched.Truncate(time.Second).Sub(s.active) >= min(time.Minute, w.cfg.idle/4); due && !wroteActive && len(l.revoked) == 0 {
		w.violate("%v did not note that the user of session %d was active", proc, l.n)
	}
	if v.Session.Generation > s.generation && len(h["Set-Cookie"]) == 0 && len(l.revoked) == 0 {
		w.violate("%v did not tell the browser generation %d of session %d", proc, v.Session.Generation, l.n)
	}
	return h
}
