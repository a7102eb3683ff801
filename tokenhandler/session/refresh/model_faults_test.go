package refresh_test

import (
	"fmt"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// crash kills a process. A new process starts at once.
func (w *world) crash(place int) {
	w.mu.Lock()
	old := w.places[place]
	select {
	case <-old.ready:
	default:
		w.mu.Unlock()
		return // it has not started yet
	}
	old.crashed = true
	if w.store != nil {
		w.trouble(modelLease)
	}
	w.mu.Unlock()
	w.noteStep("crash", old)
	old.halt()
	w.begin(w.replace(place))
}

// restart stops a process, which may finish its work, and starts a new one: at once,
// or when the old one has ended.
func (w *world) restart(place int, rolling bool) {
	w.mu.Lock()
	old := w.places[place]
	select {
	case <-old.ready:
	default:
		w.mu.Unlock()
		return // it has not started yet
	}
	old.draining = true
	w.mu.Unlock()
	w.noteStep("restart", old, rolling)
	next := w.replace(place)
	if rolling {
		w.begin(next)
	}
	old.m.Drain()
	w.running.Go(func() {
		old.requests.Wait()
		old.m.Close()
		old.halt()
		w.mu.Lock()
		old.ended = true
		w.note("%v ended", old)
		w.mu.Unlock()
		if !rolling {
			w.begin(next)
		}
	})
}

func (w *world) providerOut(kind string, d time.Duration) {
	w.noteStep("outage", kind, d)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outage, w.outEnds = kind, time.Now().Add(d)
	w.trouble(d + modelTimeout)
}

func (w *world) storeOut(down bool, d time.Duration) {
	w.mu.Lock()
	out := w.store == nil || w.storeUp.IsZero()
	w.mu.Unlock()
	if out {
		return
	}
	w.noteStep("store", down, d)
	w.breakStore(d, down)
	if w.plan.chance(30) {
		time.Sleep(w.plan.between(0, w.cfg.latency))
		w.restart(w.plan.below(len(w.places)), w.plan.chance(50))
	}
}

// storeLoses makes a generation, lets the store forget it, at once or much later, and
// lets the browser make further requests.
func (w *world) storeLoses(b *browser) {
	if w.store == nil {
		return
	}
	r := &w.plan
	w.noteStep("lose")
	w.send(w.planRequest(b, plannedRequest{why: refresh.OnDemand, lost: r.chance(50)}))
	if r.chance(50) {
		time.Sleep(r.between(0, w.cfg.latency+time.Second))
	} else {
		time.Sleep(r.between(modelGrace, 2*time.Minute))
		w.burst(b)
		time.Sleep(r.between(0, 5*time.Second))
		w.goBack(b)
	}
	w.loseStore()
	for range 3 {
		w.send(w.planRequest(b, plannedRequest{why: refresh.OnDemand}))
	}
}

func (w *world) adminRevokes(all bool, user, n, place int) {
	w.noteStep("revoke", all, user, n)
	proc := w.arrive(place)
	defer proc.requests.Done()
	w.mu.Lock()
	l := w.sessions[n]
	if !all {
		l.revoked = append(l.revoked, revoked{time.Now(), proc})
	}
	w.mu.Unlock()
	if all {
		w.revokeUser(proc, fmt.Sprint("user ", user))
		return
	}
	w.revoke(proc, replicas.Revocation{Kind: replicas.KindSession, Name: l.id.Name().String(), Until: l.begun.Add(w.cfg.absolute)})
}

// disable disables a user at the provider.
func (w *world) disable(user int) {
	w.noteStep("disable", user)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.sessions {
		if l.user == user && l.disabled.IsZero() {
			l.disabled = time.Now()
		}
	}
}

// breakStore takes the store out of service for d. If it is not down it is full:
// nothing can be written.
func (w *world) breakStore(d time.Duration, down bool) {
	w.mu.Lock()
	w.storeUp = time.Time{}
	w.trouble(d)
	w.mu.Unlock()
	w.store.SetOutage(down, !down)
	w.mendStore, w.storeMends = time.AfterFunc(d, w.storeWorks), time.Now().Add(d)
}

func (w *world) storeWorks() {
	w.store.SetOutage(false, false)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.storeUp = time.Now()
	w.note("the store works")
}

// loseStore lets the store forget everything. It gives no lease until those that it
// has forgotten have run out.
func (w *world) loseStore() {
	w.store.ForgetFor(modelLease)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble(modelLease)
	for _, l := range w.sessions {
		l.stored = 0
	}
	for _, fact := range w.access {
		for _, r := range fact.renewals {
			r.lost = r.lost || !r.published.IsZero()
		}
	}
}
