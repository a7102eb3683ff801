package app_test

import (
	"net/http"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
)

// TestLogNamesSessionAndClient: with the log alone, an operator finds out who logged in
// from where, and which session a refused request had.
func TestLogNamesSessionAndClient(t *testing.T) {
	s := startWith(t, cognitotest.Options{}, service{admins: ", token: " + adminToken})
	ua := s.login()
	ua.Fetch(http.MethodGet, "/api/me", "")
	login := s.log.RecordsOf(t, "login")[0]
	if login["client_ip"] != "127.0.0.1" && login["client_ip"] != "::1" || login["user_agent"] == "" || login["user_agent"] == nil {
		t.Errorf("the login's record is %v", login)
	}
	session, _ := login["session"].(string)
	if status, body := s.order(adminToken, `{"session_id":"`+session+`"}`); status != http.StatusAccepted {
		t.Fatalf("not revoked: %d %s", status, body)
	}
	if r := ua.Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusUnauthorized {
		t.Fatalf("a revoked session gets %d", r.Status)
	}
	levels := []string{"INFO", "WARN"} // of the request that was forwarded, and of the one that was refused
	for _, record := range s.log.RecordsOf(t, "request") {
		switch record["path"] {
		case "/api/me":
			if record["session"] != session || record["sub"] != login["sub"] || record["level"] != levels[0] {
				t.Errorf("the record of the request is %v", record)
			}
			levels = levels[1:]
		case "/auth/callback":
			if record["session"] != session || record["sub"] != login["sub"] {
				t.Errorf("the record of the callback is %v", record)
			}
		}
	}
	revoked := s.log.RecordsOf(t, "sessions revoked by an operator")[0]
	if revoked["client_ip"] == nil {
		t.Errorf("the record of the revocation is %v", revoked)
	}
	other := s.login()
	other.Fetch(http.MethodPost, "/auth/logout", "")
	other.Navigate("/auth/callback?error=access_denied&state=" + strings.Repeat("1", 43))
	for _, event := range []string{"logout", "login failed"} {
		if record := s.log.RecordsOf(t, event)[0]; record["client_ip"] == nil || record["user_agent"] == nil {
			t.Errorf("the record is %v", record)
		}
	}
}
