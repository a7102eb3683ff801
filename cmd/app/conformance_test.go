package app_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// These tests check what the OpenID Foundation's conformance suite requires of a relying
// party. Each is named after its module, and runs against the whole service with
// provider.kind oidc. The following modules are left out:
//
//   - oidcc-client-test-userinfo-invalid-sub, oidcc-client-test-scope-userinfo-claims:
//     a session's claims come from the ID token, and userinfo is not called for them.
//   - oidcc-client-test-rp-frontchannel-rpinitlogout, …-opinitlogout: our cookies
//     are SameSite=Strict and our pages refuse to be framed, so that a frame on the
//     provider's page cannot end a session. Back-channel logout can.
//   - oidcc-client-test-3rd-party-init-login…: a login that another site starts is
//     redirected to the app's start page (OWASP ASVS V7.6.2).
//   - form_post, hybrid, implicit and session-management plans: code flow only.

// startOpenID is [start] with a plain OpenID provider.
func startOpenID(t *testing.T, pool cognitotest.Options, prepare ...func(*cognitotest.Server)) *service {
	t.Helper()
	pool.OpenID = true
	pool.CallbackURLs, pool.LogoutURLs = []string{publicURL + "/auth/callback"}, []string{publicURL + "/"}
	s := &service{tb: t, pool: cognitotest.New(t, pool), api: newAPI(t), log: &testkit.Log{}, kind: "oidc"}
	for _, p := range prepare {
		p(s.pool)
	}
	s.run(s.pool.Issuer())
	return s
}

func (s *service) authenticated(ua *useragent.UA) bool {
	s.tb.Helper()
	var body struct{ Authenticated bool }
	if r := ua.Fetch(http.MethodGet, "/auth/session", ""); r.Status != http.StatusOK || r.JSON(&body) != nil {
		s.tb.Errorf("session: %d %s", r.Status, r.Body)
	}
	return body.Authenticated
}

// wantAccepted logs in and calls the API.
func (s *service) wantAccepted() *useragent.UA {
	s.tb.Helper()
	ua := s.login()
	if !s.authenticated(ua) {
		s.tb.Error("no session")
	}
	if r := ua.Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusOK || !strings.Contains(string(r.Body), `"authorized":true`) {
		s.tb.Errorf("API: %d %s", r.Status, r.Body)
	}
	return ua
}

// wantRejected tries to log in and asserts that there is no session and that the tokens
// were not used.
func (s *service) wantRejected() {
	s.tb.Helper()
	s.ready()
	ua := s.browser()
	r := ua.Navigate("/auth/login?return_to=/open/start")
	if !strings.HasPrefix(r.URL, publicURL+"/auth/callback?") || r.Status < http.StatusBadRequest {
		s.tb.Errorf("the login ended at %s with %d", r.URL, r.Status)
	}
	if s.pool.Count(cognitotest.TokenCode+".ok") != 1 {
		s.tb.Error("the provider gave no tokens to reject")
	}
	if _, set := ua.Cookie(testkit.Cookies(publicURL).Session); set || s.authenticated(ua) {
		s.tb.Error("there is a session")
	}
	if r := ua.Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusUnauthorized {
		s.tb.Errorf("API: %d %s", r.Status, r.Body)
	}
	if len(s.api.seen()) != 0 || s.pool.Count(cognitotest.UserInfo)+s.pool.Count(cognitotest.TokenRefresh) != 0 {
		s.tb.Error("a rejected token was used")
	}
}

// fault is one of cognitotest's ID token faults.
func fault(t *testing.T, name string) func(*cognitotest.Server) {
	t.Helper()
	all := slices.Concat(cognitotest.IDTokenFaults, cognitotest.RefreshFaults)
	i := slices.IndexFunc(all, func(f cognitotest.Fault) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no fault %s", name)
	}
	return all[i].Apply
}

// TestConformanceBasic is oidcc-client-basic-certification-test-plan, with the
// code flow and client_secret_basic.
func TestConformanceBasic(t *testing.T) {
	t.Parallel()
	for _, module := range []string{
		"invalid-iss", "missing-sub", "invalid-aud", "missing-iat", "idtoken-sig-none", "invalid-sig-rs256", "nonce-invalid",
		"missing-aud", "invalid-athash", // of other plans
	} {
		t.Run("oidcc-client-test-"+module, func(t *testing.T) {
			startOpenID(t, cognitotest.Options{}, fault(t, module)).wantRejected()
		})
	}
	t.Run("oidcc-client-test", func(t *testing.T) {
		s := startOpenID(t, cognitotest.Options{})
		ua := s.wantAccepted()
		if asked := s.pool.LastForm(cognitotest.Authorize); !slices.Contains(strings.Fields(asked.Get("scope")), "openid") || asked.Get("response_type") != "code" {
			t.Errorf("asked for %v", asked)
		}
		for _, r := range ua.History() {
			if strings.Contains(r.URL, "token=") {
				t.Errorf("a token in a query: %s", r.URL)
			}
		}
	})
	t.Run("oidcc-client-test-idtoken-sig-rs256", func(t *testing.T) {
		startOpenID(t, cognitotest.Options{}).wantAccepted()
	})
	t.Run("oidcc-client-test-kid-absent-single-jwks", func(t *testing.T) {
		startOpenID(t, cognitotest.Options{SingleKey: true}, fault(t, "kid-absent-multiple-jwks")).wantAccepted()
	})
	t.Run("oidcc-client-test-kid-absent-multiple-jwks", func(t *testing.T) {
		// Both are allowed; the service tries all keys.
		startOpenID(t, cognitotest.Options{}, fault(t, "kid-absent-multiple-jwks")).wantAccepted()
	})
	t.Run("oidcc-client-test-client-secret-basic", func(t *testing.T) {
		s := startOpenID(t, cognitotest.Options{})
		s.wantAccepted()
		header, form := s.pool.LastHeader(cognitotest.TokenCode), s.pool.LastForm(cognitotest.TokenCode)
		if !strings.HasPrefix(header.Get("Authorization"), "Basic ") || form.Has("client_secret") {
			t.Errorf("the client authenticates otherwise: parameters %v", form)
		}
	})
}

