package valkey

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/valkey-io/valkey-go"

	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

const (
	// beatEvery is how often the store is asked to take a write.
	beatEvery = 500 * time.Millisecond
	// How long it is left alone after a failure, at first and at most. A new store
	// waits for all replicas only for the time of [settle].
	retryFirst = 20 * time.Millisecond
	retryMost  = 500 * time.Millisecond
	// steady is how long it must have been up for the next failure to be the first.
	steady = 5 * time.Second
)

// Config is what a [Store] needs.
type Config struct {
	// URL is of the form scheme://user:password@host:port/database; only the
	// scheme and the host must be there. The schemes valkeys and rediss use TLS,
	// with the certificate authorities of the system. Required.
	URL secret.String
	// Local is this process's deny list, which the store fills. Required.
	Local *memory.List
	// Now is the clock. Required.
	Now func() time.Time
	// Log receives when the store is lost and found. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Store is a connection to the shared store. It is safe for concurrent use.
type Store struct {
	options valkey.ClientOption
	local   *memory.List
	now     func() time.Time
	log     *slog.Logger
	metrics *Metrics
	scripts scripts
	state   state
	leases  leases
	calls   chan struct{} // one element a call under way

	pendingMu sync.Mutex
	pending   map[record]time.Time // revocation that the store does not have → when it is over
}

// New builds a store. It uses no network; [Store.Run] does. The error is that of
// a malformed URL and does not quote it.
func New(cfg Config) (*Store, error) {
	options, err := parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	s := &Store{
		options: options, local: cfg.Local, now: cfg.Now, log: cfg.Log, metrics: cfg.Metrics,
		scripts: newScripts(), pending: make(map[record]time.Time),
		calls: make(chan struct{}, maxCalls),
	}
	if s.metrics == nil {
		s.metrics = NewMetrics(nil)
	}
	s.state.up, s.state.why, s.state.epoch = make(chan struct{}), errNotConnected, 1
	s.leases.held = make(map[session.Name]heldLease)
	return s, nil
}

// Run connects, follows the deny list and reconnects until ctx ends. Until it
// has connected, every call fails at once. When it returns nothing of it is left.
func (s *Store) Run(ctx context.Context) {
	var closing sync.WaitGroup
	defer closing.Wait()
	wait, said := retryFirst, ""
	for ctx.Err() == nil {
		begun := s.now()
		up, err := s.live(ctx, &closing)
		if ctx.Err() != nil {
			return
		}
		if up {
			said = ""
		}
		if up && s.now().Sub(begun) > steady {
			wait = retryFirst
		}
		if text := err.Error(); text != said {
			s.log.WarnContext(ctx, "shared store lost", "error", text)
			said = text
		}
		if pause(ctx, wait) != nil {
			return
		}
		wait = min(wait*2, retryMost)
	}
}

// live is the life of one link. It returns why that ended, and whether the
// store was up.
//
//  1. Connect, and see that the store takes writes.
//  2. From here on calls use the link.
//  3. Read the deny list and follow it; beside that ask twice a second whether
//     the store is still well, and send what is pending.
func (s *Store) live(ctx context.Context, closing *sync.WaitGroup) (up bool, err error) {
	l, ctx, err := connect(ctx, s.options)
	if err != nil {
		why, _ := reason(err)
		s.setWhy(why)
		return false, why
	}
	defer closing.Go(l.close) // a server that hangs must not hold up the next try
	if err := s.probe(ctx, l); err != nil {
		s.setWhy(err)
		return false, err
	}
	s.gain(l)
	s.log.InfoContext(ctx, "shared store connected")
	var parts sync.WaitGroup
	parts.Go(func() { s.lose(l, s.follow(ctx, l)) })
	parts.Go(func() { s.lose(l, s.beat(ctx, l)) })
	parts.Wait()
	return true, fmt.Errorf("using the shared store: %w", context.Cause(ctx))
}

// probe makes one write over the link.
func (s *Store) probe(ctx context.Context, l *link) error {
	bounded, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	_, err := s.run(bounded, l, s.scripts.beat, nil, nil)
	return err
}

// beat probes the store, and finishes what failed calls have left behind, until
// ctx ends or the store fails.
func (s *Store) beat(ctx context.Context, l *link) error {
	ticks := time.NewTicker(beatEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticks.C:
		}
		if err := s.probe(ctx, l); err != nil {
			return err
		}
		s.metrics.Entries.Set(float64(s.local.Len()))
		if err := s.releaseLost(ctx); err != nil {
			return err
		}
		if err := s.sendPending(ctx); err != nil {
			return err
		}
	}
}
