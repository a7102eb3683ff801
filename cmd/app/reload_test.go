package app_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// keyLine returns a key made of one letter, as a line of session.keys_file.
func keyLine(letter string) string {
	return base64.StdEncoding.EncodeToString([]byte(letter+"123456789abcdef0123456789ABCDEF")) + "\n"
}

// rekey changes the key file and waits until it is loaded.
func (s *service) rekey(content string) {
	s.tb.Helper()
	const line = `"msg":"file reloaded","file":"session_keys"`
	before := strings.Count(s.log.String(), line)
	s.write(s.keys, content)
	testkit.Eventually(s.tb, "reloaded", func() bool { return strings.Count(s.log.String(), line) > before })
}

// gauge waits until the gauge of reloads has the given value for a file.
func (s *service) gauge(file string, value int) {
	s.tb.Helper()
	want := fmt.Sprintf("tokenhandler_reload_successful{file=%q} %d\n", file, value)
	testkit.Eventually(s.tb, want, func() bool { _, body := s.admin("/metrics"); return strings.Contains(body, want) })
}

func (s *service) wantAPI(ua *useragent.UA, whose string, status int) {
	s.tb.Helper()
	if r := ua.Fetch(http.MethodGet, "/api/me", ""); r.Status != status {
		s.tb.Errorf("the session of %s: %d, want %d", whose, r.Status, status)
	}
}

// TestKeysAreRotated as the README describes: a new key is added at the top, and the old
// one removed later. Nobody is logged out before that.
func TestKeysAreRotated(t *testing.T) {
	s := start(t, cognitotest.Options{})
	old := s.login()
	s.rekey(keyLine("B") + "# the old one\n" + keyLine("A"))
	s.write(s.keys, keyLine("B")+keyLine("A")) // the same keys: nothing to reload
	unknown := s.login()
	s.wantAPI(unknown, "a login after the first rotation", http.StatusOK)
	s.wantAPI(old, "a login with a key that is gone", http.StatusUnauthorized)

	second := s.login()
	s.rekey(keyLine("C") + keyLine("B"))
	third := s.login()
	s.wantAPI(second, "a login with the second key", http.StatusOK)
	s.rekey(keyLine("C"))
	s.wantAPI(third, "a login with the first key", http.StatusOK)
	s.wantAPI(second, "a login with a key that was taken away", http.StatusUnauthorized)
	s.gauge("session_keys", 1)
}

// TestBadKeyFileChangesNothing: the old keys stay in use and the gauge turns to 0, until
// the file is good again, be it with new keys or with the old ones.
func TestBadKeyFileChangesNothing(t *testing.T) {
	s := start(t, cognitotest.Options{})
	s.rekey(keyLine("A"))
	ua := s.login()
	for name, bad := range map[string]string{
		"no key":     "not-a-key-but-planted\n",
		"short":      base64.StdEncoding.EncodeToString([]byte("planted")) + "\n",
		"empty":      "",
		"twice":      keyLine("P") + keyLine("P"),
		"half wrong": keyLine("P") + "planted\n",
	} {
		s.write(s.keys, bad)
		s.gauge("session_keys", 0)
		s.wantAPI(ua, name, http.StatusOK)
		s.write(s.keys, keyLine("A"))
		s.gauge("session_keys", 1)
	}
	if err := os.Remove(s.keys); err != nil {
		t.Fatal(err)
	}
	s.gauge("session_keys", 0)
	s.wantAPI(ua, "a missing file", http.StatusOK)
	s.rekey(keyLine("B") + keyLine("A"))
	s.gauge("session_keys", 1)
	s.wantAPI(ua, "a healed file", http.StatusOK)
	for _, secret := range []string{"planted", keyLine("A")[:20], keyLine("B")[:20], keyLine("P")[:20]} {
		if s.log.Contains(secret) {
			t.Errorf("the log holds %.8s…", secret)
		}
	}
}

// TestKeysThatChangeDuringTheStart: keys that change after the configuration was read
// and before the file is checked for the first time are loaded, too.
func TestKeysThatChangeDuringTheStart(t *testing.T) {
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{}), api: newAPI(t), log: &testkit.Log{}}
	s.built = func(*app.App) { s.write(s.keys, keyLine("B")) }
	s.run(s.pool.Issuer())
	testkit.Eventually(s.tb, "reloaded", func() bool { return s.log.Contains(`"msg":"file reloaded","file":"session_keys"`) })
}