// TestConformanceRefreshToken is oidcc-client-refreshtoken-test-plan.
func TestConformanceRefreshToken(t *testing.T) {
	t.Parallel()
	t.Run("oidcc-client-test-refresh-token", func(t *testing.T) {
		s := startOpenID(t, cognitotest.Options{Rotation: true})
		ua := s.wantAccepted()
		if r := ua.Fetch(http.MethodPost, "/auth/refresh", ""); r.Status != http.StatusOK {
			t.Errorf("%d %s", r.Status, r.Body)
		}
		if r := ua.Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusOK {
			t.Errorf("%d %s", r.Status, r.Body)
		}
		if seen := s.api.seen(); len(seen) < 2 || seen[0] == seen[len(seen)-1] {
			t.Error("the API did not get the new access token")
		}
	})
	for _, module := range []string{"refresh-token-invalid-issuer", "refresh-token-invalid-sub"} {
		t.Run("oidcc-client-test-"+module, func(t *testing.T) {
			s := startOpenID(t, cognitotest.Options{Rotation: true}, fault(t, module))
			ua := s.wantAccepted()
			before := len(s.api.seen())
			wantProblem(t, ua.Fetch(http.MethodPost, "/auth/refresh", ""), http.StatusUnauthorized, "session_expired")
			wantProblem(t, ua.Fetch(http.MethodGet, "/api/me", ""), http.StatusUnauthorized, "not_authenticated")
			if s.authenticated(ua) || len(s.api.seen()) != before {
				t.Error("the session goes on")
			}
		})
	}
}

// TestConformanceConfig is oidcc-client-config-certification-test-plan.
func TestConformanceConfig(t *testing.T) {
	t.Parallel()
	t.Run("oidcc-client-test-discovery-openid-config", func(t *testing.T) {
		s := startOpenID(t, cognitotest.Options{})
		s.wantAccepted()
		if s.pool.Count(cognitotest.Discovery) != 1 {
			t.Errorf("the document was fetched %d times", s.pool.Count(cognitotest.Discovery))
		}
	})
	t.Run("oidcc-client-test-discovery-jwks-uri-keys", func(t *testing.T) {
		s := startOpenID(t, cognitotest.Options{})
		s.wantAccepted()
		if s.pool.Count(cognitotest.JWKS) != 1 {
			t.Errorf("the keys were fetched %d times", s.pool.Count(cognitotest.JWKS))
		}
	})
	t.Run("oidcc-client-test-discovery-issuer-mismatch", func(t *testing.T) {
		s := startOpenID(t, cognitotest.Options{}, func(p *cognitotest.Server) {
			p.Break(cognitotest.Discovery, cognitotest.EditJSON("issuer", func(body map[string]any) { body["issuer"] = "https://evil.example.com" }), 0)
		})
		s.pool.Await(t, cognitotest.Discovery, 1)
		if status, body := s.admin("/readyz"); status != http.StatusServiceUnavailable {
			t.Errorf("readyz: %d %s", status, body)
		}
		ua := s.browser()
		if r := ua.Navigate("/auth/login"); r.Status != http.StatusServiceUnavailable || len(r.Via) != 0 {
			t.Errorf("the login ended at %s with %d", r.URL, r.Status)
		}
		if s.pool.Count(cognitotest.JWKS)+s.pool.Count(cognitotest.Authorize) != 0 {
			t.Error("what the document says was used")
		}
	})
	t.Run("oidcc-client-test-idtoken-sig-none", func(t *testing.T) {
		startOpenID(t, cognitotest.Options{}, fault(t, "idtoken-sig-none")).wantRejected()
	})
	t.Run("oidcc-client-test-signing-key-rotation", func(t *testing.T) {
		s := startOpenID(t, cognitotest.Options{})
		s.wantAccepted()
		s.pool.RotateKeys()
		s.wantAccepted()
	})
	t.Run("oidcc-client-test-signing-key-rotation-just-before-signing", func(t *testing.T) {
		s := startOpenID(t, cognitotest.Options{})
		s.pool.OnCallback(func(url.Values) { s.pool.RotateKeys() })
		s.wantAccepted()
	})
}

