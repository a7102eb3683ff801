package refresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cognito-token-handler/tokenhandler/session"
)

// Replicas is what the processes that serve the same sessions share of their
// refreshes: one lease and one result a session. It sees sealed values only. An
// error of any method is an outage of the store: nothing is known then. All
// methods are safe for concurrent use and end with their context.
type Replicas interface {
	// Claim asks to be the one that refreshes session beyond generation. While
	// another process holds the lease it waits. It returns the newest result if
	// that is of a later generation; else the caller holds the lease until
	// Publish, Release, or the given time from now. A store that may have lost its
	// memory gives none until the leases that it may have forgotten are over.
	Claim(ctx context.Context, name session.Name, generation uint64, lease time.Duration) (Claim, error)
	// Publish keeps a result for the given time, unless one of the same or a later
	// generation is there, and gives up the lease with this name, if any.
	Publish(ctx context.Context, name session.Name, lease string, result Result, keep time.Duration) error
	// Release gives up a lease without a result. Releasing one that is over is no error.
	Release(ctx context.Context, name session.Name, lease string) error
	// Epoch changes when the store may have lost what was published: then it is
	// published again. It uses no network.
	Epoch() uint64
}

// Result is what a refresh came to.
type Result struct {
	// Generation is the one that the refresh made, or would have made.
	Generation uint64
	// Sealed is that generation; empty if the provider refused to make it.
	Sealed []byte
}

// Claim is the answer to a claim: a result, or a lease.
type Claim struct {
	Result

	// Lease names the lease that the caller now holds, or is empty.
	Lease string
}

// leaseMargin is how much longer a lease is than the call that it guards: who
// holds it must be done, or dead, before another begins.
const leaseMargin = 2 * time.Second

// errAlone says that a refresh could not be agreed with the other replicas.
var errAlone = errors.New("the shared store is not reached, and refreshing alone could end the session")

// outcome is what one try to renew a session came to: one of next, rejected and
// err is set.
type outcome struct {
	next     *session.Session
	rejected bool
	err      error
	// epoch is the store's that has it, or 0.
	epoch uint64
	// shared: another replica made it.
	shared bool
}

// renew renews a session under the lease of all replicas:
//
//  1. The lease, or what another replica has come to meanwhile. For a superseded
//     generation only that is of use.
//  2. Without the store: alone, unless that could look like theft to the provider.
//  3. One call to the provider, shorter than the lease, unless it turned out
//     meanwhile that the token was used up.
//  4. The result for the others; if that fails, [Manager.Run] tries again.
func (m *Manager) renew(detached context.Context, s *session.Session, f *flight) outcome {
	if m.cfg.Replicas == nil {
		return m.callAlone(detached, s, f)
	}
	lease, name := m.cfg.RefreshTimeout+leaseMargin, s.ID.Name()
	ctx, cancel := context.WithTimeout(detached, 2*lease)
	defer cancel()
	epoch := m.cfg.Replicas.Epoch()
	claim, err := m.cfg.Replicas.Claim(ctx, name, f.beyond(), lease)
	switch {
	case err != nil && !f.superseded && m.mayRace(s):
		m.metrics.Unshared.Inc()
		return m.callAlone(detached, s, f)
	case err != nil:
		return outcome{err: errors.Join(errAlone, err)}
	case claim.Lease == "":
		o := m.adopt(s, claim.Result)
		o.epoch, o.shared = epoch, true
		return o
	case f.superseded:
		_ = m.cfg.Replicas.Release(ctx, name, claim.Lease) // else it runs out
		return outcome{err: ErrSuperseded}
	}
	if newer, _ := m.newest(s); newer.Generation > s.Generation {
		// While this waited for the lease, a browser showed what s became.
		m.publish(ctx, s, claim.Lease, newer.Generation, outcome{next: newer})
		return outcome{next: newer, shared: true}
	}
	o := m.call(detached, s, f)
	if m.publish(ctx, s, claim.Lease, f.makes(), o) {
		o.epoch = epoch
	}
	return o
}

// callAlone makes the call, unless a browser has shown meanwhile what s became:
// a process that has just begun may see an older cookie first.
func (m *Manager) callAlone(ctx context.Context, s *session.Session, f *flight) outcome {
	if newer, _ := m.newest(s); newer.Generation > s.Generation {
		return outcome{next: newer, shared: true}
	}
	return m.call(ctx, s, f)
}

