package tokenhandler_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// pace is how often the app's clock follows the time of a bubble, and how long the
// network of a bubble takes.
const pace = 5 * time.Millisecond

// letTimeGoOn moves the app's clock as the bubble's time goes by, until ctx ends.
func (a *app) letTimeGoOn(ctx context.Context) {
	ticks := time.NewTicker(pace)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			a.clock.Advance(pace)
		case <-ctx.Done():
			return
		}
	}
}

// inMemory is a network without sockets, on which a bubble's time goes on: of the app
// and of the pool.
type inMemory struct {
	app     *app
	handler http.Handler
	pool    http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (n *inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(pace):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if "http://"+r.URL.Host != n.app.url {
		return n.pool.RoundTrip(r)
	}
	in := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), r.Body)
	in.Header = r.Header
	out := httptest.NewRecorder()
	n.handler.ServeHTTP(out, in)
	res := out.Result()
	res.Request = r
	return res, nil
}

// TestStormOfRefreshes lets 80 users log in at once, and later has 80 refreshes due
// at once, at a provider that takes 40 calls a second. Logins may wait for ten
// seconds, refreshes for two. Some users are told to come again, and nobody is logged
// out.
func TestStormOfRefreshes(t *testing.T) {
	metrics := cognito.NewMetrics(prometheus.NewRegistry())
	network := &inMemory{}
	s := short()
	s.pool.MaxRPS, s.disconnected = 40, true
	s.provider = func(c *cognito.Config) {
		c.MaxRPS, c.Timeout, c.Metrics, c.Transport = 30, 10*time.Second, metrics, network
	}
	s.refresh = func(c *refresh.Config) { c.RefreshTimeout = 4 * time.Second } // half of it for the answer
	a := newApp(t, s)                                                          // outside of the bubble: it has sockets
	network.app, network.handler, network.pool = a, a.routes(a.site), a.pool.Transport()
	synctest.Test(t, func(t *testing.T) {
		a.tb = t // its context ends inside of the bubble
		ctx, stop := context.WithCancel(t.Context())
		var clock sync.WaitGroup
		clock.Go(func() { a.letTimeGoOn(ctx) })
		a.connect()
		a.storm(t, network, metrics)
		stop()
		clock.Wait()
	})
}

func (a *app) storm(t *testing.T, network http.RoundTripper, metrics *cognito.Metrics) {
	t.Helper()
	const people = 80
	var users []*useragent.UA
	var all sync.WaitGroup
	for range people {
		ua := a.browser()
		ua.SetTransport(network)
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

	a.clock.Advance(11 * time.Minute) // every access token has ended
	refused := a.fetchAll(users)
	if shed := testutil.ToFloat64(metrics.Shed.WithLabelValues("token")); int(shed) != len(refused) || shed == 0 {
		t.Errorf("%d were refused, and %v calls shed, want about 14", len(refused), shed)
	}
	for round := 0; len(refused) > 0 && round < 5; round++ {
		a.clock.Advance(31 * time.Second) // longer than any Retry-After, and no token has ended
		refused = a.fetchAll(refused)
	}
	if len(refused) > 0 {
		t.Errorf("%d never came through", len(refused))
	}
	for _, ua := range users {
		a.wantSession(ua, true)
	}
}

// fetchAll lets all users call the API at once. It returns those who were told to
// come again. Any other failure is an error.
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
		testkit.WantProblem(a.tb, res.Answer(), http.StatusTooManyRequests, "rate_limited")
		if len(setCookies(a.tb, res.Header)) > 0 {
			a.tb.Error("the refusal changes the session's cookies")
		}
		refused = append(refused, users[i])
	}
	return refused
}
