package refresh_test

import (
	"context"
	"errors"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// errand is one request as it was planned: what it wants, and how long things
// take.
type errand struct {
	browser  *browser
	place    int
	why      refresh.Reason
	polls    bool          // looks only, is no activity
	start    time.Duration // until it is sent
	travel   time.Duration // until it is there
	upstream time.Duration // until the answer's header is there
	answer   time.Duration // until the browser has it
	lost     bool          // it never has
	leaves   time.Duration // until the client gives up; 0 for never
	logout   bool
	all      bool // logout everywhere
	revokes  bool // the logout also tells the provider
}

// send plays a request.
func (w *world) send(e errand) {
	w.running.Go(func() {
		time.Sleep(e.start)
		s, ok := w.show(e.browser)
		if !ok {
			return // logged out
		}
		time.Sleep(e.travel)
		inc := w.arrive(e.place)
		h, _ := w.answer(inc, e, s) // judged
		inc.requests.Done()
		if h == nil || inc.dead() {
			return
		}
		time.Sleep(e.answer)
		if e.lost {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		e.browser.take(w.t, h)
	})
}

// arrive is the process that takes a request.
func (w *world) arrive(place int) *incarnation {
	for {
		w.mu.Lock()
		inc := w.places[place]
		w.mu.Unlock()
		<-inc.ready
		w.mu.Lock()
		if w.places[place] == inc {
			inc.requests.Add(1)
			w.mu.Unlock()
			return inc
		}
		w.mu.Unlock()
	}
}

// answer is what the handlers do: it opens the session, makes sure of its
// tokens, opens it again if that took time, goes upstream, and commits. A
// process that was killed answers nothing.
func (w *world) answer(inc *incarnation, e errand, s showing) (http.Header, error) {
	v, err := w.open(inc, s)
	if err == nil && e.logout {
		return w.logout(inc, e, s, v), nil
	}
	if err == nil {
		err = w.fresh(inc, e, s, v, refresh.IfDue)
	}
	if err == nil && e.why == refresh.OnDemand {
		err = w.fresh(inc, e, s, v, refresh.OnDemand)
	}
	if err != nil || inc.dead() {
		return w.removed(inc, s, err), err
	}
	touched := time.Time{}
	if !e.polls {
		v.Touch()
		touched = time.Now()
	}
	time.Sleep(e.upstream)
	if inc.dead() {
		return nil, nil
	}
	if e.why == refresh.Refused {
		if err = w.fresh(inc, e, s, v, refresh.Refused); err != nil && ends(err) || inc.dead() {
			return w.removed(inc, s, err), err
		}
	}
	return w.commit(inc, s, v, touched), nil
}

func (w *world) open(inc *incarnation, s showing) (*refresh.RequestSession, error) {
	from := time.Now()
	w.sawCookie(inc, s)
	v, err := inc.m.Open(&http.Request{Header: s.header})
	w.judge(inc, s, v, err, refresh.IfDue, from)
	return v, err
}

// fresh renews the visit's tokens.
func (w *world) fresh(inc *incarnation, e errand, s showing, v *refresh.RequestSession, why refresh.Reason) error {
	ctx, leave := context.WithCancel(w.t.Context())
	defer leave()
	if e.leaves != 0 {
		stop := time.AfterFunc(e.leaves, leave)
		defer stop.Stop()
	}
	from, before := time.Now(), v.Session
	w.mu.Lock()
	if why != refresh.IfDue {
		s.life.forced = append(s.life.forced, from)
	}
	s.token = w.access[before.Access.Reveal()]
	w.note("%v: session %d generation %d (%d) fresh %d", inc, s.life.n, s.generation, before.Generation, why)
	w.mu.Unlock()
	err := v.Refresh(ctx, why)
	if inc.dead() {
		return nil
	}
	if err == nil && v.Session == before && why == refresh.IfDue {
		w.judge(inc, s, v, nil, why, from)
		w.judgeFresh(inc, s, before.Access.Reveal(), v, why)
		return nil
	}
	if _, reason := inc.m.Open(&http.Request{Header: s.header}); reason != nil {
		w.judge(inc, s, v, reason, why, from)
		return reason
	}
	if w.judge(inc, s, v, err, why, from) {
		w.judgeFresh(inc, s, before.Access.Reveal(), v, why)
	}
	return err
}

// ends reports whether the handlers remove the cookies for this error.
func ends(err error) bool {
	for _, reason := range []error{session.ErrIdle, session.ErrExpired, refresh.ErrRevoked, refresh.ErrRejected, session.ErrUnreadable} {
		if errors.Is(err, reason) && !errors.As(err, new(*refresh.UnavailableError)) {
			return true
		}
	}
	return false
}

// removed is the header of an answer that removes the session's cookies, if the
// handlers do that for this error.
func (w *world) removed(inc *incarnation, s showing, err error) http.Header {
	h := make(http.Header)
	if ends(err) {
		w.remove(inc, s, h)
	}
	return h
}

// remove removes the session's cookies from the browser.
func (w *world) remove(inc *incarnation, s showing, h http.Header) {
	r := &http.Request{Header: s.header}
	gs, _ := inc.sessions.New(r, inc.sessions.Names.Session)
	gs.Options.MaxAge = -1
	if err := gs.Save(r, headerWriter(h)); err != nil {
		w.t.Error(err)
	}
}

func (w *world) logout(inc *incarnation, e errand, s showing, v *refresh.RequestSession) http.Header {
	w.mu.Lock()
	now, l := time.Now(), s.life
	w.note("%v: logout of session %d, everywhere %v", inc, l.n, e.all)
	l.revoked = append(l.revoked, revoked{now, inc})
	w.mu.Unlock()
	v.End()
	if e.all {
		w.revokeUser(inc, l.sub)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.revokes && l.disabled.IsZero() {
		l.disabled = now
	}
	h := make(http.Header)
	w.remove(inc, s, h)
	return h
}

// revokeUser ends all sessions of a user that have begun.
func (w *world) revokeUser(inc *incarnation, sub string) {
	now := time.Now()
	w.mu.Lock()
	w.ended[sub] = now
	for _, l := range w.lives {
		if l.sub == sub && l.begun.Before(now) {
			l.revoked = append(l.revoked, revoked{now, inc})
		}
	}
	w.mu.Unlock()
	w.revoke(inc, replicas.Revocation{Kind: replicas.KindSubject, Name: sub, Before: now, Until: now.Add(w.cfg.absolute)})
}
