package app_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
)

const annasToken = "the-token-of-anna-long-enough"

// startAudited starts a service with an audit trail in a file.
func startAudited(t *testing.T, file, more string, environ ...string) *service {
	t.Helper()
	return startWith(t, cognitotest.Options{}, service{
		environ: environ,
		admins:  ", tokens: [{name: anna, token: \"" + annasToken + "\"}]",
		further: "audit: {output: file, file: \"" + file + "\"" + more + "}",
	})
}

// oneObject is a bucket that has every object.
func oneObject(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodHead:
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Length", "1")
	case http.MethodPut:
		_, _ = w.Write([]byte(`<CopyObjectResult><ETag>"1"</ETag></CopyObjectResult>`))
	case http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	}
}

// TestAuditTrailTellsWhatHappened: one record for each decision, with who, what, from
// where and in which request. No record has a secret.
func TestAuditTrailTellsWhatHappened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	bucket := httptest.NewServer(http.HandlerFunc(oneObject))
	t.Cleanup(bucket.Close)
	s := startAudited(t, file, "", "TH_STORAGE__ENDPOINT="+bucket.URL)
	ua := s.login()
	ua.Fetch(http.MethodPost, "/storage/copies", `{"from":"a.txt","to":"b.txt"}`, jsonBody)
	ua.Fetch(http.MethodDelete, "/storage/objects/c.txt", "")
	keys, err := os.ReadFile(s.keys)
	if err != nil {
		t.Fatal(err)
	}
	s.write(s.keys+".new", keyLine("B")+string(keys))
	if err := os.Rename(s.keys+".new", s.keys); err != nil { // half a file would be recorded as a failure
		t.Fatal(err)
	}
	testkit.Eventually(t, "the new keys are recorded", func() bool {
		content, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(content), `"event":"keys_reloaded"`)
	})
	ua.Fetch(http.MethodPost, "/storage/uploads", `{"key":"a.txt","content_type":"text/plain","size":1}`, jsonBody)
	s.pool.SignOut("demo")
	ua.Fetch(http.MethodPost, "/auth/refresh", "")
	leaving := s.login()
	leaving.Fetch(http.MethodPost, "/auth/logout?everywhere=true", "")
	s.browser().Navigate("/auth/callback?error=access_denied&state=" + strings.Repeat("1", 43))
	s.order("made-up", `{"sub":"x"}`)
	s.order(annasToken, `{"session_id":"0123456789abcdef","reason":"lost laptop"}`)
	s.orders(http.MethodDelete, annasToken, `{"session_id":"0123456789abcdef","reason":"lost laptop"}`)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	targets := map[string]string{"presigned": "a.txt", "copied": "b.txt", "deleted": "c.txt"}
	sub := s.pool.User("demo").Sub
	for line := range strings.Lines(string(content)) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		name, _ := e["event"].(string)
		cause, _ := e["cause"].(string)
		events = append(events, strings.TrimSpace(name+" "+cause))
		switch name {
		case "login", "logout", "session_ended", "refresh_refused", "presigned", "copied", "deleted":
			if session, _ := e["session"].(string); e["sub"] != sub || len(session) != 16 || e["request_id"] == nil || e["client_ip"] == nil {
				t.Errorf("%s: %s", name, line)
			}
			if wanted := targets[name]; wanted != "" && e["target"] != "users/"+sub+"/"+wanted {
				t.Errorf("%s: %s", name, line)
			}
		case "keys_reloaded":
			if e["target"] != "session_keys" || e["outcome"] != "success" {
				t.Errorf("%s: %s", name, line)
			}
		case "revoked", "revocation_lifted":
			if by := e["by"]; by != "user" && (by != "operator:anna" || e["target"] != "session:0123456789abcdef" || e["reason"] != "lost laptop") {
				t.Errorf("%s: %s", name, line)
			}
		}
		if e["replica"] == "" || e["time"] == nil || e["schema"] != 1.0 || e["outcome"] == nil {
			t.Errorf("%s: %s", name, line)
		}
	}
	want := "config_loaded, login, copied copy, deleted delete, keys_reloaded, presigned upload, refresh_refused ended, session_ended refused, login, revoked, logout, session_ended logout, " +
		"login_failed unknown_state, admin_denied not_authenticated, revoked, revocation_lifted"
	if got := strings.Join(events, ", "); got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
	for _, secret := range []string{annasToken, "made-up", cognitotest.DefaultSecret, "eyJ"} {
		if strings.Contains(string(content), secret) {
			t.Errorf("%q is in the audit trail", secret)
		}
	}
}

