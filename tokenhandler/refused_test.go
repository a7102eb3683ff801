package tokenhandler_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// TestDeadRefreshTokenWithAnotherError checks providers that do not say invalid_grant of a
// refresh token that is dead. While the access token works, nothing changes. When it has
// ended, the user has to log in, and the app hears so; the cookies are kept, because the
// cause may be another one.
func TestDeadRefreshTokenWithAnotherError(t *testing.T) {
	t.Parallel()
	jsonError := func(status int, code string) cognitotest.Outage {
		return cognitotest.Text(code, status, "application/json", `{"error":"`+code+`"}`)
	}
	for name, c := range map[string]struct {
		outage  cognitotest.Outage
		refused bool // else an outage
	}{
		"invalid_request, as Dex": {jsonError(400, "invalid_request"), true},
		"bare 400":                {cognitotest.Text("400", 400, "text/plain", ""), true},
		"HTML 400":                {cognitotest.Text("400", 400, "text/html", "<html>"), true},
		"bare 401":                {cognitotest.Text("401", 401, "text/plain", ""), true},
		"interaction_required":    {jsonError(400, "interaction_required"), true},
		"login_required":          {jsonError(401, "login_required"), true},
		"consent_required":        {jsonError(403, "consent_required"), true},
		"a code of its own":       {jsonError(422, "token_revoked"), true},
		"firewall":                {cognitotest.Text("403", 403, "text/html", "<html>"), false},
		"not found":               {cognitotest.Text("404", 404, "text/html", "<html>"), false},
		"500":                     {jsonError(500, "server_error"), false},
		"reset":                   {cognitotest.Reset(), false},
		"invalid_client":          {jsonError(401, "invalid_client"), false},
		"HTML with 200":           {cognitotest.Text("200", 200, "text/html", "<html>"), false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, short())
			ua := a.login()
			cookies := len(ours(ua))
			a.pool.Break(cognitotest.TokenRefresh, c.outage, 0)
			a.clock.Advance(9*time.Minute + 30*time.Second)
			if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
				t.Errorf("while the access token works: %d", res.Status)
			}
			a.wantSession(ua, true)
			a.clock.Advance(time.Minute)
			for _, path := range []string{"/api/me", "/auth/refresh"} {
				method := map[string]string{"/api/me": http.MethodGet, "/auth/refresh": http.MethodPost}[path]
				res := ua.Fetch(method, path, "")
				if c.refused {
					testkit.WantProblem(t, res.Answer(), http.StatusUnauthorized, "session_expired")
				} else {
					testkit.WantProblem(t, res.Answer(), http.StatusServiceUnavailable, "provider_unavailable")
				}
				if c.refused != strings.Contains(string(res.Body), `"login_url":"/auth/login"`) {
					t.Errorf("%s: %s", path, res.Body)
				}
			}
			a.wantSession(ua, !c.refused)
			if len(ours(ua)) != cookies {
				t.Errorf("%d cookies are left of %d", len(ours(ua)), cookies)
			}
			a.pool.Mend(cognitotest.TokenRefresh)
			a.clock.Advance(time.Minute)
			if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
				t.Errorf("when the provider takes the token again: %d %s", res.Status, res.Body)
			}
		})
	}
}

// TestUnusableAnswersForLong checks a provider that is reached, but refuses this service or
// answers nonsense: after a minute GET /auth/session does not say any more that the user is
// logged in, since there is no token. The cookies are kept. A provider that is out of reach is
// an outage, however long.
func TestUnusableAnswersForLong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outage cognitotest.Outage
		over   bool
	}{
		"invalid_client": {cognitotest.OAuthError("invalid_client"), true},
		"HTML with 200":  {cognitotest.Text("200", 200, "text/html", "<html>"), true},
		"reset":          {cognitotest.Reset(), false},
		"503":            {cognitotest.Text("503", 503, "text/html", "<html>"), false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, short())
			ua := a.login()
			cookies := len(ours(ua))
			step := func(advance time.Duration, want bool) {
				t.Helper()
				a.clock.Advance(advance)
				res := ua.Fetch(http.MethodGet, "/api/me", "")
				testkit.WantProblem(t, res.Answer(), http.StatusServiceUnavailable, "provider_unavailable")
				a.wantSession(ua, want)
			}
			a.pool.Break(cognitotest.TokenRefresh, c.outage, 0)
			step(11*time.Minute, true)
			step(59*time.Second, true)
			step(time.Second, !c.over)
			step(time.Minute, !c.over)
			a.pool.Break(cognitotest.TokenRefresh, cognitotest.Reset(), 0)
			step(time.Minute, true) // now it is out of reach
			a.pool.Break(cognitotest.TokenRefresh, c.outage, 0)
			step(time.Minute, true)
			step(time.Minute, !c.over)
			if len(ours(ua)) != cookies {
				t.Errorf("%d cookies are left of %d", len(ours(ua)), cookies)
			}
			a.pool.Mend(cognitotest.TokenRefresh)
			a.clock.Advance(time.Minute)
			a.wantSession(ua, true)
		})
	}
}

