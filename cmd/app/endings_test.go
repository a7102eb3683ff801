package app_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

const adminToken = "planted-admin-token-7c1e"

// order posts to /admin/revocations.
func (s *service) order(token, body string) (int, string) {
	s.tb.Helper()
	return s.orders(http.MethodPost, token, body)
}

// orders is order with any method.
func (s *service) orders(method, token, body string) (int, string) {
	s.tb.Helper()
	r, err := http.NewRequestWithContext(s.tb.Context(), method, "http://"+s.at.Admin+"/admin/revocations", strings.NewReader(body))
	if err != nil {
		s.tb.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := (&http.Client{Transport: s.transport()}).Do(r)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var text bytes.Buffer
	if _, err := text.ReadFrom(answer.Body); err != nil {
		s.tb.Fatal(err)
	}
	return answer.StatusCode, text.String()
}

func wantStatus(t *testing.T, ua *useragent.UA, path string, want int) {
	t.Helper()
	if got := ua.Fetch(http.MethodGet, path, ""); got.Status != want {
		t.Errorf("%s answered %d %s, want %d", path, got.Status, got.Body, want)
	}
}

// TestOperatorTakesARevocationBack: sessions that were not refused meanwhile live on, and those that were stay ended.
func TestOperatorTakesARevocationBack(t *testing.T) {
	s := startWith(t, cognitotest.Options{}, service{admins: ", token: " + adminToken})
	seen, unseen := s.login(), s.login()
	thief := s.copyOf(seen)
	body := `{"sub":"` + s.pool.User("demo").Sub + `"}`
	if status, answer := s.order(adminToken, body); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, answer)
	}
	wantStatus(t, seen, "/api/me", http.StatusUnauthorized)
	for _, want := range []int{http.StatusNoContent, http.StatusNotFound} {
		if status, answer := s.orders(http.MethodDelete, adminToken, body); status != want {
			t.Errorf("%d %s, want %d", status, answer, want)
		}
	}
	wantStatus(t, unseen, "/api/me", http.StatusOK)
	wantStatus(t, thief, "/api/me", http.StatusUnauthorized)
}

func TestOperatorEndsAUsersSessions(t *testing.T) {
	s := startWith(t, cognitotest.Options{}, service{admins: ", token: " + adminToken})
	first, second := s.login(), s.login()
	s.pool.AddUser(cognitotest.User{Username: "second"})
	s.pool.LoginAs("second")
	stranger := s.login()
	if status, _ := s.order("wrong-token-long-enough", `{"sub":"`+s.pool.User("demo").Sub+`"}`); status != http.StatusUnauthorized {
		t.Errorf("with a wrong token: %d", status)
	}
	wantStatus(t, first, "/api/me", http.StatusOK)
	if status, body := s.order(adminToken, `{"sub":"`+s.pool.User("demo").Sub+`"}`); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, body)
	}
	for _, ua := range []*useragent.UA{first, second} {
		wantStatus(t, ua, "/api/me", http.StatusUnauthorized)
	}
	wantStatus(t, stranger, "/api/me", http.StatusOK)
	s.pool.LoginAs("demo")
	wantStatus(t, s.login(), "/api/me", http.StatusOK) // begun after it
	if s.log.Contains(adminToken) {
		t.Error("the log holds the operators' token")
	}
}

func TestAdminIsOffWithoutAToken(t *testing.T) {
	s := start(t, cognitotest.Options{})
	if status, body := s.order("", `{"sub":"a"}`); status != http.StatusNotFound || !strings.Contains(body, "not_found") {
		t.Errorf("%d %s", status, body)
	}
}

// TestDisabledUserIsNoticedByAProbe: a probe ends the session long before the access
// token expires.
func TestDisabledUserIsNoticedByAProbe(t *testing.T) {
	s := startWith(t, cognitotest.Options{}, service{session: ", probe_interval: 10ms"})
	ua := s.login()
	wantStatus(t, ua, "/api/me", http.StatusOK)
	s.pool.DisableUser("demo")
	testkit.Eventually(s.tb, "noticed", func() bool { return ua.Fetch(http.MethodGet, "/api/me", "").Status == http.StatusUnauthorized })
	if session := ua.Fetch(http.MethodGet, "/auth/session", ""); !strings.Contains(string(session.Body), `"authenticated":false`) {
		t.Errorf("%s", session.Body)
	}
}

// TestUpstreamThatRefusesATokenGetsAnother: if an API refuses a token, the request is
// sent again with a new one, and the user does not notice.
func TestUpstreamThatRefusesATokenGetsAnother(t *testing.T) {
	s := start(t, cognitotest.Options{})
	ua := s.login()
	wantStatus(t, ua, "/api/refused", http.StatusOK)
	tokens := s.api.seen()
	if calls, n := s.pool.Count(cognitotest.TokenRefresh), len(tokens); calls != 1 || n < 2 || tokens[n-1] == tokens[n-2] {
		t.Errorf("%d refreshes, %d tokens seen", calls, n)
	}
}

// TestLogoutEverywhereSignsOutAtCognito: GlobalSignOut is called only if the token has
// the scope for it.
func TestLogoutEverywhereSignsOutAtCognito(t *testing.T) {
	t.Parallel()
	for scopes, want := range map[string]int{"[openid, email]": 0, "[openid, email, aws.cognito.signin.user.admin]": 1} {
		t.Run(scopes, func(t *testing.T) {
			s := startWith(t, cognitotest.Options{}, service{provider: ", scopes: " + scopes})
			ua, other := s.login(), s.login()
			if res := ua.Fetch(http.MethodPost, "/auth/logout?everywhere=true", ""); res.Status != http.StatusOK {
				t.Fatalf("%d %s", res.Status, res.Body)
			}
			if got := s.pool.Count(cognitotest.API); got != want {
				t.Errorf("%d calls of GlobalSignOut, want %d", got, want)
			}
			wantStatus(t, other, "/api/me", http.StatusUnauthorized)
		})
	}
}
