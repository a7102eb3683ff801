package app_test

import (
	"net/http"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
)

// TestStoreThatIsNeverReached: with revocation.on_outage: allow, which is the default, sessions
// are served, and deny refuses them: entries of other replicas may be missing.
func TestStoreThatIsNeverReached(t *testing.T) {
	for onOutage, want := range map[string]int{"allow": http.StatusOK, "deny": http.StatusServiceUnavailable} {
		t.Run(onOutage, func(t *testing.T) {
			t.Parallel()
			s := startWith(t, cognitotest.Options{}, service{session: `, store: "redis://localhost:1/0"}
revocation: {on_outage: ` + onOutage})
			testkit.Eventually(t, "connected to the provider", func() bool {
				return s.browser().Navigate("/auth/login?return_to=/open/start").URL == publicURL+"/open/start"
			})
			ua := s.browser()
			ua.Navigate("/auth/login?return_to=/open/start")
			if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != want {
				t.Errorf("%d %s", res.Status, res.Body)
			}
			if status, body := s.admin("/readyz"); status != want {
				t.Errorf("/readyz: %d %s", status, body)
			}
		})
	}
}

// TestLoginEndsTheEarlierSession also for a copy of its cookies.
func TestLoginEndsTheEarlierSession(t *testing.T) {
	t.Parallel()
	s := start(t, cognitotest.Options{})
	ua := s.login()
	earlier := s.copyOf(ua)
	if res := s.copyOf(ua).Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
		t.Fatalf("before: %d", res.Status)
	}
	ua.Navigate("/auth/login?return_to=/open/start")
	if res := earlier.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusUnauthorized {
		t.Errorf("the earlier session: %d %s", res.Status, res.Body)
	}
	if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
		t.Errorf("the new session: %d %s", res.Status, res.Body)
	}
}
