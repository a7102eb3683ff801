package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cognito-token-handler/tokenhandler/secret"
)

// tokenFact is what the provider knows of an access token.
type tokenFact struct {
	life       *life
	generation uint64
	expires    time.Time
	renewals   []*renewal // what was made with the refresh token that came with it
}

// refreshFact is what the provider knows of a refresh token.
type refreshFact struct {
	life *life
	used time.Time // first; zero for never
}

// renewal is one success of the provider.
type renewal struct {
	by        *incarnation
	at        time.Time
	published time.Time // the store took it; zero for not yet
	lost      bool      // and lost it
	arrived   bool      // the process has it
}

// caller is a process's way to the provider.
type caller struct{ inc *incarnation }

// Refresh takes some time to get there, and the answer some time to come back.
func (c caller) Refresh(ctx context.Context, previous secret.Tokens) (secret.Tokens, error) {
	w := c.inc.w
	knows := w.called(c.inc, previous)
	if err := c.inc.wait(ctx, knows.there); err != nil {
		return secret.Tokens{}, err
	}
	renewed, r, err := w.renew(c.inc, previous, knows)
	if errors.Is(err, errHangs) {
		<-ctx.Done()
		return secret.Tokens{}, ctx.Err()
	}
	if err := c.inc.wait(ctx, knows.back); err != nil {
		return secret.Tokens{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	fact := w.access[previous.Access.Reveal()]
	switch {
	case r != nil:
		r.arrived = true
		fact.life.make(fact.generation + 1)
		c.inc.knows(fact.life, fact.generation+1)
		if fact.life.mustBeRevoked(c.inc, time.Now()) && !renewed.Refresh.IsZero() {
			w.useless[renewed.Refresh.Reveal()] = true
		}
	case errors.As(err, new(rejectedError)) && fact.life.refusedAt.IsZero():
		fact.life.refusedAt, fact.life.refusedBy, fact.life.refusedOf = time.Now(), c.inc, fact.generation
	}
	return renewed, err
}

// call is what a process could know when it called the provider, and how long
// the call takes.
type call struct {
	at          time.Time
	there, back time.Duration
	known       uint64 // the latest generation that it knew
	certain     uint64 // the same, without what it learned at that very moment
	stored      uint64 // the latest generation in the store when it was asked
	leased      bool
	storeBack   bool
}

// called judges that the process calls at all.
func (w *world) called(inc *incarnation, previous secret.Tokens) call {
	w.mu.Lock()
	defer w.mu.Unlock()
	fact, now := w.access[previous.Access.Reveal()], time.Now()
	l := fact.life
	knows := call{now, w.latency(), w.latency(), inc.known[l].generation, inc.known[l].at(now), l.leaseStored, l.leasedTo(inc, now), w.storeBack(now)}
	inc.asked[l] = true
	w.counts["provider: called"]++
	w.note("%v calls the provider for session %d generation %d", inc, l.n, fact.generation)
	if l.mustBeRevoked(inc, now) && !inc.crashed {
		w.violate("session %d was refreshed after its end", l.n)
	}
	if w.store != nil && !knows.leased && !inc.crashed && (!w.cfg.mayRace() || !w.storeTroubled(now) && !inc.gaveUp.Equal(now)) {
		w.violate("%v refreshes session %d alone", inc, l.n)
	}
	if w.store != nil && !l.refusedAt.IsZero() && !l.refusedBy.crashed && !inc.crashed && fact.generation <= l.refusedOf && !w.troubled(l.refusedAt) {
		w.violate("%v asks for session %d again, which was refused", inc, l.n)
	}
	return knows
}

// latency is of one way. The caller holds mu.
func (w *world) latency() time.Duration { return w.noise.between(time.Millisecond, w.cfg.latency/2) }

var errHangs, errProviderDown = errors.New("no answer"), errors.New("the provider is down")

// renew is what happens at the provider.
func (w *world) renew(inc *incarnation, previous secret.Tokens, knows call) (renewed secret.Tokens, r *renewal, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	fact, token := w.access[previous.Access.Reveal()], w.refresh[previous.Refresh.Reveal()]
	l := fact.life
	if token.life != l {
		w.violate("the refresh token of session %d came with the access token of session %d", token.life.n, l.n)
	}
	if now.Before(w.outEnds) {
		w.counts["provider: out"]++
		return renewed, nil, map[string]error{"hangs": errHangs, "error": errProviderDown, "429": busyError{}}[w.outage]
	}
	if l.gone(now) {
		w.counts["provider: refused"]++
		w.note("provider refuses session %d", l.n)
		return renewed, nil, rejectedError{}
	}
	reuse := w.cfg.rotates() && !token.used.IsZero() && !now.Before(token.used.Add(w.cfg.grace))
	if len(fact.renewals) > 0 {
		w.judgeAgain(inc, fact, knows, reuse)
	}
	if reuse {
		w.counts["provider: reuse"]++
		w.note("provider sees a reuse and ends session %d", l.n)
		l.killed = now
		return renewed, nil, rejectedError{}
	}
	if token.used.IsZero() {
		token.used = now
	}
	r = &renewal{by: inc, at: now}
	fact.renewals = append(fact.renewals, r)
	w.counts["provider: renewed"]++
	renewed = w.issue(l, fact.generation+1, w.cfg.rotates())
	w.note("provider renews session %d", l.n)
	return renewed, r, nil
}

// issue makes tokens. The caller holds mu.
func (w *world) issue(l *life, generation uint64, withRefresh bool) secret.Tokens {
	now := time.Now()
	l.issued++
	access, refresh := fmt.Sprintf("access %d %d", l.n, l.issued), fmt.Sprintf("refresh %d %d", l.n, l.issued)
	expires := now.Add(w.cfg.access).Truncate(time.Second)
	w.access[access] = &tokenFact{life: l, generation: generation, expires: expires}
	t := secret.Tokens{Access: secret.New(access), AccessExpires: expires, Subject: l.sub, RefreshExpires: l.refreshEnds}
	if withRefresh {
		w.refresh[refresh] = &refreshFact{life: l}
		t.Refresh = secret.New(refresh)
	}
	return t
}

// judgeAgain judges a call with a generation that was renewed before. It is a
// violation if the process could know the outcome, which is in its own memory,
// in the store, or in another living process that must bring it to the store.
func (w *world) judgeAgain(inc *incarnation, fact *tokenFact, knows call, reuse bool) {
	l, now := fact.life, time.Now()
	shown := l.shown > fact.generation
	excuse := ""
	for _, r := range fact.renewals {
		graced := now.Before(r.at.Add(modelGrace))
		published := !r.published.IsZero() && r.published.Before(knows.at)
		owed := graced || w.cfg.rotates() && !shown // who has the outcome must keep it
		switch {
		case inc.crashed:
			excuse = "crash"
		case !r.arrived && r.by.ended && !r.by.crashed:
			w.violate("%v ended without waiting for generation %d of session %d", r.by, fact.generation+1, l.n)
		case r.by == inc && (w.cfg.rotates() || owed):
			w.violate("%v forgot that it had renewed generation %d of session %d", inc, fact.generation, l.n)
		case w.cfg.rotates() && knows.certain > fact.generation:
			w.violate("%v forgot that it had been shown a later generation than %d of session %d", inc, fact.generation, l.n)
		case w.store == nil:
			excuse = "no store"
		case !knows.leased:
			excuse = "alone" // allowed, see called
		case knows.stored > fact.generation && knows.stored >= knows.known:
			w.violate("the store had a later generation than %d of session %d", fact.generation, l.n)
		case r.lost && r.by.alive() && owed && knows.storeBack,
			!published && r.by.alive() && owed && knows.at.Sub(r.at) > modelLease && w.storeBack(now):
			w.violate("%v did not publish again what generation %d of session %d became", r.by, fact.generation, l.n)
		case r.lost:
			excuse = "the store lost it"
		case !published && r.by.crashed:
			excuse = "crash"
		case !published && w.troubled(r.at):
			excuse = "outage"
		case w.cfg.rotates() || owed && knows.known <= max(knows.stored, fact.generation):
			w.violate("generation %d of session %d was renewed twice", fact.generation, l.n)
		}
	}
	if excuse != "" && reuse {
		w.counts["excused: "+excuse]++
		w.note("excused, %s", excuse)
	}
}

// alive reports whether the process still runs. The caller holds world.mu.
func (i *incarnation) alive() bool { return !i.crashed && !i.ended }

// storeTroubled reports whether the store may have been unreachable when a
// call at now was decided on. The caller holds mu.
func (w *world) storeTroubled(now time.Time) bool {
	return w.storeUp.IsZero() || now.Sub(w.storeUp) < 2*modelLease
}

// storeBack reports whether the store works and has for long enough to have
// been told everything. The caller holds mu.
func (w *world) storeBack(now time.Time) bool {
	return !w.storeUp.IsZero() && now.Sub(w.storeUp) > 3*time.Second
}
