package valkey

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/valkey-io/valkey-go"

	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

const (
	// commandTimeout bounds every call. A store in the same network answers within a
	// millisecond, and a user's request waits for the call.
	commandTimeout = 250 * time.Millisecond
	// maxCalls is how many calls may be in progress. The client's queue has 1024
	// places, and a caller that finds it full waits there without regard to its context.
	maxCalls = 512
	// The pause between two attempts to connect doubles from the first to the last. A
	// new store waits for all replicas only for [settleTime].
	firstPause = 20 * time.Millisecond
	lastPause  = 500 * time.Millisecond
	// steadyTime is how long the store must have worked before an outage begins with
	// firstPause again.
	steadyTime = 5 * time.Second
)

// Config is what a [Store] needs.
type Config struct {
	// URL names the server: scheme://user:password@host:port/database?parameters. Only
	// the scheme and the host are required. The schemes valkeys and rediss use TLS with
	// the system's certificate authorities, valkey and redis do not. The parameter
	// cluster=true says that the host is one of a cluster, or its configuration
	// endpoint. With iam=true the user logs in with IAM authentication of Amazon
	// ElastiCache: then cache names the replication group or, with serverless=true, the
	// serverless cache, and region is its region. Required. See also [CheckURL].
	URL secret.String
	// Credentials returns the AWS credentials for a region. It is only called, and
	// required, if the URL has iam=true.
	Credentials func(region string) (aws.CredentialsProvider, error)
	// Local is this process's deny list, which the store completes. Required.
	Local *memory.List
	// Sealer seals what operators revoke, and take back. All replicas must be able to open
	// it. Required if operators do so.
	Sealer Sealer
	// Now is the clock. Required.
	Now func() time.Time
	// Log receives the beginning and the end of outages. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Sealer seals texts and opens them, like a [securecookie.Codec] for a []byte.
//
// [securecookie.Codec]: https://pkg.go.dev/github.com/gorilla/securecookie#Codec
type Sealer interface {
	Encode(name string, value any) (string, error)
	Decode(name, value string, dst any) error
}

// Store is a connection to the shared store. It is safe for concurrent use.
type Store struct {
	target  target
	local   *memory.List
	sealer  Sealer
	now     func() time.Time
	log     *slog.Logger
	metrics *Metrics
	scripts scripts
	state   state
	leases  leases
	name    string // under which this process reports to the store
	members members
	left    atomic.Bool
	calls   chan struct{} // holds one element for each call in progress
	// tried is closed when the first try to connect has ended.
	tried     chan struct{}
	triedOnce sync.Once

	pendingMu sync.Mutex
	pending   map[record]time.Time // revocation that the store does not have → when it ends
}

// New returns a store that is not connected: [Store.Run] connects. The error is that
// of a malformed URL, which it does not quote, or of Config.Credentials.
func New(cfg Config) (*Store, error) {
	t, err := parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("the URL of the shared store %w", err)
	}
	if t.iam != nil {
		t.iam.now = cfg.Now
		if t.iam.credentials, err = cfg.Credentials(t.iam.region); err != nil {
			return nil, fmt.Errorf("preparing to log in to the shared store: %w", err)
		}
	}
	s := &Store{
		target: t, local: cfg.Local, sealer: cfg.Sealer, now: cfg.Now, log: cfg.Log, metrics: cfg.Metrics,
		scripts: newScripts(), name: newName(), pending: make(map[record]time.Time),
		calls: make(chan struct{}, maxCalls), tried: make(chan struct{}),
	}
	if s.metrics == nil {
		s.metrics = NewMetrics(nil)
	}
	s.state.reason, s.state.epoch = errNotConnected, 1
	s.leases.held = make(map[session.Name]heldLease)
	s.local.OnEnd(s.ended)
	return s, nil
}

