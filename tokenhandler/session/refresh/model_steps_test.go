package refresh_test

import (
	"fmt"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/session/refresh"
)

// maxSteps is the number of steps of a scenario.
const maxSteps = 45

// play plays the scenario, repairs everything, and checks which sessions are alive.
func (w *world) play(steps int) {
	for _, b := range w.browsers {
		w.login(b, 0)
	}
	for w.steps = 0; w.steps < steps && !w.violated(); w.steps++ {
		w.step()
		w.pass()
	}
	w.finish()
}

func (w *world) violated() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.violation != ""
}

// pass lets some time go by.
func (w *world) pass() {
	r := &w.plan
	switch n := r.below(100); {
	case n < 45:
		time.Sleep(r.between(0, 2*time.Second))
	case n < 65:
		time.Sleep(r.between(2*time.Second, 40*time.Second))
	case n < 80:
		w.passLong(r.between(time.Minute, 10*time.Minute))
	case n < 96:
		w.passLong(r.between(w.cfg.access-90*time.Second, w.cfg.access+90*time.Second))
	default:
		w.passLong(r.between(time.Hour, 3*time.Hour))
	}
}

// settled is how long after the last step everything has been published.
const settled = 15 * time.Second

// passLong lets a long time go by. What the processes do twice a second is left out,
// because it would take most of the time of the test. It is done when the store begins
// or ceases to work.
func (w *world) passLong(d time.Duration) {
	time.Sleep(settled)
	for d > 0 {
		part := d
		w.mu.Lock()
		if w.store != nil && w.storeUp.IsZero() {
			part = min(d, time.Until(w.storeMends)+time.Millisecond)
		}
		w.mu.Unlock()
		running := w.living()
		for _, proc := range running {
			proc.halt()
		}
		w.passActive(part)
		for _, proc := range running {
			proc.run()
		}
		time.Sleep(settled)
		d -= part
	}
}

// passActive lets time go by, in which a user may make a request now and then.
func (w *world) passActive(d time.Duration) {
	r := &w.plan
	if active := w.browsers[r.below(len(w.browsers))]; r.chance(60) {
		for ; d > w.cfg.idle/2; d -= w.cfg.idle / 2 {
			time.Sleep(w.cfg.idle / 2)
			w.send(w.planRequest(active, plannedRequest{lost: r.chance(10)}))
		}
	}
	time.Sleep(d)
}

// living returns the processes that serve.
func (w *world) living() []*process {
	w.mu.Lock()
	defer w.mu.Unlock()
	var living []*process
	for _, proc := range w.processes {
		select {
		case <-proc.ready:
			if proc.alive() {
				living = append(living, proc)
			}
		default:
		}
	}
	return living
}

// step does one thing that the plan chooses.
func (w *world) step() {
	r := &w.plan
	b, place := w.browsers[r.below(len(w.browsers))], r.below(len(w.places))
	if w.loggedOut(b) && r.chance(70) {
		w.login(b, place)
		return
	}
	if r.chance(4) {
		w.goBack(b)
	}
	n := r.below(100)
	switch {
	case n < 60:
		w.burst(b)
		return
	case n < 94 && r.chance(60):
		w.burst(b)
		time.Sleep(r.between(0, w.cfg.latency+500*time.Millisecond))
	}
	switch {
	case n < 66:
		w.crash(place)
	case n < 72:
		if r.chance(50) { // a refresh that no request waits for
			w.send(w.planRequest(b, plannedRequest{why: refresh.OnDemand, leaves: r.between(time.Millisecond, 100*time.Millisecond)}))
			time.Sleep(r.between(0, w.cfg.latency))
		}
		w.restart(place, r.chance(50))
	case n < 80:
		w.providerOut(pick(r, "hangs", "error", "429", unverified, unverified), r.between(time.Second, time.Minute))
	case n < 85:
		w.storeOut(r.chance(60), r.between(time.Second, pick(r, 10*time.Second, 3*time.Minute, 90*time.Minute)))
	case n < 88:
		w.storeLoses(b)
	case n < 90:
		w.noteStep("logout")
		w.send(w.planRequest(b, plannedRequest{logout: true, revokes: r.chance(50)}))
	case n < 91:
		w.noteStep("everywhere")
		w.send(w.planRequest(b, plannedRequest{logout: true, all: true}))
	case n < 93:
		w.adminRevokes(r.chance(50), r.below(w.cfg.users), r.below(len(w.sessions)), place)
	case n < 94:
		w.disable(r.below(w.cfg.users))
	default:
		w.login(b, place)
	}
}

// loggedOut reports whether the browser has no session that is alive.
func (w *world) loggedOut(b *browser) bool {
	s, ok := w.cookiesOf(b)
	if !ok {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.aliveIn(s, 0)
}

// aliveIn reports whether the session of these cookies should be alive after that
// time. The caller holds mu.
func (w *world) aliveIn(s sentCookies, while time.Duration) bool {
	now, l := time.Now().Add(while), s.session
	return now.Before(l.ends) && now.Before(s.active.Add(w.cfg.idle)) && len(l.revoked) == 0 && !l.refusedByProvider(now)
}

func (w *world) noteStep(what string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts["step: "+what]++
	w.note("--- %s %v", what, args)
}

// goBack gives the browser its previous cookies: responses arrived in the wrong order,
// or the browser was restored.
func (w *world) goBack(b *browser) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, ok := w.sessionCookies[b.before[sessionCookie]]
	if now, has := w.sessionCookies[b.jar[sessionCookie]]; ok && has && before.session == now.session {
		w.note("--- browser %d goes back to generation %d", b.n, before.generation)
		b.jar, b.before = b.before, b.jar
	}
}