// TestConformanceRPInitiatedLogout is the RP-initiated logout plan. The service sends no
// state: the user is already logged out before the redirect, so that a forged return
// has no effect.
func TestConformanceRPInitiatedLogout(t *testing.T) {
	t.Parallel()
	for module, edit := range map[string]func(url.Values){
		"":             nil,
		"-other-state": func(q url.Values) { q.Set("state", "another-state") },
		"-no-state":    func(q url.Values) { q.Del("state") },
	} {
		t.Run("oidcc-client-test-rp-init-logout"+module, func(t *testing.T) {
			s := startOpenID(t, cognitotest.Options{LoginForm: true})
			s.pool.OnReturn(edit)
			s.wantLoggedOut(s.loginByForm())
		})
	}
}

// loginByForm is [service.login] where the provider shows a form.
func (s *service) loginByForm() *useragent.UA {
	s.tb.Helper()
	s.ready()
	ua := s.browser()
	page := ua.Navigate("/auth/login?return_to=/open/start")
	if r := ua.SubmitForm(page.URL, url.Values{"username": {"demo"}, "password": {cognitotest.DefaultPassword}}); r.URL != publicURL+"/open/start" {
		s.tb.Fatalf("the login ended at %s: %d %s", r.URL, r.Status, r.Body)
	}
	return ua
}

// wantLoggedOut logs out by a form and asserts that the browser returns and that the next
// login asks for the password.
func (s *service) wantLoggedOut(ua *useragent.UA) {
	s.tb.Helper()
	r := ua.SubmitForm("/auth/logout", nil)
	asked := s.pool.LastForm(cognitotest.EndSession)
	if !asked.Has("id_token_hint") || asked.Get("post_logout_redirect_uri") != publicURL+"/" || asked.Has("state") {
		s.tb.Errorf("asked %v", asked)
	}
	if landed, _, _ := strings.Cut(r.URL, "?"); landed != publicURL+"/" || len(r.Via) != 3 {
		s.tb.Errorf("the logout ended at %s with %d", r.URL, r.Status)
	}
	if s.authenticated(ua) {
		s.tb.Error("there is a session")
	}
	if page := ua.Navigate("/auth/login"); !strings.HasPrefix(page.URL, s.pool.URL+"/login?") {
		s.tb.Errorf("the next login went to %s", page.URL)
	}
}

// TestConformanceBackchannelLogout is the back-channel logout plan: the provider
// sends a logout token when its session ends, and checks the status and Cache-Control.
func TestConformanceBackchannelLogout(t *testing.T) {
	t.Parallel()
	const module = "oidcc-client-test-rp-backchannel-rpinitlogout"
	t.Run(module, func(t *testing.T) {
		s := startOpenID(t, cognitotest.Options{})
		ua, sid := s.loginSID()
		other := s.login()
		if got := s.logoutToken(s.pool.LogoutToken("", sid)); got != http.StatusOK {
			t.Errorf("%d", got)
		}
		if s.authenticated(ua) || !s.authenticated(other) {
			t.Error("the session lives on, or another one ended")
		}
	})
	tried := 0
	for _, f := range cognitotest.LogoutFaults {
		if !slices.Contains([]string{"alg-none", "no-event", "with-nonce", "wrong-alg", "wrong-aud", "wrong-event", "wrong-iss"}, f.Name) {
			continue // not in the plan: tested in package tokenhandler
		}
		tried++
		t.Run(module+"-"+f.Name, func(t *testing.T) {
			s := startOpenID(t, cognitotest.Options{})
			ua, sid := s.loginSID()
			if got := s.logoutToken(s.pool.LogoutToken(s.pool.User("demo").Sub, sid, f.Edit)); got != http.StatusBadRequest {
				t.Errorf("%d", got)
			}
			if !s.authenticated(ua) {
				t.Error("a faulty token ended the session")
			}
		})
	}
	if tried != 7 {
		t.Errorf("%d of 7 modules", tried)
	}
}

// loginSID is [service.login]; it returns the ID token's sid, too.
func (s *service) loginSID() (ua *useragent.UA, sid string) {
	s.tb.Helper()
	s.pool.EditIDToken(func(t *cognitotest.Token) { sid, _ = t.Claims["sid"].(string) })
	ua = s.login()
	s.pool.Heal()
	if sid == "" {
		s.tb.Fatal("the ID token names no session")
	}
	return ua, sid
}

// logoutToken sends a logout token as the provider's server does; it returns the
// status.
func (s *service) logoutToken(raw string) int {
	s.tb.Helper()
	body := strings.NewReader(url.Values{"logout_token": {raw}}.Encode())
	r, err := http.NewRequestWithContext(s.tb.Context(), http.MethodPost, publicURL+"/auth/backchannel-logout", body)
	if err != nil {
		s.tb.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := s.transport().RoundTrip(r)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if got := answer.Header.Get("Cache-Control"); got != "no-store" {
		s.tb.Errorf("Cache-Control %q", got)
	}
	return answer.StatusCode
}
