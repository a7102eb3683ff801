package app_test

import (
	"net/http"
	"testing"
	"time"

	"cognito-token-handler/cmd/app"
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
	const wait = time.Second
	if app.FirstTriesTime != 3*time.Second {
		t.Errorf("the first request waits for %s", app.FirstTriesTime)
	}
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{}), api: newAPI(t), log: &testkit.Log{}}
	s.built = func(a *app.App) { app.FirstTries(a, wait) }
	s.pool.Hold(cognitotest.Discovery)
	ask := func() time.Duration {
		begun := time.Now()
		wantProblem(t, s.browser().Navigate("/auth/login"), 503, "provider_unavailable")
		return time.Since(begun)
	}
	begun := time.Now()
	s.run(s.pool.Issuer())
	ask()
	if waited := time.Since(begun); waited < wait {
		t.Errorf("the first request got its answer after %s", waited)
	}
	testkit.Fast(t, wait, "a later request", ask)
}
