package tokenhandler_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// letTimeGoOn moves the app's clock as real time does, until the test ends.
func (a *app) letTimeGoOn() {
	done, ticks := make(chan struct{}), time.NewTicker(2*time.Millisecond)
	var ended sync.WaitGroup
	ended.Go(func() {
		for last := time.Now(); ; {
			select {
			case now := <-ticks.C:
				a.clock.Add(now.Sub(last))
				last = now
			case <-done:
				return
			}
		}
	})
	a.tb.Cleanup(func() { ticks.Stop(); close(done); ended.Wait() })
}

// TestStormOfRefreshes: 80 people log in at once, and later 80 refreshes are due
// at once, at a provider that takes 40 calls a second. Logins wait for ten
// seconds if they must, refreshes for two: some people are asked to come again,
// and nobody is logged out.
func TestStormOfRefreshes(t *testing.T) {
	t.Parallel()
	const people = 80
	metrics := cognito.NewMetrics(prometheus.NewRegistry())
	s := short()
	s.pool.MaxRPS = 40
	s.provider = func(c *cognito.Config) { c.MaxRPS, c.Timeout, c.Metrics = 30, 10*time.Second, metrics }
	s.refresh = func(c *refresh.Config) { c.RefreshTimeout = 4 * time.Second } // half of it for the answer
	a := newApp(t, s)
	a.letTimeGoOn()

	var users []*useragent.UA
	var all sync.WaitGroup
	for range people {
		ua := a.browser()
		users = append(users, ua)
		all.Go(func() {
			if res := ua.Click("/auth/login"); res.Status != http.StatusOK || res.URL != a.url+"/" {
				t.Errorf("a login ended at %s with %d", res.URL, res.Status)
			}
		})
	}
	all.Wait()
	if shed := testutil.ToFloat64(metrics.Shed.WithLabelValues("token")); shed != 0 {
		t.Errorf("%v logins were shed that had time to wait", shed)
	}

	a.clock.Add(11 * time.Minute) // every access token has ended
	refused := a.fetchAll(users)
	if shed := testutil.ToFloat64(metrics.Shed.WithLabelValues("token")); int(shed) != len(refused) || shed == 0 {
		t.Errorf("%d were refused, and %v calls shed, want about 14", len(refused), shed)
	}
	for round := 0; len(refused) > 0 && round < 5; round++ {
		a.clock.Add(31 * time.Second) // longer than any Retry-After, and no token has ended
		refused = a.fetchAll(refused)
	}
	if len(refused) > 0 {
		t.Errorf("%d never came through", len(refused))
	}
	for _, ua := range users {
		a.wantSession(ua, true)
	}
}

// fetchAll lets all call the API at once; it returns those who were asked to
// come again. Anything but that and success is an error.
func (a *app) fetchAll(users []*useragent.UA) (refused []*useragent.UA) {
	a.tb.Helper()
	var all sync.WaitGroup
	answers := make([]*useragent.Response, len(users))
	for i, ua := range users {
		all.Go(func() { answers[i] = ua.Fetch(http.MethodGet, "/api/orders", "") })
	}
	all.Wait()
	for i, res := range answers {
		if res.Status == http.StatusOK {
			continue
		}
		wantProblem(a.tb, res.Status, res.Header, res.Body, http.StatusTooManyRequests, "rate_limited")
		if len(setCookies(a.tb, res.Header)) > 0 {
			a.tb.Error("the refusal changes the session's cookies")
		}
		refused = append(refused, users[i])
	}
	return refused
}