// TestSecretsAreReloaded: the files of the client secret, of the operators' token and of
// the gateways' secret are read again, too. A faulty file changes nothing.
func TestSecretsAreReloaded(t *testing.T) {
	dir := t.TempDir()
	clientFile, adminFile, verifyFile := filepath.Join(dir, "client"), filepath.Join(dir, "admin"), filepath.Join(dir, "verify")
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{CallbackURLs: []string{publicURL + "/auth/callback"}}), api: newAPI(t), log: &testkit.Log{}}
	s.write(clientFile, "planted-secret-of-last-year\n")
	s.write(adminFile, "planted-admin-token-of-last-year\n")
	s.write(verifyFile, "planted-verify-secret-of-last-year\n")
	s.environ = []string{"TH_PROVIDER__CLIENT_SECRET_FILE=" + clientFile, "TH_ADMIN__TOKEN_FILE=" + adminFile, "TH_AUTH__VERIFY_SECRET_FILE=" + verifyFile}
	s.run(s.pool.Issuer())
	s.ready()
	ua := s.browser()
	ua.Navigate("/auth/login")
	if _, in := ua.Cookie(testkit.Cookies(publicURL).Session); in {
		t.Fatal("logged in with a wrong client secret")
	}
	s.write(clientFile, strings.Repeat("planted-secret-of-last-year\n", 2))
	s.gauge("client_secret", 0)
	s.write(clientFile, cognitotest.DefaultSecret+"\n")
	s.gauge("client_secret", 1)
	s.login()

	for path, header := range map[string]string{adminFile: "Authorization", verifyFile: "X-Auth-Request-Secret"} {
		file := map[string]string{adminFile: "admin_token", verifyFile: "verify_secret"}[path]
		ask := func(value string) int {
			if path == adminFile {
				return s.revocationsWith(value)
			}
			return s.login().Fetch(http.MethodGet, "/auth/verify", "", useragent.FetchOptions{Header: map[string]string{header: value}}).Status
		}
		old := strings.ReplaceAll("planted-"+file+"-of-last-year", "_", "-")
		if got := ask(old); got >= http.StatusBadRequest {
			t.Errorf("%s: the first value gets %d", file, got)
		}
		s.write(path, "short\n")
		s.gauge(file, 0)
		if got := ask(old); got >= http.StatusBadRequest {
			t.Errorf("%s: after a faulty file the old value gets %d", file, got)
		}
		value := "planted-" + file + "-of-this-year"
		s.write(path, value+"\n")
		s.gauge(file, 1)
		if got := ask(value); got >= http.StatusBadRequest {
			t.Errorf("%s: the new value gets %d", file, got)
		}
		if got := ask(old); got < http.StatusBadRequest {
			t.Errorf("%s: the old value gets %d", file, got)
		}
	}
	if s.log.Contains("planted-") {
		t.Error("the log holds a secret")
	}
}

// TestSameTokenForTwoIsNotLoaded: a file that gets the token of another operator, or the
// gateways' secret, changes nothing, so that every record names who has revoked.
func TestSameTokenForTwoIsNotLoaded(t *testing.T) {
	dir := t.TempDir()
	adminFile, annasFile, verifyFile := filepath.Join(dir, "admin"), filepath.Join(dir, "anna"), filepath.Join(dir, "verify")
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{}), api: newAPI(t), log: &testkit.Log{}}
	s.admins = ", tokens: [{name: anna, token_file: \"" + annasFile + "\"}]"
	own := map[string]string{adminFile: "planted-admin-token", annasFile: "planted-token-of-anna", verifyFile: "planted-verify-secret"}
	for file, token := range own {
		s.write(file, token+"\n")
	}
	s.environ = []string{"TH_ADMIN__TOKEN_FILE=" + adminFile, "TH_AUTH__VERIFY_SECRET_FILE=" + verifyFile}
	s.run(s.pool.Issuer())
	labels := map[string]string{adminFile: "admin_token", annasFile: "admin_token:anna", verifyFile: "verify_secret"}
	for file, label := range labels {
		for other, token := range own {
			if other == file {
				continue
			}
			s.write(file, token+"\n")
			s.gauge(label, 0)
			if got := s.revocationsWith(own[annasFile]); got != http.StatusOK {
				t.Errorf("%s with the value of %s: anna's token gets %d", label, labels[other], got)
			}
			s.write(file, own[file]+"\n")
			s.gauge(label, 1)
		}
	}
	if s.log.Contains("planted-") {
		t.Error("the log holds a secret")
	}
}

// revocationsWith asks for the revocations with this token, and returns the status.
func (s *service) revocationsWith(token string) int {
	s.tb.Helper()
	r, err := http.NewRequestWithContext(s.tb.Context(), http.MethodGet, "http://"+s.at.Admin+"/admin/revocations", nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := (&http.Client{Transport: s.transport()}).Do(r)
	if err != nil {
		s.tb.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// TestReloadOnRequest: Reload does not wait for the next look at the files.
func TestReloadOnRequest(t *testing.T) {
	var reload func()
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{}), api: newAPI(t), log: &testkit.Log{}}
	s.built = func(a *app.App) {
		app.ReloadEvery(a, 24*time.Hour)
		reload = a.Reload
	}
	s.run(s.pool.Issuer())
	s.write(s.keys, keyLine("B")+keyLine("A"))
	reload()
	s.log.Wait(t, `"msg":"files read again on request","files":1,"changed":["session_keys"],"faulty":[]`, 1)
	s.write(s.keys, "no key")
	reload()
	s.log.Wait(t, `"msg":"files read again on request","files":1,"changed":[],"faulty":["session_keys"]`, 1)
}

// TestUnknownKeyIsReadAtOnce: after a change of the key file, a replica that looks at it
// less often than another one does not log users out. A request with a session of a key
// that it does not know makes it read the file, at most once a second.
func TestUnknownKeyIsReadAtOnce(t *testing.T) {
	clock := testkit.NewClock(time.Now())
	slow := func(a *app.App) { app.ReloadEvery(a, time.Hour) }
	first := startWith(t, cognitotest.Options{}, service{})
	second := startWith(t, cognitotest.Options{}, service{pool: first.pool, clock: clock.Now, built: slow})
	first.rekey(keyLine("B") + keyLine("A"))
	ua := first.login()
	other := second.copyOf(ua)
	second.wantAPI(other, "a key that is in no file", http.StatusUnauthorized)
	second.write(second.keys, keyLine("B")+keyLine("A"))
	second.wantAPI(other, "a key that was added within the same second", http.StatusUnauthorized)
	if len(other.Cookies()) != len(ua.Cookies()) {
		t.Errorf("cookies were removed, %v are left", other.Cookies())
	}
	clock.Advance(time.Second)
	second.wantAPI(other, "a key that was added a second ago", http.StatusOK)
}