// Run connects, follows the deny list and connects again after outages, until ctx
// ends. Before it has connected, every call fails at once. When Run returns, all
// connections are closed.
func (s *Store) Run(ctx context.Context) {
	var closing sync.WaitGroup
	defer closing.Wait()
	wait, logged := firstPause, ""
	for ctx.Err() == nil {
		begun := s.now()
		worked, err := s.serve(ctx, &closing)
		s.triedOnce.Do(func() { close(s.tried) })
		if ctx.Err() != nil {
			return
		}
		if worked {
			logged = ""
		}
		if worked && s.now().Sub(begun) > steadyTime {
			wait = firstPause
		}
		if text := err.Error(); text != logged {
			s.log.WarnContext(ctx, "shared store lost", "error", text)
			logged = text
		}
		if pause(ctx, wait) != nil {
			return
		}
		wait = min(wait*2, lastPause)
	}
}

// Tried returns a channel that is closed when the store can be used for the first time, or
// the first try to connect has failed.
func (s *Store) Tried() <-chan struct{} { return s.tried }

// serve connects and follows the deny list until the store fails. It returns why that
// happened, and whether the store worked before. When only the connection that
// follows the list breaks, it is replaced without an outage.
func (s *Store) serve(ctx context.Context, closing *sync.WaitGroup) (worked bool, err error) {
	c, ctx, err := s.target.connect(ctx)
	if err != nil {
		reason, _ := reasonOf(err)
		s.setReason(reason)
		return false, reason
	}
	defer closing.Go(c.close) // a server that hangs must not delay the next attempt
	for {
		progress, err := s.follow(ctx, c)
		worked = worked || progress
		if !progress || !errors.Is(err, errUnreachable) || ctx.Err() != nil {
			s.lost(c, err)
			if !worked {
				s.setReason(err)
			}
			return worked, fmt.Errorf("using the shared store: %w", context.Cause(ctx))
		}
	}
}

// call runs a script within [commandTimeout] and returns what the script returns. The
// client repeats a script whose connection broke, so scripts may run more than once.
// The error is one of this package's reasons, or the cause why ctx ended.
func (s *Store) call(ctx context.Context, sc script, keys []string, args ...string) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, commandTimeout, errTimeout)
	defer cancel()
	select {
	case s.calls <- struct{}{}:
		defer func() { <-s.calls }()
	case <-ctx.Done():
		_, err := s.judge(ctx, sc.operation, s.now(), ctx.Err())
		return nil, err
	}
	c, err := s.use()
	if err != nil {
		s.count(sc.operation, "down")
		return nil, err
	}
	answer, outage, err := s.run(ctx, c.client, sc, keys, args)
	if outage {
		s.lost(c, err)
	}
	return answer, err
}

// run runs a script over one of the connection's clients. Outage reports whether the
// error concerns the store as a whole.
func (s *Store) run(ctx context.Context, client valkey.CoreClient, sc script, keys, args []string) (answer []string, outage bool, err error) {
	start := s.now()
	answer, err = sc.eval(ctx, client, keys, args)
	if outage, err = s.judge(ctx, sc.operation, start, err); err != nil {
		return nil, outage, err
	}
	s.observe(answer[0])
	return answer[1:], false, nil
}

// judge counts how an operation ended, and turns its error into one of this package's
// reasons. An error because ctx ended is no outage, except for [errTimeout].
func (s *Store) judge(ctx context.Context, operation string, start time.Time, err error) (outage bool, reason error) {
	if err != nil && ctx.Err() != nil && !errors.Is(context.Cause(ctx), errTimeout) {
		s.count(operation, "canceled")
		return false, fmt.Errorf("waiting for the shared store: %w", context.Cause(ctx))
	}
	s.metrics.Seconds.WithLabelValues(operation).Observe(s.now().Sub(start).Seconds())
	if err == nil || valkey.IsValkeyNil(err) {
		s.count(operation, "ok")
		return false, nil
	}
	reason, outage = reasonOf(err)
	s.count(operation, outcomeOf(reason))
	return outage, reason
}

func (s *Store) count(operation, outcome string) {
	s.metrics.Operations.WithLabelValues(operation, outcome).Inc()
}