// adopt takes over what another replica has come to.
func (m *Manager) adopt(s *session.Session, result Result) outcome {
	if len(result.Sealed) == 0 {
		return outcome{rejected: true}
	}
	next, err := m.cfg.Store.OpenShared(s.ID, result.Generation, result.Sealed)
	return outcome{next: next, err: err}
}

// publish tells the other replicas and gives up the lease.
func (m *Manager) publish(ctx context.Context, s *session.Session, lease string, generation uint64, o outcome) bool {
	name := s.ID.Name()
	result := Result{Generation: generation}
	err := o.err
	if o.next != nil {
		if result.Sealed, err = m.cfg.Store.SealShared(o.next); err != nil {
			m.cfg.Log.ErrorContext(ctx, "refresh not shared", "error", err.Error(), "session", s.ID)
		}
	}
	if err != nil {
		_ = m.cfg.Replicas.Release(ctx, name, lease) // else it runs out
		return true
	}
	if err := m.cfg.Replicas.Publish(ctx, name, lease, result, m.keepFor(s)); err != nil {
		m.cfg.Log.WarnContext(ctx, "refresh not shared yet", "error", err.Error(), "session", s.ID)
		return false
	}
	return true
}

// keepFor is how long what s became is of use. Who holds an older cookie is
// served its access token by replicas that know of nothing newer until it ends,
// and may be active until then; then all look for what came of it, or the older
// cookie is dead after the idle timeout by itself. Whoever waits for the lease
// finds it in any case: also when the session has ended meanwhile, nobody shows
// a used-up token.
func (m *Manager) keepFor(s *session.Session) time.Duration {
	now := m.cfg.Now()
	served := max(s.AccessExpires.Sub(now), 0)
	keep := min(max(served+m.cfg.Store.IdleTimeout(), m.cfg.RefreshGrace)+session.TouchEvery, s.Ends().Sub(now))
	return max(keep, 2*(m.cfg.RefreshTimeout+leaseMargin))
}

// shortGrace is the shortest grace of the provider's rotation that lets
// replicas refresh side by side (FACTS COG-ROT-05).
const shortGrace = 10 * time.Second

// mayRace reports whether a refresh beside another replica's would do no harm:
// the provider's grace covers it, or it does not rotate at all.
func (m *Manager) mayRace(s *session.Session) bool {
	if m.cfg.RotationGrace >= shortGrace {
		return true
	}
	return !s.Rotates && (s.Generation > 1 || m.refreshes.steady.Load())
}

// publishAgainEvery is how often results are looked through that the store does
// not have. It is much shorter than a store takes to be trusted after a loss.
const publishAgainEvery = 500 * time.Millisecond

// Run publishes again what the store has lost, or did not take, until ctx ends.
// Without replicas it returns at once.
func (m *Manager) Run(ctx context.Context) {
	if m.cfg.Replicas == nil {
		return
	}
	ticks := time.NewTicker(publishAgainEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			m.publishAgain(ctx)
		}
	}
}

func (m *Manager) publishAgain(ctx context.Context) {
	epoch := m.cfg.Replicas.Epoch()
	for _, s := range m.refreshes.unpublished(epoch) {
		sealed, err := m.cfg.Store.SealShared(s)
		if err == nil {
			result := Result{Generation: s.Generation, Sealed: sealed}
			err = m.cfg.Replicas.Publish(ctx, s.ID.Name(), "", result, m.keepFor(s))
			if err != nil {
				return // the store is out: the next tick tries again
			}
		}
		m.refreshes.published(s, epoch) // what cannot be sealed never will be
	}
}

// handOverEvery is how often a process that is to end tries: its requests are
// over, and it has nothing else to do.
const handOverEvery = 100 * time.Millisecond

// HandOver publishes what only this process has, for when it is about to end: a
// rotated refresh token that neither the store took nor a browser has shown is
// the only one of its session that is still good. It returns when nothing is
// left, or the error of ctx. It comes after [Manager.Close].
func (m *Manager) HandOver(ctx context.Context) error {
	if m.cfg.Replicas == nil {
		return nil // nobody would know the session
	}
	ticks := time.NewTicker(handOverEvery)
	defer ticks.Stop()
	for {
		m.publishAgain(ctx)
		left := m.refreshes.onlyHere(m.cfg.Replicas.Epoch())
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("publishing the results of %d refreshes: %w", left, ctx.Err())
		case <-ticks.C:
		}
	}
}
