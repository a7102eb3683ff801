package app_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
)

// TestReloadRemembersWhatItLoaded: a file that changes and changes back is loaded twice, and
// the same content never again. A fault is logged once, and again when it has been healed.
func TestReloadRemembersWhatItLoaded(t *testing.T) {
	var reload func()
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{}), api: newAPI(t), log: &testkit.Log{}}
	s.built = func(a *app.App) {
		app.ReloadEvery(a, 24*time.Hour)
		reload = a.Reload
	}
	s.run(s.pool.Issuer())
	first, err := os.ReadFile(s.keys)
	if err != nil {
		t.Fatal(err)
	}
	const fault, keys, none = "file not reloaded", `["session_keys"]`, "[]"
	seen := map[string]int{}
	for i, step := range []struct {
		content         string
		changed, faulty string // JSON
		faults          int    // logged so far
	}{
		{keyLine("B"), keys, none, 0},
		{keyLine("B"), none, none, 0},
		{string(first), keys, none, 0},
		{string(first), none, none, 0},
		{"no key", none, keys, 1},
		{"no key", none, keys, 1},
		{string(first), none, none, 1},
		{"no key", none, keys, 2},
		{keyLine("B"), keys, none, 2},
	} {
		s.write(s.keys, step.content)
		reload()
		line := fmt.Sprintf(`"msg":"files read again on request","files":1,"changed":%s,"faulty":%s`, step.changed, step.faulty)
		seen[line]++
		s.log.Wait(t, line, seen[line])
		if got := strings.Count(s.log.String(), fault); got != step.faults {
			t.Errorf("step %d: %d faults were logged, want %d", i, got, step.faults)
		}
	}
}

// TestKeysHaveACounterAtOnce: the counter of a key that was added exists at 0 before a
// cookie was opened with it.
func TestKeysHaveACounterAtOnce(t *testing.T) {
	s := start(t, cognitotest.Options{})
	count := func() int {
		_, body := s.admin("/metrics")
		return strings.Count(body, "tokenhandler_session_opens_by_key_total{")
	}
	before := count()
	s.rekey(keyLine("B") + keyLine("C") + keyLine("D"))
	testkit.Eventually(t, "three more counters", func() bool { return count() == before+3 })
}

// TestOldTLSIsRefused: the public listener needs TLS 1.2 (RFC 8996).
func TestOldTLSIsRefused(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{}), api: newAPI(t), log: &testkit.Log{}}
	certificate, key := newPair(t, 1)
	s.write(certFile, certificate)
	s.write(keyFile, key)
	s.run(s.pool.Issuer(), fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", certFile, keyFile))
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", s.at.Public, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}
