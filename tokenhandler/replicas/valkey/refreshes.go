package valkey

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// settleTime is how long a store that may have lost something gives no lease in any
// case. In that time a replica connects again (after at most [lastPause]), takes its
// leases again, and tells the store of the other replicas, for which the store then waits.
const settleTime = 2 * time.Second

// A claim asks again and again whether the other replica has finished. The pause
// grows from the first to the last. A refresh takes about 100 ms.
const (
	firstPoll = 10 * time.Millisecond
	lastPoll  = 50 * time.Millisecond
)

// Claim asks for the lease of a session. It waits while another replica has it, until
// ctx ends or the store fails. It implements [refresh.Replicas].
func (s *Store) Claim(ctx context.Context, name session.Name, generation uint64, lease time.Duration) (refresh.Claim, error) {
	asked, wait := newName(), firstPoll
	for {
		ends := s.now().Add(lease)
		answer, err := s.call(ctx, s.scripts.claim, []string{leaseKey(name), resultKey(name), membersKey},
			digits(generation), asked, milliseconds(lease), milliseconds(settleTime))
		if err == nil && !isClaimAnswer(answer) {
			err = errAnswer
		}
		if err != nil {
			s.leases.abandon(name, asked, ends) // the store may have given it all the same
			return refresh.Claim{}, fmt.Errorf("claiming a refresh: %w", err)
		}
		switch answer[0] {
		case "result":
			return readResult(answer)
		case "lease":
			s.leases.hold(name, asked, ends)
			return refresh.Claim{Lease: asked, Ends: ends}, nil
		}
		if wait == firstPoll {
			s.metrics.LeaseWaits.Inc()
		}
		if err := pause(ctx, wait); err != nil {
			return refresh.Claim{}, fmt.Errorf("claiming a refresh: %w", err)
		}
		wait = min(wait*3/2, lastPoll)
	}
}

// isClaimAnswer reports whether the claim script can have returned this.
func isClaimAnswer(answer []string) bool {
	switch len(answer) {
	case 1:
		return answer[0] == "lease" || answer[0] == "busy"
	case 3:
		return answer[0] == "result"
	}
	return false
}

func readResult(answer []string) (refresh.Claim, error) {
	generation, err := strconv.ParseUint(answer[1], 10, 64)
	if err != nil || digits(generation) != answer[1] {
		return refresh.Claim{}, fmt.Errorf("claiming a refresh: %w", errAnswer)
	}
	result := refresh.Result{Generation: generation}
	if answer[2] != "" {
		result.Sealed = []byte(answer[2])
	}
	return refresh.Claim{Result: result}, nil
}

// Publish shares the result of a refresh and gives back the lease. If the store does not
// take the result, the lease stays until a later call publishes that result or a newer
// one: a store that has lost the lease meanwhile gets it again. It implements
// [refresh.Replicas].
func (s *Store) Publish(ctx context.Context, name session.Name, lease string, result refresh.Result, keep time.Duration) error {
	if lease == "" {
		lease = s.leases.unpublished(name, result.Generation)
	} else {
		s.leases.finish(name, lease, result.Generation)
	}
	_, err := s.call(ctx, s.scripts.publish, []string{leaseKey(name), resultKey(name)},
		digits(result.Generation), string(result.Sealed), milliseconds(keep), lease)
	if err != nil {
		return fmt.Errorf("publishing a refresh: %w", err)
	}
	s.leases.drop(name, lease)
	return nil
}

// Release gives back a lease without a result. It implements [refresh.Replicas].
func (s *Store) Release(ctx context.Context, name session.Name, lease string) error {
	s.leases.drop(name, lease)
	if _, err := s.call(ctx, s.scripts.release, []string{leaseKey(name)}, lease); err != nil {
		return fmt.Errorf("releasing a refresh: %w", err)
	}
	return nil
}

// digits writes a generation so that scripts can compare it as text.
func digits(generation uint64) string { return fmt.Sprintf("%020d", generation) }

// milliseconds writes a duration. It is at least one millisecond, because the server
// refuses a key with a shorter life.
func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10)
}

// newName returns a name that nothing else has.
func newName() string { return rand.Text() }

// pause waits for the given time, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var _ refresh.Replicas = (*Store)(nil)
