package cognito_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// latency is how long the pool takes for each answer in synthetic time.
const latency = 50 * time.Millisecond

// slowly is the transport of a pool with this latency.
type slowly struct{ next http.RoundTripper }

func (s slowly) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(latency):
		return s.next.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// crowd is a party in synthetic time, and its metrics.
type crowd struct {
	*party

	registry *prometheus.Registry
	// failures counts failed calls: lost those that end a session, limited those that
	// say when to try again.
	failures, lost, limited atomic.Int32
	mostWaiting             atomic.Int32
}

// inBubble runs test in synthetic time with a connected party.
func inBubble(t *testing.T, opts cognitotest.Options, test func(t *testing.T, c *crowd), edits ...func(*cognito.Config)) {
	t.Helper()
	inBubbleFirst(t, opts, func(t *testing.T, c *crowd) {
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, c)
	}, edits...)
}

// inBubbleFirst is [inBubble] before the party connects.
func inBubbleFirst(t *testing.T, opts cognitotest.Options, test func(t *testing.T, c *crowd), edits ...func(*cognito.Config)) {
	t.Helper()
	opts.CallbackURLs, opts.Clock = []string{callbackURL}, time.Now
	pool := cognitotest.New(t, opts) // outside of synctest, because it has a socket
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{registry: prometheus.NewRegistry()}
		defaults := func(cfg *cognito.Config) {
			cfg.Now, cfg.Timeout, cfg.Metrics = time.Now, 10*time.Second, cognito.NewMetrics(c.registry)
		}
		c.party = partyOf(t, pool, testkit.NewClock(time.Now()), append([]func(*cognito.Config){defaults}, edits...)...)
		c.SetTransport(slowly{pool.Transport()})
		c.browser, c.pass = pool.Transport(), time.Sleep
		test(t, c)
	})
}

// note counts the outcome of a call.
func (c *crowd) note(err error) {
	if err == nil {
		return
	}
	c.failures.Add(1)
	if failed, ok := errors.AsType[*provider.Error](err); ok {
		if errors.Is(failed, provider.ErrRejected) {
			c.lost.Add(1)
		}
		if errors.Is(failed, provider.ErrRateLimited) && errors.Is(failed, provider.ErrUnavailable) && provider.RetryAfter(failed) >= time.Second {
			c.limited.Add(1)
		}
	}
}

// metric returns the sum of a metric's values.
func (c *crowd) metric(name string) (sum float64) {
	c.t.Helper()
	families, err := c.registry.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	return sum
}

// watch records the largest number of waiting calls until it is stopped.
func (c *crowd) watch() (stop func()) {
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
				c.mostWaiting.Store(max(c.mostWaiting.Load(), int32(c.metric("tokenhandler_provider_waiting"))))
			}
		}
	}()
	return func() { close(done) }
}

// storm lets 500 users log in within half a minute, 50 at a time, and refresh within
// the next: 1,000 calls a minute in waves.
func (c *crowd) storm() {
	const waves, users, every = 10, 50, 3 * time.Second
	var all sync.WaitGroup
	for wave := range waves {
		for range users {
			grant := c.grant()
			all.Go(func() {
				time.Sleep(time.Duration(wave) * every)
				tokens, err := c.Exchange(c.t.Context(), grant)
				c.note(err)
				if err != nil {
					return
				}
				time.Sleep(waves * every)
				tokens.AccessExpires = time.Now() // so that the refresh is not optional
				ctx, cancel := context.WithTimeout(c.t.Context(), 15*time.Second)
				defer cancel()
				_, err = c.Refresh(ctx, tokens)
				c.note(err)
			})
		}
	}
	all.Wait()
}

