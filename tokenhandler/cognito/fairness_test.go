package cognito_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// address returns the n-th of many networks.
func address(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{203, byte(n >> 16), byte(n >> 8), byte(n)}), 32)
}

// madeUp is a code of nobody.
func madeUp(client netip.Prefix) provider.CodeGrant {
	return provider.CodeGrant{Code: "made-up", Verifier: "verifier", Nonce: testNonce, MaxAge: -1, Client: client}
}

// attack sends made-up codes over so many connections from so many addresses until
// ctx ends. A connection that is refused tries again after a quarter of a second.
func (c *crowd) attack(ctx context.Context, wg *sync.WaitGroup, connections, addresses int) {
	for i := range connections {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := c.Exchange(ctx, madeUp(address(1000+i%addresses))); err == nil {
					c.t.Error("a made-up code was redeemed")
				}
				_ = cognito.Sleep(ctx, 250*time.Millisecond)
			}
		})
	}
}

// timed calls do every so often until ctx ends, and returns the 95th percentile of its
// durations when all calls have ended.
func (c *crowd) timed(ctx context.Context, every time.Duration, do func(ctx context.Context, i int)) (p95 time.Duration) {
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for i := 0; ; i++ {
		if cognito.Sleep(ctx, every) != nil {
			break
		}
		wg.Go(func() {
			start := time.Now()
			do(context.WithoutCancel(ctx), i)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(start))
		})
	}
	wg.Wait()
	if len(took) < 10 {
		c.t.Fatalf("only %d calls were timed", len(took))
	}
	slices.Sort(took)
	return took[len(took)*95/100]
}

// TestMadeUpCodesStarveNobody has a provider that takes 20 calls a second, and 250
// connections that send made-up codes. From five addresses they delay neither logins
// nor refreshes of others. From very many addresses they do not delay refreshes.
func TestMadeUpCodesStarveNobody(t *testing.T) {
	t.Parallel()
	for name, addresses := range map[string]int{"five addresses": 5, "very many addresses": 250} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, cognitotest.Options{MaxRPS: 25}, func(t *testing.T, c *crowd) {
				tokens := c.mustLogin()
				tokens.AccessExpires = time.Now() // so that no refresh is optional
				grants := make([]provider.CodeGrant, 100)
				for i := range grants {
					grants[i] = c.grant()
					grants[i].Client = address(i)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				var wg sync.WaitGroup
				c.attack(ctx, &wg, 250, addresses)
				var logins, refreshes time.Duration
				wg.Go(func() {
					logins = c.timed(ctx, 400*time.Millisecond, func(ctx context.Context, i int) {
						if _, err := c.Exchange(ctx, grants[i]); err != nil && addresses == 5 {
							t.Errorf("a login failed: %v", err)
						}
					})
				})
				wg.Go(func() {
					refreshes = c.timed(ctx, 250*time.Millisecond, func(ctx context.Context, _ int) {
						if _, err := c.Refresh(ctx, tokens); err != nil {
							t.Errorf("a refresh failed: %v", err)
						}
					})
				})
				wg.Wait()
				t.Logf("95 %% of the refreshes took at most %s, of the logins %s", refreshes, logins)
				if refreshes > latency+100*time.Millisecond {
					t.Errorf("refreshes took %s", refreshes)
				}
				if addresses == 5 && logins > time.Second {
					t.Errorf("logins took %s", logins)
				}
			}, func(cfg *cognito.Config) { cfg.MaxRPS = 20 }, func(cfg *cognito.Config) { cfg.Timeout = 5 * time.Second })
		})
	}
}

// TestRefusedAddressesShareAQuarter checks that all addresses whose codes were refused
// together have a quarter of the rate, also while nobody else logs in, and that a
// client whose address is not known is not among them.
func TestRefusedAddressesShareAQuarter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		client func(i int) netip.Prefix
		want   int // calls in ten seconds
	}{
		"known":   {func(i int) netip.Prefix { return address(i % 3) }, 50},
		"unknown": {func(int) netip.Prefix { return netip.Prefix{} }, 200},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, cognitotest.Options{}, func(t *testing.T, crowd *crowd) {
				for i := range 3 {
					_, err := crowd.Exchange(t.Context(), madeUp(c.client(i)))
					crowd.wantKind(err, provider.ErrRejected)
				}
				before := crowd.pool.Count(cognitotest.TokenCode)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				var wg sync.WaitGroup
				for i := range 30 {
					wg.Go(func() {
						for ctx.Err() == nil {
							_, _ = crowd.Exchange(ctx, madeUp(c.client(i)))
							_ = cognito.Sleep(ctx, 50*time.Millisecond)
						}
					})
				}
				wg.Wait()
				if got := crowd.pool.Count(cognitotest.TokenCode) - before; got < c.want-10 || got > c.want+10 {
					t.Errorf("%d calls in ten seconds, want %d", got, c.want)
				}
			}, func(cfg *cognito.Config) { cfg.MaxRPS = 20 })
		})
	}
}

