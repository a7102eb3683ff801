package refresh_test

import (
	"context"
	"time"

	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// link is how one process calls the store.
type link struct{ proc *process }

var _ refresh.Replicas = link{}

func (k link) Claim(ctx context.Context, name session.Name, generation uint64, lease time.Duration) (refresh.Claim, error) {
	w := k.proc.w
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		w.mu.Lock()
		way := w.noise.between(100*time.Microsecond, 2*time.Millisecond)
		w.mu.Unlock()
		if err := k.proc.wait(ctx, way); err != nil {
			return refresh.Claim{}, err
		}
		claim, done, err := w.store.TryClaim(name, generation, lease)
		if done || err != nil {
			k.claimed(name, generation, claim, err)
			return claim, err
		}
		if err := k.proc.wait(ctx, pause); err != nil {
			w.mu.Lock()
			k.proc.gaveUp = time.Now()
			w.mu.Unlock()
			return refresh.Claim{}, err
		}
	}
}

func (k link) claimed(name session.Name, generation uint64, claim refresh.Claim, err error) {
	w := k.proc.w
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.byName[name]
	k.proc.asked[l] = true
	k.proc.learns(l, claim.Generation)
	w.note("%v claims session %d beyond generation %d: lease %q, generation %d, %v", k.proc, l.n, generation, claim.Lease, claim.Generation, err)
	if claim.Lease != "" {
		l.leased, l.leaseEnds, l.leaseStored = k.proc, time.Now().Add(modelLease), l.stored
	}
}

func (k link) Publish(ctx context.Context, name session.Name, lease string, result refresh.Result, keep time.Duration) error {
	w := k.proc.w
	if k.proc.dead() {
		<-ctx.Done()
		return ctx.Err()
	}
	err := w.store.Publish(ctx, name, lease, result, keep)
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.byName[name]
	w.note("%v publishes session %d generation %d: %v", k.proc, l.n, result.Generation, err)
	if err != nil {
		return err
	}
	l.stored = max(l.stored, result.Generation)
	for _, fact := range w.access {
		if fact.session != l || fact.generation >= result.Generation {
			continue
		}
		for _, r := range fact.renewals {
			if r.lost || r.published.IsZero() {
				r.published, r.lost = time.Now(), false
			}
		}
	}
	return nil
}

func (k link) Release(ctx context.Context, name session.Name, lease string) error {
	if k.proc.dead() {
		<-ctx.Done()
		return ctx.Err()
	}
	return k.proc.w.store.Release(ctx, name, lease)
}

func (k link) Epoch() uint64 { return k.proc.w.store.Epoch() }

func (k link) Restored(epoch uint64) { k.proc.w.store.Restored(epoch) }
