package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	contract "cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// tokenFact is what the provider knows of an access token.
type tokenFact struct {
	session    *modelSession
	generation uint64
	expires    time.Time
	renewals   []*renewal // made with the refresh token that was issued with it
	unverified bool       // its answer could not be verified: nobody may get it
}

// factOf is what the provider knows of a generation with these tokens. The caller holds
// mu.
func (w *world) factOf(access, refresh secret.String) *tokenFact {
	if partial := w.access[partialPrefix+refresh.Reveal()]; partial != nil {
		return partial
	}
	return w.access[access.Reveal()]
}

// partialPrefix begins the key of a generation that has a new refresh token only.
const partialPrefix = "partial with "

// refreshFact is what the provider knows of a refresh token.
type refreshFact struct {
	session *modelSession
	used    time.Time // for the first time; zero for never
}

// renewal is one successful refresh at the provider.
type renewal struct {
	by        *process
	at        time.Time
	published time.Time // when the store took it; zero if it has not
	lost      bool      // the store lost it
	arrived   bool      // the process got the response
}

// caller is how one process calls the provider.
type caller struct{ proc *process }

// Refresh takes some time until the request arrives, and some until the response does.
func (c caller) Refresh(ctx context.Context, previous secret.Tokens) (secret.Tokens, error) {
	w := c.proc.w
	facts := w.called(c.proc, previous)
	if err := c.proc.wait(ctx, facts.there); err != nil {
		return secret.Tokens{}, err
	}
	renewed, r, err := w.renew(c.proc, previous, facts)
	if errors.Is(err, errHangs) {
		<-ctx.Done()
		return secret.Tokens{}, ctx.Err()
	}
	if err := c.proc.wait(ctx, facts.back); err != nil {
		return secret.Tokens{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	fact := w.factOf(previous.Access, previous.Refresh)
	switch {
	case r != nil:
		r.arrived = true
		fact.session.make(fact.generation + 1)
		c.proc.learns(fact.session, fact.generation+1)
		if fact.session.mustBeRevoked(c.proc, time.Now()) && !renewed.Refresh.IsZero() {
			w.useless[renewed.Refresh.Reveal()] = true
		}
	case errors.As(err, new(rejectedError)) && fact.session.refusedAt.IsZero():
		fact.session.refusedAt, fact.session.refusedBy, fact.session.refusedOf = time.Now(), c.proc, fact.generation
	}
	return renewed, err
}

// callFacts are what a process could know when it called the provider, and how long
// the call takes.
type callFacts struct {
	at          time.Time
	there, back time.Duration
	known       uint64 // the latest generation that it knew
	certain     uint64 // the same without what it learned at that moment
	stored      uint64 // the latest generation in the store when it gave the lease
	leased      bool
	storeBack   bool
}

// called checks that the process may call the provider at all.
func (w *world) called(proc *process, previous secret.Tokens) callFacts {
	w.mu.Lock()
	defer w.mu.Unlock()
	fact, now := w.factOf(previous.Access, previous.Refresh), time.Now()
	l := fact.session
	facts := callFacts{now, w.latency(), w.latency(), proc.known[l].generation, proc.known[l].at(now), l.leaseStored, l.leasedTo(proc, now), w.storeBack(now)}
	proc.asked[l] = true
	w.counts["provider: called"]++
	w.note("%v calls the provider for session %d generation %d", proc, l.n, fact.generation)
	if l.mustBeRevoked(proc, now) && !proc.crashed {
		w.violate("session %d was refreshed after its end", l.n)
	}
	if w.store != nil && !facts.leased && !proc.crashed && (!w.cfg.mayRace() || !w.storeTroubled(now) && !proc.gaveUp.Equal(now)) {
		w.violate("%v refreshes session %d alone", proc, l.n)
	}
	if w.store != nil && !l.refusedAt.IsZero() && !l.refusedBy.crashed && !proc.crashed && fact.generation <= l.refusedOf && !w.troubled(l.refusedAt) {
		w.violate("%v asks for session %d again, which was refused", proc, l.n)
	}
	return facts
}

// latency is that of one direction. The caller holds mu.
func (w *world) latency() time.Duration { return w.noise.between(time.Millisecond, w.cfg.latency/2) }

var errHangs, errProviderDown = errors.New("no answer"), errors.New("the provider is down")

// renew is what the provider does with the request.
func (w *world) renew(proc *process, previous secret.Tokens, facts callFacts) (renewed secret.Tokens, r *renewal, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	fact, token := w.factOf(previous.Access, previous.Refresh), w.refresh[previous.Refresh.Reveal()]
	l := fact.session
	if token.session != l {
		w.violate("the refresh token of session %d came with the access token of session %d", token.session.n, l.n)
	}
	if now.Before(w.outEnds) && w.outage != unverified {
		w.counts["provider: out"]++
		return renewed, nil, map[string]error{"hangs": errHangs, "error": errProviderDown, "429": busyError{}}[w.outage]
	}
	if l.refusedByProvider(now) {
		w.counts["provider: refused"]++
		w.note("provider refuses session %d", l.n)
		return renewed, nil, rejectedError{}
	}
	reuse := w.cfg.rotates() && !token.used.IsZero() && !now.Before(token.used.Add(w.cfg.grace))
	if len(fact.renewals) > 0 {
		w.judgeAgain(proc, fact, facts, reuse)
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
	spoils := now.Before(w.outEnds) // all outages but one have been answered
	if spoils && !w.cfg.rotates() {
		w.spoil(fact, w.issue(l, fact.generation+1, false))
		return renewed, nil, unverifiedError{} // which changes nothing
	}
	r = &renewal{by: proc, at: now}
	fact.renewals = append(fact.renewals, r)
	w.counts["provider: renewed"]++
	renewed = w.issue(l, fact.generation+1, w.cfg.rotates())
	w.note("provider renews session %d", l.n)
	if spoils {
		return w.spoil(fact, renewed), r, unverifiedError{}
	}
	return renewed, r, nil
}

// unverified is the outage in which no answer of the provider can be verified.
const unverified = "unverified"

type unverifiedError struct{}

func (unverifiedError) Error() string { return "not verified yet" }
func (unverifiedError) Unwrap() error { return contract.ErrUnverified }

// spoil returns what is left of an answer that cannot be verified: the refresh token. The
// caller holds mu.
func (w *world) spoil(previous *tokenFact, renewed secret.Tokens) secret.Tokens {
	w.counts["provider: unverified"]++
	w.access[renewed.Access.Reveal()].unverified = true
	if !renewed.Refresh.IsZero() {
		w.access[partialPrefix+renewed.Refresh.Reveal()] = &tokenFact{session: previous.session, generation: previous.generation + 1, expires: previous.expires}
	}
	return secret.Tokens{Refresh: renewed.Refresh, RefreshExpires: renewed.RefreshExpires}
}

// issue makes tokens. The caller holds mu.
func (w *world) issue(l *modelSession, generation uint64, withRefresh bool) secret.Tokens {
	now := time.Now()
	l.issued++
	access, refresh := fmt.Sprintf("access %d %d", l.n, l.issued), fmt.Sprintf("refresh %d %d", l.n, l.issued)
	expires := now.Add(w.cfg.access).Truncate(time.Second)
	w.access[access] = &tokenFact{session: l, generation: generation, expires: expires}
	t := secret.Tokens{Access: secret.New(access), AccessExpires: expires, Subject: l.sub, RefreshExpires: l.refreshEnds}
	if withRefresh {
		w.refresh[refresh] = &refreshFact{session: l}
		t.Refresh = secret.New(refresh)
	}
	return t
}

// judgeAgain checks a call for a generation that was refreshed before. The call is
// wrong if the process could know the result: it is in its memory, in the store, or in
// another living process, which must publish it.
func (w *world) judgeAgain(proc *process, fact *tokenFact, facts callFacts, reuse bool) {
	l, now := fact.session, time.Now()
	sentLater := l.sent > fact.generation
	excuse := ""
	for _, r := range fact.renewals {
		graced := now.Before(r.at.Add(modelGrace))
		published := !r.published.IsZero() && r.published.Before(facts.at)
		owed := graced || w.cfg.rotates() && !sentLater // whoever has the result must keep it
		switch {
		case proc.crashed:
			excuse = "crash"
		case !r.arrived && r.by.ended && !r.by.crashed:
			w.violate("%v ended without waiting for generation %d of session %d", r.by, fact.generation+1, l.n)
		case r.by == proc && (w.cfg.rotates() || owed):
			w.violate("%v forgot that it had renewed generation %d of session %d", proc, fact.generation, l.n)
		case w.cfg.rotates() && facts.certain > fact.generation:
			w.violate("%v forgot that it had been sent a later generation than %d of session %d", proc, fact.generation, l.n)
		case w.store == nil:
			excuse = "no store"
		case !facts.leased:
			excuse = "alone" // allowed, see called
		case facts.stored > fact.generation && facts.stored >= facts.known:
			w.violate("the store had a later generation than %d of session %d", fact.generation, l.n)
		case r.lost && r.by.alive() && owed && facts.storeBack,
			!published && r.by.alive() && owed && facts.at.Sub(r.at) > modelLease && w.storeBack(now):
			w.violate("%v did not publish again what generation %d of session %d became", r.by, fact.generation, l.n)
		case r.lost:
			excuse = "the store lost it"
		case !published && r.by.crashed:
			excuse = "crash"
		case !published && w.troubled(r.at):
			excuse = "outage"
		case w.cfg.rotates() || owed && facts.known <= max(facts.stored, fact.generation):
			w.violate("generation %d of session %d was renewed twice", fact.generation, l.n)
		}
	}
	if excuse != "" && reuse {
		w.counts["excused: "+excuse]++
		w.note("excused, %s", excuse)
	}
}

// alive reports whether the process still runs. The caller holds world.mu.
func (i *process) alive() bool { return !i.crashed && !i.ended }

// storeTroubled reports whether the store may have been out of service when a call at
// now was decided. The caller holds mu.
func (w *world) storeTroubled(now time.Time) bool {
	return w.storeUp.IsZero() || now.Sub(w.storeUp) < 2*modelLease
}

// storeBack reports whether the store has worked for long enough to have every result.
// The caller holds mu.
func (w *world) storeBack(now time.Time) bool {
	return !w.storeUp.IsZero() && now.Sub(w.storeUp) > 3*time.Second
}