// TestServerErrorsForOneSession checks a provider that answers 500 to the refresh token of
// a removed user. After five of them over a minute, and while others are refreshed, the
// user has to log in. If nobody is refreshed, it is an outage.
func TestServerErrorsForOneSession(t *testing.T) {
	for _, others := range []bool{true, false} {
		a := newApp(t, short())
		ua, other := a.login(), a.login()
		a.clock.Advance(11 * time.Minute)
		var last *useragent.Response
		for i := range 7 {
			a.pool.Break(cognitotest.TokenRefresh, cognitotest.Text("500", http.StatusInternalServerError, "application/json", `{"error":"server_error"}`), 0)
			last = ua.Fetch(http.MethodGet, "/api/me", "")
			if i < 4 && last.Status != http.StatusServiceUnavailable {
				t.Errorf("after %d: %d", i+1, last.Status)
			}
			a.pool.Mend(cognitotest.TokenRefresh)
			if others {
				other.Fetch(http.MethodGet, "/api/me", "")
			}
			a.clock.Advance(11 * time.Second)
			if others && i == 3 {
				other.Fetch(http.MethodPost, "/auth/refresh", "")
			}
		}
		if others {
			testkit.WantProblem(t, last.Answer(), http.StatusUnauthorized, "session_expired")
		} else {
			testkit.WantProblem(t, last.Answer(), http.StatusServiceUnavailable, "provider_unavailable")
		}
		a.wantSession(ua, true) // the token endpoint answers again
	}
}

// TestStoreOutageIsNotTheProviders checks that answers, the log and the metric name the
// store if that is why a token is not refreshed.
func TestStoreOutageIsNotTheProviders(t *testing.T) {
	s := short()
	store := replicastest.NewFake()
	var counted *refresh.Metrics
	current := true
	s.refresh = func(c *refresh.Config) {
		counted = refresh.NewMetrics(nil)
		c.Replicas, c.Metrics, c.DenyListCurrent = store, counted, func() bool { return current }
	}
	a := newApp(t, s)
	ua := a.login()
	store.SetOutage(true, false)
	a.clock.Advance(11 * time.Minute)
	for method, path := range map[string]string{http.MethodGet: "/api/me", http.MethodPost: "/auth/refresh"} {
		res := ua.Fetch(method, path, "")
		testkit.WantProblem(t, res.Answer(), http.StatusServiceUnavailable, "store_unavailable")
		if res.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	a.wantSession(ua, true)
	if got := testutil.ToFloat64(counted.Refreshes.WithLabelValues("store_unavailable")); got != 1 || !a.log.Contains(`"error_code":"store_unavailable"`) {
		t.Errorf("counted %v", got)
	}
	current = false
	res := ua.Fetch(http.MethodGet, "/auth/session", "")
	testkit.WantProblem(t, res.Answer(), http.StatusServiceUnavailable, "store_unavailable")
}

// TestLogoutOfADeadSessionMakesNoCall checks that copies of a cookie cause no calls to the
// provider, whatever has ended the session.
func TestLogoutOfADeadSessionMakesNoCall(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(a *app, ua *useragent.UA)
		calls int
	}{
		"alive":   {func(*app, *useragent.UA) {}, 1},
		"idle":    {func(a *app, _ *useragent.UA) { a.clock.Advance(2 * time.Hour) }, 1},
		"expired": {func(a *app, _ *useragent.UA) { a.clock.Advance(13 * time.Hour) }, 1},
		"refused": {func(a *app, ua *useragent.UA) {
			a.pool.SignOut("demo")
			a.copyOf(ua).Fetch(http.MethodPost, "/auth/refresh", "")
		}, 0},
		"revoked": {func(a *app, ua *useragent.UA) {
			current, err := a.sessions.Open(a.request(ua))
			if err != nil || !current.End() {
				a.tb.Errorf("%v, or it was over already", err)
			}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{})
			ua := a.login()
			c.end(a, ua)
			for _, query := range []string{"", "?everywhere=true", "", ""} {
				if res := a.copyOf(ua).Fetch(http.MethodPost, "/auth/logout"+query, ""); res.Status != http.StatusOK {
					t.Errorf("answered %d", res.Status)
				}
			}
			if got := a.pool.Count(cognitotest.Revoke); got != c.calls {
				t.Errorf("%d revocation calls, want %d", got, c.calls)
			}
		})
	}
}