// TestStorm has a provider that takes 20 calls a second. Whether the configuration
// says so or the process learns it from refusals, nobody loses a session or a login.
func TestStorm(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]int{"configured": 16, "learned": cognito.DefaultMaxRPS} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, cognitotest.Options{MaxRPS: 20}, func(t *testing.T, c *crowd) {
				stop := c.watch()
				start := time.Now()
				c.storm()
				took := time.Since(start)
				stop()
				refused := c.pool.Count(cognitotest.TokenAny + ".limited")
				t.Logf("%d calls and %d refused in %s, at most %d waiting, %.1fs each on average", c.pool.Count(cognitotest.TokenAny+".ok"),
					refused, took, c.mostWaiting.Load(), c.metric("tokenhandler_provider_wait_seconds")/1000)
				if c.lost.Load() != 0 || c.failures.Load() != 0 {
					t.Errorf("%d calls failed, %d of them fatally", c.failures.Load(), c.lost.Load())
				}
				if n := c.pool.Count(cognitotest.TokenAny + ".ok"); n != 1000 {
					t.Errorf("%d calls were answered, want 1000", n)
				}
				if c.mostWaiting.Load() < 10 || c.metric("tokenhandler_provider_wait_seconds") == 0 || c.metric("tokenhandler_provider_waiting") != 0 {
					t.Error("the metrics show no queue, or one that does not end")
				}
				if configured := limit < 20; configured != (refused == 0) {
					t.Errorf("%d calls were refused", refused)
				}
			}, func(cfg *cognito.Config) { cfg.MaxRPS = limit })
		})
	}
}

// TestOverload checks that callers who cannot be served in time get an error at once,
// which says when to try again, and that all others are served.
func TestOverload(t *testing.T) {
	const logins = 400
	inBubble(t, cognitotest.Options{MaxRPS: 20}, func(t *testing.T, c *crowd) {
		var all sync.WaitGroup
		start := time.Now()
		for range logins {
			grant := c.grant()
			all.Go(func() {
				asked := time.Now()
				_, err := c.Exchange(t.Context(), grant)
				c.note(err)
				if err != nil && time.Since(asked) > 0 {
					t.Errorf("shed after %s", time.Since(asked))
				}
			})
		}
		all.Wait()
		served, took := c.pool.Count(cognitotest.TokenCode+".ok"), time.Since(start)
		// 16 a second for 10 seconds, and the burst.
		if served < 155 || served > 165 || took > 11*time.Second {
			t.Errorf("%d were served in %s", served, took)
		}
		if shed := int(c.limited.Load()); shed != logins-served || int(c.metric("tokenhandler_provider_shed_total")) != shed {
			t.Errorf("%d served and %d shed, which is not %d", served, shed, logins)
		}
	}, func(cfg *cognito.Config) { cfg.MaxRPS = 16 })
}

// TestQueueIsBounded checks that the number of waiting calls is bounded, also without
// deadlines.
func TestQueueIsBounded(t *testing.T) {
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		var all sync.WaitGroup
		for range 2100 + 10 { // half of the burst is sent at once, the other half is for refreshes
			all.Go(func() { c.note(c.RevokePatiently(t.Context(), secret.New("unknown-refresh-token"))) })
		}
		all.Wait()
		if n := c.limited.Load(); n < 90 || n > 110 {
			t.Errorf("%d calls were shed, want about 100", n)
		}
	}, func(cfg *cognito.Config) { cfg.MaxRPS = 100 }, func(cfg *cognito.Config) { cfg.Timeout = time.Hour })
}

// TestRefusedCallsAreSentAgain checks that a call is repeated after a 429, because
// the provider has not processed it.
func TestRefusedCallsAreSentAgain(t *testing.T) {
	inBubble(t, cognitotest.Options{Rotation: true}, func(t *testing.T, c *crowd) {
		c.pool.Break(cognitotest.TokenAny, cognitotest.RateExceeded(), 3)
		start := time.Now()
		tokens := c.mustLogin()
		// 3 pauses, the first of at least an eighth of a second, each twice as long.
		if took := time.Since(start); took < 875*time.Millisecond || took > 3*time.Second {
			t.Errorf("the login took %s", took)
		}
		c.pool.Break(cognitotest.TokenAny, cognitotest.RateExceeded(), 1)
		c.mustRefresh(tokens)
		c.pool.Break(cognitotest.Revoke, cognitotest.RateExceeded(), 1)
		if err := c.Revoke(t.Context(), tokens.Refresh); err != nil {
			t.Error(err)
		}
		if n := c.pool.Count(cognitotest.TokenAny) + c.pool.Count(cognitotest.Revoke); n != 4+2+2 {
			t.Errorf("%d requests, want 8", n)
		}
	})
}

// saying429 is a transport that answers 429 with this Retry-After.
func saying429(after string) http.RoundTripper {
	return roundTrip(func(*http.Request) *http.Response {
		return &http.Response{
			StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {after}},
			Body: io.NopCloser(strings.NewReader("Rate exceeded " + cognitotest.Canary)),
		}
	})
}

