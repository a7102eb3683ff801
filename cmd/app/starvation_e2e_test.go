//go:build e2e

package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

const (
	// attackers is the number of connections that send made-up codes.
	attackers = 250
	// attackPause is the pause after each code: together they send up to 500 a second.
	// Without it, the attackers would use up this machine, of which they are a part.
	attackPause = 500 * time.Millisecond
	// users is the number of users who are logged in, or log in, during the attack.
	users = 20
	// measurements is how often a measurement is made until one is good. Others use this
	// machine, too.
	measurements = 3
)

// TestMadeUpCodesStarveNobody has a provider that takes 20 calls a second, and 250
// connections from five addresses that begin logins and send made-up codes, over real
// sockets. Logins and refreshes of others go on as before. So they do when the attackers
// also send callbacks of no login, until the limits by address refuse them. All limits are
// on, as they are by default.
func TestMadeUpCodesStarveNobody(t *testing.T) {
	s := startWith(t, cognitotest.Options{MaxRPS: 25, AccessTTL: time.Hour}, service{
		provider: ", max_requests_per_second: 20", further: "trusted_proxies: [127.0.0.1, \"::1\"]",
	})
	s.ready()
	var sessions []*useragent.UA
	for i := range users {
		ua := s.from(fmt.Sprintf("198.51.100.%d", i))
		if !isLoggedIn(ua) {
			t.Fatal("no login before the attack")
		}
		sessions = append(sessions, ua)
	}
	normal := percentile(refreshAll(t, sessions))
	ctx, cancel := context.WithCancel(t.Context())
	var attack sync.WaitGroup
	defer attack.Wait()
	defer cancel()
	var sent atomic.Int64
	var noisy atomic.Bool
	for i := range attackers {
		attack.Go(func() { s.attack(ctx, fmt.Sprintf("203.0.113.%d", i%5), &sent, &noisy) })
	}
	testkit.Eventually(t, "all attackers are at work", func() bool { return sent.Load() >= attackers })
	s.wantNobodyStarves(t, 1, sessions, normal, &sent)
	noisy.Store(true)
	testkit.Eventually(t, "limits refuse the attackers", func() bool {
		_, metrics := s.admin("/metrics")
		return !strings.Contains(metrics, `tokenhandler_rate_limited_total{limit="callback"} 0`)
	})
	s.wantNobodyStarves(t, 1+measurements, sessions, normal, &sent)
}

// wantNobodyStarves measures how long refreshes and logins take during the attack, from
// addresses that begin with that of round first.
func (s *service) wantNobodyStarves(t *testing.T, first int, sessions []*useragent.UA, normal time.Duration, sent *atomic.Int64) {
	t.Helper()
	for n := range measurements {
		refreshes, logins := percentile(refreshAll(t, sessions)), percentile(s.loginAll(first+n))
		busy := percentile(askAll(sessions))
		t.Logf("95 %% of the refreshes took at most %s (before: %s), of the logins %s, of other requests %s, during %d attacks", refreshes, normal, logins, busy, sent.Load())
		if refreshes <= normal+busy+100*time.Millisecond && logins <= time.Second+3*busy {
			return
		}
	}
	t.Fatal("refreshes or logins are slow during the attack")
}

// refreshAll refreshes each session, one after another, and returns how long each took.
func refreshAll(tb testing.TB, sessions []*useragent.UA) (took []time.Duration) {
	tb.Helper()
	for _, ua := range sessions {
		start := time.Now()
		if res := ua.Fetch(http.MethodPost, "/auth/refresh", ""); res.Status != http.StatusOK {
			tb.Errorf("a refresh: %d %v %s", res.Status, res.Err, res.Body)
		}
		took = append(took, time.Since(start))
	}
	return took
}

// askAll makes a request for each session that needs no provider, and returns how long
// each took: that is what a busy machine adds to each request.
func askAll(sessions []*useragent.UA) (took []time.Duration) {
	for _, ua := range sessions {
		start := time.Now()
		ua.Fetch(http.MethodGet, "/auth/session", "")
		took = append(took, time.Since(start))
	}
	return took
}

// loginAll lets users log in, one after another, and returns how long each took.
func (s *service) loginAll(round int) (took []time.Duration) {
	s.tb.Helper()
	for i := range users {
		ua := s.from(fmt.Sprintf("192.0.2.%d", round*users+i))
		start := time.Now()
		if !isLoggedIn(ua) {
			s.tb.Error("a login failed during the attack")
		}
		took = append(took, time.Since(start))
	}
	return took
}

func percentile(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[(len(took)*95-1)/100]
}

// attack begins logins and opens their callbacks with made-up codes, over a connection
// of its own, until ctx ends. If it is noisy, it opens callbacks of no login, too.
func (s *service) attack(ctx context.Context, address string, sent *atomic.Int64, noisy *atomic.Bool) {
	client := forwarded{s.transport(), address}
	get := func(target, cookie string) *http.Response {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
		if err != nil {
			panic(err)
		}
		r.Header.Set("Cookie", cookie)
		answer, err := client.RoundTrip(r)
		if err != nil {
			return nil
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		return answer
	}
	for ctx.Err() == nil {
		began := get(publicURL+"/auth/login", "") //nolint:bodyclose // get closes it
		if began == nil {
			continue
		}
		var cookies []string
		for _, line := range began.Header["Set-Cookie"] {
			pair, _, _ := strings.Cut(line, ";")
			cookies = append(cookies, pair)
		}
		to, err := url.Parse(began.Header.Get("Location"))
		if err != nil {
			panic(err)
		}
		for i := range 5 {
			get(fmt.Sprintf("%s/auth/callback?code=x%d&state=%s", publicURL, i, to.Query().Get("state")), strings.Join(cookies, "; ")) //nolint:bodyclose // get closes it
			sent.Add(1)
			if noisy.Load() {
				get(publicURL+"/auth/callback?code=x&state="+strings.Repeat("1", 43), "") //nolint:bodyclose // get closes it
			}
			select {
			case <-time.After(attackPause):
			case <-ctx.Done():
			}
		}
	}
}