// TestWaitingLoginsOfARefusedAddressGoOn checks that a made-up code of one user does not lose
// the logins of others at the same address that wait already.
func TestWaitingLoginsOfARefusedAddressGoOn(t *testing.T) {
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		var wg sync.WaitGroup
		for i := range 20 {
			grant := c.grant()
			if grant.Client = address(1); i%4 == 0 {
				grant = madeUp(address(1))
			}
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				began := time.Now()
				if _, err := c.Exchange(ctx, grant); (err == nil) != (i%4 != 0) || i%4 == 0 && !errors.Is(err, provider.ErrRejected) {
					t.Errorf("login %d: %v", i, err)
				}
				if took := time.Since(began); took > time.Minute {
					t.Errorf("login %d took %s", i, took)
				}
			})
		}
		wg.Wait()
	}, func(cfg *cognito.Config) { cfg.MaxRPS, cfg.Timeout = 1, 5*time.Minute })
}

// TestGoodCodesMakeUpForRefusedOnes checks that a user who reloads the callback does
// not slow down everybody at the same address for long, and that refusals are
// forgotten after ten minutes.
func TestGoodCodesMakeUpForRefusedOnes(t *testing.T) {
	for name, forget := range map[string]func(c *crowd){
		"a good code": func(c *crowd) {
			grant := c.grant()
			grant.Client = address(1)
			if _, err := c.Exchange(c.t.Context(), grant); err != nil {
				c.t.Error(err)
			}
		},
		"time": func(*crowd) { time.Sleep(10 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
				burst := func() time.Duration {
					var wg sync.WaitGroup
					start := time.Now()
					for range 10 {
						grant := c.grant()
						grant.Client = address(1)
						wg.Go(func() {
							_, err := c.Exchange(t.Context(), grant)
							c.note(err)
						})
					}
					wg.Wait()
					return time.Since(start)
				}
				_, err := c.Exchange(t.Context(), madeUp(address(1)))
				c.wantKind(err, provider.ErrRejected)
				forget(c)
				if took := burst(); took > time.Second || c.failures.Load() != 0 {
					t.Errorf("ten logins took %s, %d failed", took, c.failures.Load())
				}
			}, func(cfg *cognito.Config) { cfg.MaxRPS = 20 })
		})
	}
}

// TestFullQueueDropsTheMany checks that, when as many calls wait as may, a login of
// another address takes the place of one of the address that has the most.
func TestFullQueueDropsTheMany(t *testing.T) {
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		grant := c.grant()
		grant.Client = address(2)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var shed atomic.Int32
		for range 2010 { // half of the burst of 20 is sent at once
			wg.Go(func() {
				_, err := c.Exchange(ctx, madeUp(address(1)))
				if ctx.Err() == nil && provider.RetryAfter(err) > 0 {
					shed.Add(1)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		if _, err := c.Exchange(t.Context(), grant); err != nil || time.Since(start) > time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		if n := shed.Load(); n != 1 {
			t.Errorf("%d calls had to go, want 1", n)
		}
		cancel()
		wg.Wait()
	}, func(cfg *cognito.Config) { cfg.MaxRPS = 100 }, func(cfg *cognito.Config) { cfg.Timeout = time.Hour })
}

// TestLoginsGoOnWhileAllRefresh checks that refreshes that take the whole rate for
// long leave a part to logins.
func TestLoginsGoOnWhileAllRefresh(t *testing.T) {
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		tokens, grant := c.mustLogin(), c.grant()
		tokens.AccessExpires = time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 150 {
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _ = c.Refresh(ctx, tokens)
				}
			})
		}
		time.Sleep(5 * time.Second)
		start := time.Now()
		if _, err := c.Exchange(t.Context(), grant); err != nil || time.Since(start) > 1500*time.Millisecond {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		cancel()
		wg.Wait()
	}, func(cfg *cognito.Config) { cfg.MaxRPS = 20 })
}

// TestRevocationsDoNotWaitBehindLogins checks that a logout revokes its token while
// many addresses send codes.
func TestRevocationsDoNotWaitBehindLogins(t *testing.T) {
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		tokens := c.mustLogin()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		c.attack(ctx, &wg, 100, 100)
		time.Sleep(time.Second)
		start := time.Now()
		if err := c.Revoke(t.Context(), tokens.Refresh); err != nil || time.Since(start) > 500*time.Millisecond {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		cancel()
		wg.Wait()
	}, func(cfg *cognito.Config) { cfg.MaxRPS = 20 })
}

// TestSlowExchangesLeaveConnections checks that exchanges that the provider does not
// answer leave connections to refreshes.
func TestSlowExchangesLeaveConnections(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.MaxRPS = 10_000 })
	tokens := p.mustLogin()
	gate := p.pool.Hold(cognitotest.TokenCode)
	var wg sync.WaitGroup
	const connections = 64
	for i := range 2 * connections {
		wg.Go(func() { _, _ = p.Exchange(t.Context(), madeUp(address(i))) })
	}
	gate.Await(t, connections)
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	defer cancel()
	if _, err := p.Refresh(ctx, tokens); err != nil {
		t.Error(err)
	}
	gate.Open()
	wg.Wait()
	if err := p.Revoke(ctx, secret.New("unknown-refresh-token")); err != nil {
		t.Error(err)
	}
}