type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// TestRetryAfterStopsEverything checks that one refusal pauses all calls of the
// process.
func TestRetryAfterStopsEverything(t *testing.T) {
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		tokens, grant := c.mustLogin(), c.grant()
		tokens.AccessExpires = time.Now()
		c.SetTransport(saying429("7"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := c.Refresh(ctx, tokens)
		if failed := c.failure(err, provider.ErrUnavailable); provider.RetryAfter(failed) != 7*time.Second || failed.Status != http.StatusTooManyRequests {
			t.Errorf("retry after %s, status %d", provider.RetryAfter(failed), failed.Status)
		}

		c.SetTransport(slowly{c.pool.Transport()})
		// A caller with less time than the pause gets an error at once.
		asked := time.Now()
		_, err = c.Refresh(ctx, tokens)
		if failed := c.failure(err, provider.ErrUnavailable); !errors.Is(failed, provider.ErrRateLimited) || failed.Status != 0 || provider.RetryAfter(failed) < 6*time.Second || time.Since(asked) > 0 {
			t.Errorf("after %s: %v, retry after %s", time.Since(asked), failed, provider.RetryAfter(failed))
		}
		if _, err := c.Exchange(t.Context(), grant); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(asked); took < 6*time.Second || took > 8*time.Second {
			t.Errorf("the login was sent after %s, want 7", took)
		}
	})
}

// TestRetryAfterIsBounded checks that a Retry-After of an hour pauses the calls for
// half a minute.
func TestRetryAfterIsBounded(t *testing.T) {
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		c.SetTransport(saying429("3600"))
		_, err := c.login()
		c.wantKind(err, provider.ErrUnavailable)
		c.SetTransport(slowly{c.pool.Transport()})
		_, err = c.login()
		if failed := c.failure(err, provider.ErrUnavailable); provider.RetryAfter(failed) < 29*time.Second || provider.RetryAfter(failed) > 30*time.Second {
			t.Errorf("retry after %s", provider.RetryAfter(failed))
		}
		time.Sleep(31 * time.Second)
		c.mustLogin()
	})
}

// TestRefreshesAheadOfTimeYield checks that, while refreshes wait for which requests
// wait, an optional one fails at once.
func TestRefreshesAheadOfTimeYield(t *testing.T) {
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		tokens := c.mustLogin()
		urgent := tokens
		urgent.AccessExpires = time.Now()
		var all sync.WaitGroup
		for range 60 {
			all.Go(func() {
				_, err := c.Refresh(t.Context(), urgent)
				c.note(err)
			})
		}
		synctest.Wait()
		start := time.Now()
		_, err := c.Refresh(t.Context(), tokens)
		if failed := c.failure(err, provider.ErrUnavailable); !errors.Is(failed, provider.ErrRateLimited) || time.Since(start) > 0 {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		tokens.AccessExpires = time.Now()
		c.mustRefresh(tokens)
		all.Wait()
		if c.failures.Load() != 0 || time.Since(start) < 5*time.Second {
			t.Errorf("%d of the others failed, in %s", c.failures.Load(), time.Since(start))
		}
	}, func(cfg *cognito.Config) { cfg.MaxRPS = 10 })
}

// TestLeavingTheQueue checks that a caller who leaves takes no turn and is not
// counted as shed.
func TestLeavingTheQueue(t *testing.T) {
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		grant := c.grant()
		if err := c.Revoke(t.Context(), secret.New("unknown-refresh-token")); err != nil { // uses the only call of this second
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := c.Exchange(ctx, grant)
			left <- err
		}()
		synctest.Wait()
		if n := c.metric("tokenhandler_provider_waiting"); n != 1 {
			t.Errorf("%v calls wait, want 1", n)
		}
		cancel()
		if failed := c.failure(<-left, provider.ErrUnavailable); errors.Is(failed, provider.ErrRateLimited) {
			t.Error("shed")
		}
		if n := c.metric("tokenhandler_provider_shed_total") + c.metric("tokenhandler_provider_waiting"); n != 0 {
			t.Error("shed, or still waiting")
		}
		if n := c.pool.Count(cognitotest.TokenCode); n != 0 {
			t.Errorf("%d codes were sent", n)
		}
		if _, err := c.Exchange(t.Context(), grant); err != nil { // the code is still good
			t.Error(err)
		}
	}, func(cfg *cognito.Config) { cfg.MaxRPS = 1 })
}
