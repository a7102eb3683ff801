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

// plannedRequest is a planned request: what it wants, and how long its parts take.
type plannedRequest struct {
	browser  *browser
	place    int
	why      refresh.Reason
	polls    bool          // it is no activity of the user
	start    time.Duration // until it is sent
	travel   time.Duration // until it arrives
	upstream time.Duration // until the upstream responds
	answer   time.Duration // until the response arrives
	lost     bool          // the response never arrives
	leaves   time.Duration // until the client gives up; 0 for never
	logout   bool
	all      bool // logout everywhere
	revokes  bool // the logout also tells the provider
}

// send plays a planned request.
func (w *world) send(e plannedRequest) {
	w.running.Go(func() {
		time.Sleep(e.start)
		s, ok := w.cookiesOf(e.browser)
		if !ok {
			return // logged out
		}
		time.Sleep(e.travel)
		proc := w.arrive(e.place)
		h, _ := w.answer(proc, e, s) // which checks the error
		proc.requests.Done()
		if h == nil || proc.dead() {
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

// arrive returns the process that takes a request.
func (w *world) arrive(place int) *process {
	for {
		w.mu.Lock()
		proc := w.places[place]
		w.mu.Unlock()
		<-proc.ready
		w.mu.Lock()
		if w.places[place] == proc {
			proc.requests.Add(1)
			w.mu.Unlock()
			return proc
		}
		w.mu.Unlock()
	}
}

// answer does what the handlers do: it opens the session, refreshes it, opens it again
// if that took time, calls the upstream, and commits. A process that was killed does
// not respond.
func (w *world) answer(proc *process, e plannedRequest, s sentCookies) (http.Header, error) {
	v, err := w.open(proc, s)
	if err == nil && e.logout {
		return w.logout(proc, e, s, v), nil
	}
	if err == nil {
		err = w.refreshSession(proc, e, s, v, refresh.IfDue)
	}
	if err == nil && e.why == refresh.OnDemand {
		err = w.refreshSession(proc, e, s, v, refresh.OnDemand)
	}
	if err != nil || proc.dead() {
		return w.refusal(proc, s, v, err), err
	}
	touched := time.Time{}
	if !e.polls {
		v.Touch()
		touched = time.Now()
	}
	time.Sleep(e.upstream)
	if proc.dead() {
		return nil, nil
	}
	if e.why == refresh.Refused {
		if err = w.refreshSession(proc, e, s, v, refresh.Refused); err != nil && ends(err) || proc.dead() {
			return w.refusal(proc, s, v, err), err
		}
	}
	return w.commit(proc, s, v, touched), nil
}

func (w *world) open(proc *process, s sentCookies) (*refresh.RequestSession, error) {
	from := time.Now()
	w.sawCookie(proc, s)
	v, err := proc.m.Open(&http.Request{Header: s.header})
	w.judge(proc, s, v, err, refresh.IfDue, from)
	return v, err
}

// refreshSession refreshes the session of a request.
func (w *world) refreshSession(proc *process, e plannedRequest, s sentCookies, v *refresh.RequestSession, why refresh.Reason) error {
	ctx, leave := context.WithCancel(w.t.Context())
	defer leave()
	if e.leaves != 0 {
		stop := time.AfterFunc(e.leaves, leave)
		defer stop.Stop()
	}
	from, before := time.Now(), v.Session
	w.mu.Lock()
	if why != refresh.IfDue {
		s.session.forced = append(s.session.forced, from)
	}
	s.token = w.access[before.Access.Reveal()]
	w.note("%v: session %d generation %d (%d) refresh %d", proc, s.session.n, s.generation, before.Generation, why)
	w.mu.Unlock()
	err := v.Refresh(ctx, why)
	if proc.dead() {
		return nil
	}
	if err == nil && v.Session == before && why == refresh.IfDue {
		w.judge(proc, s, v, nil, why, from)
		w.judgeFresh(proc, s, before.Access.Reveal(), v, why)
		return nil
	}
	if _, reason := proc.m.Open(&http.Request{Header: s.header}); reason != nil {
		w.judge(proc, s, v, reason, why, from)
		return reason
	}
	if w.judge(proc, s, v, err, why, from) {
		w.judgeFresh(proc, s, before.Access.Reveal(), v, why)
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

// refusal is the header of a response that has no usable session: it removes the cookies,
// if the handlers do that for this error, or has the newest generation.
func (w *world) refusal(proc *process, s sentCookies, v *refresh.RequestSession, err error) http.Header {
	if !ends(err) && v.Session != nil && !proc.dead() {
		return w.commit(proc, s, v, time.Time{})
	}
	h := make(http.Header)
	if ends(err) {
		w.remove(proc, s, h)
	}
	return h
}

// remove removes the cookies of the session from the browser.
func (w *world) remove(proc *process, s sentCookies, h http.Header) {
	r := &http.Request{Header: s.header}
	gs, _ := proc.sessions.New(r, proc.sessions.Session)
	gs.Options.MaxAge = -1
	if err := gs.Save(r, headerWriter(h)); err != nil {
		w.t.Error(err)
	}
}

func (w *world) logout(proc *process, e plannedRequest, s sentCookies, v *refresh.RequestSession) http.Header {
	w.mu.Lock()
	now, l := time.Now(), s.session
	w.note("%v: logout of session %d, everywhere %v", proc, l.n, e.all)
	l.revoked = append(l.revoked, revoked{now, proc})
	w.mu.Unlock()
	v.End()
	if e.all {
		w.revokeUser(proc, l.sub)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.revokes && l.disabled.IsZero() {
		l.disabled = now
	}
	h := make(http.Header)
	w.remove(proc, s, h)
	return h
}

// revokeUser ends all sessions of a user that have begun.
func (w *world) revokeUser(proc *process, sub string) {
	now := time.Now()
	w.mu.Lock()
	w.ended[sub] = now
	for _, l := range w.sessions {
		if l.sub == sub && l.begun.Before(now) {
			l.revoked = append(l.revoked, revoked{now, proc})
		}
	}
	w.mu.Unlock()
	w.revoke(proc, replicas.Revocation{Kind: replicas.KindSubject, Name: sub, Before: now, Until: now.Add(w.cfg.absolute)})
}
