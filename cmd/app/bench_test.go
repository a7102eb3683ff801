package app_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
)

// BenchmarkRefreshBurst measures 20 parallel requests with an expired access token, at
// a provider with strict rotation, reuse detection and a latency of 100 ms. ratio is
// the duration of the burst divided by that of the one refresh call that it needs; 1
// is ideal.
func BenchmarkRefreshBurst(b *testing.B) {
	const (
		requests = 20
		latency  = 100 * time.Millisecond
		life     = time.Second
	)
	s := start(b, cognitotest.Options{Rotation: true, RevokeFamilyOnReuse: true, AccessTTL: life})
	s.pool.Break(cognitotest.TokenRefresh, cognitotest.Delay(latency), 0)
	ua := s.login()
	ok, took, bursts := 0, time.Duration(0), 0
	before := s.pool.Count(cognitotest.TokenRefresh)
	for b.Loop() {
		<-time.After(life) // the access token's own time
		bursts++
		var burst sync.WaitGroup
		var mu sync.Mutex
		begun := time.Now()
		for range requests {
			burst.Go(func() {
				res := ua.Fetch(http.MethodGet, "/api/me", "")
				mu.Lock()
				defer mu.Unlock()
				if res.Status == http.StatusOK {
					ok++
				}
			})
		}
		burst.Wait()
		took += time.Since(begun)
	}
	perBurst := float64(took) / float64(bursts)
	b.ReportMetric(float64(ok)/float64(bursts), "ok/burst")
	b.ReportMetric(float64(s.pool.Count(cognitotest.TokenRefresh)-before)/float64(bursts), "calls/burst")
	b.ReportMetric(perBurst/float64(time.Millisecond), "ms/burst")
	b.ReportMetric(perBurst/float64(latency), "ratio")
	b.ReportMetric(0, "ns/op") // it is mostly waiting
}
