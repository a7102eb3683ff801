//go:build e2e

package oidcprovider_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/useragent"
)

func TestLogin(t *testing.T) {
	w := newWorld(t, time.Hour)
	ua := w.login()
	w.wantSession(ua, true)
	tokens := w.api.take()
	if last := tokens[len(tokens)-1]; !strings.HasPrefix(last, "Bearer ") || len(last) < 20 {
		t.Errorf("the API got %.10q", last)
	}
	w.wantActive(w.refreshToken(), true)
	if text := ua.ScriptVisibleText(); strings.Contains(text, w.refreshToken()) || strings.Contains(text, "eyJ") {
		t.Error("a script can read a token")
	}
}

// TestRotation: each refresh invalidates the refresh token that it used, and the session continues with the new one.
func TestRotation(t *testing.T) {
	w := newWorld(t, time.Hour)
	ua := w.login()
	for range 3 {
		old := w.refreshToken()
		if r := ua.Fetch(http.MethodPost, "/auth/refresh", ""); r.Status != http.StatusOK {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
		if w.refreshToken() == old {
			t.Fatal("the provider does not rotate")
		}
		w.wantActive(old, false)
		w.wantActive(w.refreshToken(), true)
		w.wantSession(ua, true)
	}
}

// TestParallelRequestsRefreshOnce: the provider revokes the whole grant if a used refresh token is sent again, so that a second call
// would end the session.
func TestParallelRequestsRefreshOnce(t *testing.T) {
	const life = 4 * time.Second
	w := newWorld(t, life)
	ua := w.login()
	w.api.take()
	select {
	case <-time.After(time.Until(w.session(ua).AccessTokenExpiresAt)):
	case <-t.Context().Done():
		t.Fatal("the test ended first")
	}
	before, begun := w.observed().Calls, time.Now()
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if r := ua.Tab().Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusOK {
				t.Errorf("%d %s", r.Status, r.Body)
			}
		})
	}
	wg.Wait()
	after := w.observed().Calls
	// On a busy machine the new token may expire as well before all requests are answered.
	most := 1 + int(time.Since(begun)/(life-time.Second))
	if n := after["refresh_token ok"] - before["refresh_token ok"]; n < 1 || n > most || after["refresh_token invalid_grant"] != 0 {
		t.Errorf("%d refreshes, want %d at most: %v", n, most, after)
	}
	if tokens := w.api.take(); len(tokens) != 30 || len(slices.Compact(slices.Sorted(slices.Values(tokens)))) > most {
		t.Errorf("%d requests went out with different tokens", len(tokens))
	}
	w.wantSession(ua, true)
}

// TestStolenRefreshTokenEndsTheSession: if an attacker uses an old refresh token, the provider revokes the grant, and the session ends.
// This also shows that the provider detects the reuse that [TestParallelRequestsRefreshOnce] and [TestRotation] must avoid.
func TestStolenRefreshTokenEndsTheSession(t *testing.T) {
	w := newWorld(t, time.Hour)
	ua := w.login()
	stolen := w.refreshToken()
	if r := ua.Fetch(http.MethodPost, "/auth/refresh", ""); r.Status != http.StatusOK {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if code, err := w.provider.Redeem(t.Context(), stolen); err != nil || code != "invalid_grant" {
		t.Fatalf("the thief got %q, %v", code, err)
	}
	w.wantActive(w.refreshToken(), false)
	if r := ua.Fetch(http.MethodPost, "/auth/refresh", ""); r.Status != http.StatusUnauthorized || !strings.Contains(string(r.Body), "session_expired") {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	w.wantSession(ua, false)
}

// TestLogoutRevokes: after the logout the refresh token is revoked. A grant with offline_access would otherwise survive the end of the
// provider's session.
func TestLogoutRevokes(t *testing.T) {
	w := newWorld(t, time.Hour)
	ua := w.login()
	copied := w.copyOf(ua, w.isOurs)
	w.wantSession(copied, true)
	refresh := w.refreshToken()
	r := ua.Fetch(http.MethodPost, "/auth/logout", "")
	if r.Status != http.StatusOK || strings.Contains(string(r.Body), "id_token_hint") {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	w.wantActive(refresh, false)
	if code, err := w.provider.Redeem(t.Context(), refresh); err != nil || code != "invalid_grant" {
		t.Errorf("the refresh token was answered with %q, %v", code, err)
	}
	w.wantSession(ua, false)
	w.wantSession(copied, false)
}

// TestRPInitiatedLogout: after a logout by form or by script, the provider asks the user, ends its own session, and redirects to
// auth.after_logout. The next login asks for the password.
func TestRPInitiatedLogout(t *testing.T) {
	for how, start := range map[string]func(*useragent.UA) *useragent.Response{
		"form": func(ua *useragent.UA) *useragent.Response { return ua.SubmitForm("/auth/logout", nil) },
		"script": func(ua *useragent.UA) *useragent.Response {
			var body struct {
				LogoutURL string `json:"logout_url"`
			}
			if err := ua.Fetch(http.MethodPost, "/auth/logout", "").JSON(&body); err != nil {
				t.Fatal(err)
			}
			return ua.Click(body.LogoutURL)
		},
	} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t, time.Hour)
			ua := w.login()
			confirmation := start(ua)
			if !confirmation.Query().Has("id_token_hint") {
				t.Errorf("no id_token_hint: %s", confirmation.URL)
			}
			end := w.submit(ua, confirmation, map[string][]string{"logout": {"yes"}})
			if end.URL != w.url+"/bye" || end.Status != http.StatusOK {
				t.Errorf("the logout ended at %s with %d %s", end.URL, end.Status, end.Body)
			}
			w.wantSession(ua, false)
			if page := ua.Navigate("/auth/login"); !strings.Contains(string(page.Body), `name="password"`) {
				t.Errorf("the next login shows %s: %d %s", page.URL, page.Status, page.Body)
			}
		})
	}
}

// TestBackchannelLogout: the provider's session ends in another tab, and the provider sends a logout token. The session ends before
// the user does anything in the app. Another session of the same user continues.
func TestBackchannelLogout(t *testing.T) {
	w := newWorld(t, time.Hour)
	ua, other := w.login(), w.login()
	copied := w.copyOf(ua, w.isOurs)
	elsewhere := w.copyOf(ua, func(c useragent.Cookie) bool { return !w.isOurs(c) })
	confirmation := elsewhere.Navigate(w.provider.Issuer + "/session/end")
	w.submit(elsewhere, confirmation, map[string][]string{"logout": {"yes"}})
	if calls := w.observed().Calls; calls["backchannel ok"] != 1 || calls["backchannel failed"] != 0 {
		t.Errorf("the logout tokens were answered with %v", calls)
	}
	w.wantSession(ua, false)
	w.wantSession(copied, false)
	w.wantSession(other, true)
}
