package refresh

import (
	"context"
	"fmt"
	"time"

	"cognito-token-handler/tokenhandler/session"
)

// Replicas is what the processes that serve the same sessions share of their
// refreshes: one lease and one result per session. It sees sealed values only. An
// error of any method means an outage of the store: then nothing is known. All methods
// are safe for concurrent use and end with their context.
type Replicas interface {
	// Claim asks for the lease of a session, in order to refresh the given generation.
	// While another process holds the lease, Claim waits. It returns the newest result
	// if that is of a later generation; otherwise the caller holds the lease until
	// Publish, Release, or the given time from now. A store that may have lost its
	// memory gives no lease until all processes have said Restored, or the leases that it
	// may have forgotten have run out.
	Claim(ctx context.Context, name session.Name, generation uint64, lease time.Duration) (Claim, error)
	// Publish keeps a result for the given time, unless there is one of the same or a
	// later generation, and gives up the lease with this name, if any. A generation
	// replaces a refusal to make it.
	Publish(ctx context.Context, name session.Name, lease string, result Result, keep time.Duration) error
	// Release gives up a lease without a result. Releasing one that has run out is no error.
	Release(ctx context.Context, name session.Name, lease string) error
	// Epoch changes when the store may have lost what was published: then it is
	// published again. It uses no network.
	Epoch() uint64
	// Restored tells that this process has published again what it had when the epoch
	// began. It uses no network.
	Restored(epoch uint64)
}

// Result is how a refresh ended.
type Result struct {
	// Generation is the one that the refresh made, or would have made.
	Generation uint64
	// Sealed is that generation; empty if the provider refused to make it.
	Sealed []byte
}

// Claim is the answer to a claim: a result, or a lease.
type Claim struct {
	Result

	// Lease names the lease that the caller now holds, or is empty. It is given up by itself
	// not before Ends.
	Lease string
	Ends  time.Time
}

// mayRace reports whether this process may refresh s without the lease, while another
// replica may do the same: the provider accepts a replaced refresh token for long
// enough, or it does not replace any.
func (m *Manager) mayRace(s *session.Session) bool {
	if m.cfg.RotationGrace >= shortestGrace {
		return true
	}
	return !s.Rotates && (s.Generation > 1 || m.notRotated.Load())
}

const (
	// publishEvery is how often [Manager.Run] publishes what the store lacks. It is much
	// shorter than the time that a store gives no lease for after a loss.
	publishEvery = 500 * time.Millisecond
	// handOverEvery is the same for a process that shuts down: it has nothing else to do.
	handOverEvery = 100 * time.Millisecond
)

// Run publishes again what the store has lost, or did not take, until ctx ends.
// Without replicas it returns at once.
func (m *Manager) Run(ctx context.Context) {
	if m.cfg.Replicas == nil {
		return
	}
	ticks := time.NewTicker(publishEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			m.publishMissing(ctx)
		}
	}
}

func (m *Manager) publishMissing(ctx context.Context) {
	epoch := m.cfg.Replicas.Epoch()
	for _, g := range m.memory.missing(epoch) {
		sealed, err := m.cfg.seal(g.Session)
		if err == nil {
			result := Result{Generation: g.Generation, Sealed: sealed}
			err = m.cfg.Replicas.Publish(ctx, g.ID.Name(), "", result, m.cfg.keepFor(g.Session, m.cfg.Now()))
			if err != nil {
				return // the store is not reached: the next tick tries again
			}
		}
		m.memory.published(g, epoch) // what cannot be sealed now never can
	}
	m.cfg.Replicas.Restored(epoch)
}

// HandOver publishes what only this process has. It is for a process that shuts down,
// after [Manager.Close]: a rotated refresh token that neither the store took nor a
// browser has shown is the only one of its session that still works. HandOver returns
// when nothing is left, or when ctx ends, with an error.
func (m *Manager) HandOver(ctx context.Context) error {
	if m.cfg.Replicas == nil {
		return nil // no other process would know the session
	}
	ticks := time.NewTicker(handOverEvery)
	defer ticks.Stop()
	for {
		m.publishMissing(ctx)
		left := m.memory.onlyHere(m.cfg.Replicas.Epoch())
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