// TestRequestedIdentityProviderProvesNothing: a user of the pool itself is not recorded as
// one of the identity provider that the link to the login names.
func TestRequestedIdentityProviderProvesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	s := startAudited(t, file, "")
	s.ready()
	ua := s.browser()
	ua.Navigate("/auth/login?identity_provider=Okta")
	if !s.authenticated(ua) {
		t.Fatal("not logged in")
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(content), `"requested_identity_provider":"Okta"`) || strings.Contains(string(content), `"identity_provider":`) {
		t.Errorf("recorded %s, %v", content, err)
	}
}

// TestFullDiskUnderTheAuditTrail: nobody logs in, renews a session or gets a presigned URL
// unseen. Sessions are kept, they can be ended, and all goes on when there is room again.
func TestFullDiskUnderTheAuditTrail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.log")
	link := func(target string) { // in one step: the service, which looks for the file, would make one meanwhile
		t.Helper()
		if err := errors.Join(os.Symlink(target, file+".new"), os.Rename(file+".new", file)); err != nil {
			t.Fatal(err)
		}
	}
	link(filepath.Join(dir, "disk-1"))
	s := startAudited(t, file, ", on_failure: refuse")
	ua, leaving := s.login(), s.login()
	link("/dev/full")
	unseen := s.browser()
	if res := unseen.Navigate("/auth/login"); res.Status != http.StatusServiceUnavailable || !strings.Contains(string(res.Body), "audit_unavailable") {
		t.Errorf("a login: %d %s", res.Status, res.Body)
	}
	testkit.WantProblem(t, ua.Fetch(http.MethodPost, "/storage/uploads", `{"key":"a.txt","content_type":"text/plain","size":1}`, jsonBody).Answer(), http.StatusServiceUnavailable, "audit_unavailable")
	testkit.WantProblem(t, ua.Fetch(http.MethodPost, "/auth/refresh", "").Answer(), http.StatusServiceUnavailable, "audit_unavailable")
	if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
		t.Errorf("an API request with a token that is valid: %d %s", res.Status, res.Body)
	}
	if res := leaving.Fetch(http.MethodPost, "/auth/logout", ""); res.Status != http.StatusOK || s.authenticated(leaving) {
		t.Errorf("a logout: %d %s", res.Status, res.Body)
	}
	if status, body := s.order(annasToken, `{"sub":"somebody"}`); status != http.StatusAccepted {
		t.Errorf("a revocation: %d %s", status, body)
	}
	if _, metrics := s.admin("/metrics"); !strings.Contains(metrics, "tokenhandler_audit_up 0\n") {
		t.Error("the metric says that the trail is written")
	}
	link(filepath.Join(dir, "disk-2"))
	testkit.Eventually(t, "a refresh when there is room", func() bool {
		return ua.Fetch(http.MethodPost, "/auth/refresh", "").Status == http.StatusOK
	})
	if !s.authenticated(s.login()) {
		t.Error("nobody can log in again")
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	// The first login had been decided when its record could not be written.
	late, err := os.ReadFile(filepath.Join(dir, "disk-2"))
	if err != nil || strings.Count(string(late), `"event":"login"`) != 2 || !strings.Contains(string(late), `"event":"login_failed","cause":"audit_unavailable"`) || strings.Count(string(late), `"event":"logout"`) != 1 || strings.Contains(string(late), `"event":"presigned"`) {
		t.Errorf("recorded later: %s, %v", late, err)
	}
}
