package valkey

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/valkey-io/valkey-go"
)

// commandTimeout bounds every call, waiting for a connection included. A store
// on the same network answers in a millisecond; who waits is a user's request.
const commandTimeout = 250 * time.Millisecond

// maxCalls bounds the calls under way. The library has a queue of 1024, and who
// finds it full waits there without regard to the context.
const maxCalls = 512

// enough is the time after which a store without an answer is at fault. A call
// that ended sooner had little time left, which says nothing of the store.
const enough = commandTimeout - patience

// call runs a script, all within [commandTimeout]. If its connection breaks it
// tries once more: scripts may run twice. The answer is what follows the name of
// the store's life. The error is a reason of this package, or the context's.
func (s *Store) call(ctx context.Context, sc script, keys []string, args ...string) ([]string, error) {
	bounded, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	select {
	case s.calls <- struct{}{}:
		defer func() { <-s.calls }()
	case <-bounded.Done():
		if ctx.Err() != nil {
			return nil, s.canceled(ctx, sc.operation)
		}
		s.count(sc.operation, "timeout")
		return nil, errTimeout
	}
	for try := 1; ; try++ {
		l, err := s.use(bounded)
		if ctx.Err() != nil {
			return nil, s.canceled(ctx, sc.operation)
		}
		if err != nil {
			s.count(sc.operation, "down")
			return nil, err
		}
		answer, err := s.run(bounded, l, sc, keys, args)
		if ctx.Err() != nil && err != nil {
			return nil, s.canceled(ctx, sc.operation)
		}
		if err != nil && try == 1 && errors.Is(err, errUnreachable) {
			continue
		}
		return answer, err
	}
}

func (s *Store) canceled(ctx context.Context, operation string) error {
	s.count(operation, "canceled")
	return fmt.Errorf("waiting for the shared store: %w", ctx.Err())
}

// run runs a script once, on one link, and ends the link if that is the store's fault.
func (s *Store) run(ctx context.Context, l *link, sc script, keys, args []string) ([]string, error) {
	start := s.now()
	keys = append([]string{storeKey, deniedKey}, keys...)
	args = append([]string{freshName()}, args...)
	answer, err := sc.lua.Exec(ctx, l.client, keys, args).AsStrSlice()
	if err == nil && (len(answer) == 0 || answer[0] == "") {
		err = errAnswer
	}
	if err = s.judge(l, sc.operation, start, err); err != nil {
		return nil, err
	}
	s.observe(answer[0])
	return answer[1:], nil
}

// judge counts what a call came to, and ends the link if its failure is the
// store's. The caller's leaving is not.
func (s *Store) judge(l *link, operation string, start time.Time, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	took := s.now().Sub(start)
	s.metrics.Seconds.WithLabelValues(operation).Observe(took.Seconds())
	if err == nil || valkey.IsValkeyNil(err) {
		s.count(operation, "ok")
		return nil
	}
	why, whole := reason(err)
	s.count(operation, outcome(why))
	if whole && (!errors.Is(why, errTimeout) || took >= enough) {
		s.lose(l, why)
	}
	return why
}

func (s *Store) count(operation, outcome string) {
	s.metrics.Operations.WithLabelValues(operation, outcome).Inc()
}