// burst sends requests of several tabs at about the same time.
func (w *world) burst(b *browser) {
	r := &w.plan
	n := 1 + r.below(6)
	w.noteStep("burst", b.n, n)
	for range n {
		e := plannedRequest{
			why:   pick(r, refresh.IfDue, refresh.IfDue, refresh.IfDue, refresh.IfDue, refresh.IfDue, refresh.OnDemand, refresh.Refused),
			polls: r.chance(25), lost: r.chance(15),
		}
		if r.chance(10) {
			e.leaves = r.between(time.Millisecond, 3*time.Second)
		}
		w.send(w.planRequest(b, e))
	}
}

// planRequest chooses when the request is sent, and how long its parts take.
func (w *world) planRequest(b *browser, e plannedRequest) plannedRequest {
	r := &w.plan
	e.browser, e.place = b, r.below(len(w.places))
	e.start, e.travel = r.between(0, 300*time.Millisecond), r.between(0, 50*time.Millisecond)
	if r.chance(5) {
		e.travel = r.between(0, 5*time.Second)
	}
	if r.chance(3) {
		e.travel = r.between(0, time.Minute)
	}
	e.upstream, e.answer = r.between(0, pick(r, 50*time.Millisecond, 3*time.Second)), r.between(0, pick(r, 50*time.Millisecond, 2*time.Second))
	if r.chance(5) {
		e.answer = r.between(0, 3*time.Minute)
	}
	return e
}

// login begins a session; the one that the browser had ends.
func (w *world) login(b *browser, place int) {
	proc := w.arrive(place)
	defer proc.requests.Done()
	if s, ok := w.cookiesOf(b); ok {
		if v, err := proc.m.Open(&http.Request{Header: s.header}); err == nil {
			w.logout(proc, plannedRequest{}, s, v)
		}
	}
	w.noteStep("login", b.n)
	now := time.Now()
	w.mu.Lock()
	l := &modelSession{n: len(w.sessions), sub: fmt.Sprint("user ", b.user), user: b.user, begun: now.Truncate(time.Millisecond), made: make(map[uint64]time.Time)}
	l.ends = now.Truncate(time.Second).Add(w.cfg.absolute)
	if w.cfg.refreshTokenEnds != 0 {
		l.refreshEnds = now.Add(w.cfg.refreshTokenEnds).Truncate(time.Second)
		if l.refreshEnds.Before(l.ends) {
			l.ends = l.refreshEnds
		}
	}
	if l.begun.Before(w.ended[l.sub]) { // within the same millisecond
		l.revoked = append(l.revoked, revoked{now, proc})
	}
	w.sessions = append(w.sessions, l)
	t := w.issue(l, 1, !w.cfg.refreshless)
	if w.cfg.refreshless && t.AccessExpires.Before(l.ends) {
		l.ends = t.AccessExpires
	}
	l.make(1)
	w.mu.Unlock()
	h := make(http.Header)
	s, err := begin(proc.sessions, h, t, time.Now())
	if err != nil {
		w.fail("login: %v", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l.id = s.ID
	w.byName[s.ID.Name()] = l
	b.take(w.t, h)
	w.sessionCookies[b.jar[sessionCookie]] = cookieFact{l, 1, t.Access.Reveal()}
	w.activityCookies[b.jar[activeCookie]] = activeFact{l, now.Truncate(time.Second)}
}

// finish repairs everything, waits until it works, and makes requests with every
// session that should be alive.
func (w *world) finish() {
	if w.mendStore != nil && w.mendStore.Stop() {
		w.storeWorks()
	}
	w.mu.Lock()
	w.outEnds = time.Now()
	w.mu.Unlock()
	time.Sleep(modelAftermath + modelTimeout)
	for range 3 {
		for _, b := range w.browsers {
			if !w.violated() {
				w.mustBeAlive(b)
			}
		}
		time.Sleep(w.plan.between(10*time.Second, 40*time.Second))
	}
	for _, proc := range w.places {
		<-proc.ready
		proc.m.Close()
		proc.halt()
	}
	w.running.Wait()
	if len(w.useless) > 0 {
		w.fail("%d refresh tokens of sessions that had ended were not given back", len(w.useless))
	}
}

// mustBeAlive makes a request that must succeed if its session should be alive.
func (w *world) mustBeAlive(b *browser) {
	s, ok := w.cookiesOf(b)
	if !ok {
		return
	}
	proc := w.arrive(w.plan.below(len(w.places)))
	defer proc.requests.Done()
	w.mu.Lock()
	alive, l := w.aliveIn(s, modelTimeout), s.session
	old := l.sent > s.generation && (w.store == nil || l.stored < l.sent)
	w.mu.Unlock()
	h, err := w.answer(proc, plannedRequest{browser: b}, s)
	w.mu.Lock()
	defer w.mu.Unlock()
	if alive && err == nil {
		w.counts["alive at the end"]++
	}
	if alive && err != nil && !old && l.killed.IsZero() {
		w.violate("session %d should be alive in browser %d: %v", l.n, b.n, err)
	}
	if h != nil {
		b.take(w.t, h)
	}
}
