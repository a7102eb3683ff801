package app_test

import (
	"net/http"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// TestFirstRequestsWaitForTheProvider: a proxy that does not ask /readyz sends requests before the provider's endpoints are known.
func TestFirstRequestsWaitForTheProvider(t *testing.T) {
	pool := cognitotest.Options{CallbackURLs: []string{publicURL + "/auth/callback"}}
	s := &service{tb: t, pool: cognitotest.New(t, pool), api: newAPI(t), log: &testkit.Log{}}
	gate := s.pool.Hold(cognitotest.Discovery)
	s.run(s.pool.Issuer())
	gate.Await(t, 1)
	answered := make(chan *useragent.Response, 1)
	go func() { answered <- s.browser().NavigateNoFollow("/auth/login") }()
	select {
	case early := <-answered:
		t.Errorf("answered %d before the provider was asked", early.Status)
	case <-time.After(50 * time.Millisecond): // a service that does not wait has answered by then
		gate.Open()
		if r := <-answered; r.Status != http.StatusFound {
			t.Errorf("the first request got %d %s", r.Status, r.Body)
		}
	}
}

// TestHangingProviderDelaysOnlyTheFirstRequests: the service then does without it. The first one waits for seconds, later ones do not.
func TestHangingProviderDelaysOnlyTheFirstRequests(t *testing.T) {
	t.Parallel()
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{}), api: newAPI(t), log: &testkit.Log{}}
	s.pool.Hold(cognitotest.Discovery)
	begun := time.Now()
	s.run(s.pool.Issuer())
	wantProblem(t, s.browser().Navigate("/auth/login"), 503, "provider_unavailable")
	waited := time.Since(begun)
	if waited < 3*time.Second {
		t.Errorf("the first request got its answer after %s", waited)
	}
	begun = time.Now()
	wantProblem(t, s.browser().Navigate("/auth/login"), 503, "provider_unavailable")
	if again := time.Since(begun); again > waited {
		t.Errorf("the second request got its answer after %s", again)
	}
}
