package chaos

import (
	"context"
	"sync"
	"syscall"
	"time"
)

// stop shuts a replica down with SIGTERM and starts it again.
func (s *script) stop(ctx context.Context) {
	s.fragile.Lock()
	defer s.fragile.Unlock()
	if ctx.Err() != nil {
		return
	}
	s.running.Lock()
	r := s.any()
	s.record(stopReplica, "%s is stopped", r.current().name)
	s.exit(r)
	s.revive(ctx, r)
	s.running.Unlock()
	pause(ctx, apart)
}

// stall makes a replica stand still, whatever it does at the moment.
func (s *script) stall(ctx context.Context) {
	s.running.Lock()
	defer s.running.Unlock()
	if ctx.Err() != nil {
		return
	}
	l := s.any().current()
	s.record(stallReplica, "%s stands still", l.name)
	l.child.Signal(syscall.SIGSTOP)
	pause(ctx, between(leastStall, mostStall))
	l.child.Signal(syscall.SIGCONT)
	s.record("", "%s goes on", l.name)
}

func (s *script) exit(r *replica) {
	if err := r.current().stop(); err != nil {
		s.world.fault("%v", err)
	}
	s.record("", "%s has ended", r.current().name)
}

func (s *script) revive(ctx context.Context, r *replica) {
	pause(ctx, between(100*time.Millisecond, time.Second))
	if err := r.start(context.WithoutCancel(ctx)); err != nil {
		s.world.fault("starting a replica again: %v", err)
	}
	s.record("", "%s is ready", r.current().name)
}

// stopUnshared shuts a replica down while it holds results that the store lacks: the
// store hangs from before the provider answers until some time later.
func (s *script) stopUnshared(ctx context.Context) { s.hit(ctx, s.unshared) }

// hit looks for a replica that the fault can end, and starts it again.
func (s *script) hit(ctx context.Context, fault func(context.Context, *life) bool) {
	s.fragile.Lock()
	defer s.fragile.Unlock()
	for range tries {
		if ctx.Err() != nil {
			return
		}
		if s.end(ctx, fault) {
			pause(ctx, apart)
			return
		}
	}
}

// end lets the fault end a replica, and starts it again. It reports false if the replica
// has no such refreshes.
func (s *script) end(ctx context.Context, fault func(context.Context, *life) bool) bool {
	s.running.Lock()
	defer s.running.Unlock()
	r := s.any()
	if !fault(ctx, r.current()) {
		return false
	}
	s.revive(ctx, r)
	return true
}

func (s *script) unshared(ctx context.Context, l *life) bool {
	s.steady.Lock()
	defer s.steady.Unlock()
	held := 0
	if !s.awaitWell(ctx) {
		return false
	}
	l.front.hold()
	defer l.front.open()
	if !until(ctx, heldTime, func() bool {
		waiting, working, _ := l.front.state()
		held = waiting
		return waiting > 0 && working == 0
	}) {
		return false
	}
	begun := time.Now()
	_, _, before := l.front.state()
	s.world.store.Hang()
	l.front.open()
	until(ctx, heldTime, func() bool {
		_, working, answered := l.front.state()
		return working == 0 && answered >= before+held
	})
	s.record(stopUnshared, "%s is stopped with %d results, the store hangs", l.name, held)
	var waking sync.WaitGroup
	waking.Go(func() {
		pause(ctx, between(time.Second, 3*time.Second))
		s.world.store.Wake()
	})
	if err := l.stop(); err != nil {
		s.world.fault("%v", err)
	}
	s.record("", "%s has ended", l.name)
	waking.Wait()
	s.recover(context.WithoutCancel(ctx), begun)
	return true
}

// kill kills a replica while it waits for the provider (see the package comment). It
// gives up if the store failed meanwhile or if no replica has a refresh in progress.
func (s *script) kill(ctx context.Context) { s.hit(ctx, s.strike) }

func (s *script) strike(ctx context.Context, l *life) bool {
	s.steady.Lock()
	defer s.steady.Unlock()
	if !s.awaitWell(ctx) {
		return false
	}
	before, err := l.counters(ctx)
	if err != nil {
		return false
	}
	l.front.hold()
	defer l.front.open()
	var after counters
	idle := func() bool {
		held, working, answered := l.front.state()
		if held == 0 || working > 0 {
			return false
		}
		after, err = l.counters(ctx)
		return err == nil && int(after.rotated) == answered
	}
	if !until(ctx, heldTime, idle) || !pause(ctx, storeTimeout) {
		return false
	}
	if after, err = l.counters(ctx); err != nil || after.failed != before.failed {
		return false
	}
	users, from := l.kill(), time.Now()
	s.record(killReplica, "%s was killed, refreshes under way: %v", l.name, users)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, user := range users {
		s.leases[user] = append(s.leases[user], window{from, from.Add(leaseTime)})
	}
	return true
}
