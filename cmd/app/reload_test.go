package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
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
		s.write(path, "planted-value-of-this-year\n")
		s.gauge(file, 1)
		if got := ask("planted-value-of-this-year"); got >= http.StatusBadRequest {
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
	s.log.Wait(t, `"msg":"files read again on request","files":1,"changed":1,"faulty":0`, 1)
	s.write(s.keys, "no key")
	reload()
	s.log.Wait(t, `"msg":"files read again on request","files":1,"changed":0,"faulty":1`, 1)
}

// newPair returns a certificate with this serial number, and its key.
func newPair(t *testing.T, serial int64) (certificate, key string) {
	t.Helper()
	return newPairFor(t, serial, "localhost", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
}

// newPairFor is [newPair] with the host and the life of the certificate.
func newPairFor(t *testing.T, serial int64, host string, begin, end time.Time) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{host}, NotBefore: begin, NotAfter: end,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// serial returns the serial number of the certificate of a new connection.
func (s *service) serial() int64 {
	s.tb.Helper()
	conn, err := tls.Dial("tcp", s.at.Public, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		s.tb.Fatalf("no connection: %v", err)
	}
	defer func() { _ = conn.Close() }()
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != "h2" || state.Version != tls.VersionTLS13 {
		s.tb.Errorf("negotiated %q, TLS version %x", state.NegotiatedProtocol, state.Version)
	}
	return state.PeerCertificates[0].SerialNumber.Int64()
}

// TestCertificateIsReloaded: new connections get a new certificate. The old one stays
// while the files are faulty or only one of them is written.
func TestCertificateIsReloaded(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{}), api: newAPI(t), log: &testkit.Log{}}
	certificate, key := newPair(t, 1)
	s.write(certFile, certificate)
	s.write(keyFile, key)
	s.run(s.pool.Issuer(), fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", certFile, keyFile))
	if got := s.serial(); got != 1 {
		t.Errorf("certificate %d", got)
	}
	s.gauge("certificate", 1)
	wantHTTPS(t, s, certificate)

	certificate, key = newPair(t, 2)
	s.write(certFile, certificate)
	testkit.Eventually(s.tb, "warned of half a pair", func() bool {
		if got := s.serial(); got != 1 {
			t.Fatalf("certificate %d with half a pair", got)
		}
		return s.log.Contains(`"file":"certificate","error":"tls.key_file: does not belong`)
	})
	s.gauge("certificate", 0)
	s.write(keyFile, key)
	testkit.Eventually(s.tb, "reloaded", func() bool { return s.serial() == 2 })
	s.gauge("certificate", 1)
	wantHTTPS(t, s, certificate)

	s.write(certFile, "no certificate")
	testkit.Eventually(s.tb, "warned of a bad file", func() bool {
		if got := s.serial(); got != 2 {
			t.Fatalf("certificate %d with a bad file", got)
		}
		_, body := s.admin("/metrics")
		return strings.Contains(body, `tokenhandler_reload_successful{file="certificate"} 0`)
	})
	s.write(certFile, certificate)
	testkit.Eventually(s.tb, "healed", func() bool {
		_ = s.serial()
		_, body := s.admin("/metrics")
		return strings.Contains(body, `tokenhandler_reload_successful{file="certificate"} 1`)
	})
	if s.log.Contains("PRIVATE KEY") {
		t.Error("the log holds a private key")
	}
}

// startTLS starts the service with a certificate.
func startTLS(t *testing.T, certificate, key string) (s *service, certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	s = &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{}), api: newAPI(t), log: &testkit.Log{}}
	s.write(certFile, certificate)
	s.write(keyFile, key)
	s.run(s.pool.Issuer(), fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", certFile, keyFile))
	return s, certFile, keyFile
}

// expiry checks the metric of the certificate's end.
func (s *service) expiry(end time.Time) {
	s.tb.Helper()
	_, body := s.admin("/metrics")
	if want := fmt.Sprintf("tokenhandler_certificate_expiry_timestamp_seconds %s\n", strconv.FormatFloat(float64(end.Unix()), 'g', -1, 64)); !strings.Contains(body, want) {
		s.tb.Errorf("the metrics lack %s", want)
	}
}

// TestWorseCertificateReplacesNone: a pair that browsers would refuse does not replace a
// good one. The log says why, and a metric when the one in use ends.
func TestWorseCertificateReplacesNone(t *testing.T) {
	now := time.Now()
	end := now.Add(90 * time.Minute)
	certificate, key := newPairFor(t, 1, "localhost", now.Add(-time.Hour), end)
	s, certFile, keyFile := startTLS(t, certificate, key)
	s.expiry(end)
	for i, c := range []struct {
		host       string
		begin, end time.Time
		reason     string
	}{
		{"localhost", now.Add(-2 * time.Hour), now.Add(-time.Hour), "the certificate expired on "},
		{"localhost", now.Add(time.Hour), now.Add(2 * time.Hour), "the certificate is not valid before "},
		{"other.example", now.Add(-time.Hour), now.Add(time.Hour), "the certificate is for other names than localhost"},
	} {
		certificate, key = newPairFor(t, int64(i+2), c.host, c.begin, c.end)
		s.write(keyFile, key)
		s.write(certFile, certificate)
		s.log.Wait(t, `"file":"certificate","error":"tls.cert_file: `+c.reason, 1)
		s.gauge("certificate", 0)
		if got := s.serial(); got != 1 {
			t.Errorf("%s: certificate %d is in use", c.reason, got)
		}
	}
	s.expiry(end)
	later := now.Add(3 * time.Hour)
	certificate, key = newPairFor(t, 9, "localhost", now.Add(-time.Hour), later)
	s.write(keyFile, key)
	s.write(certFile, certificate)
	s.gauge("certificate", 1)
	testkit.Eventually(t, "the new certificate", func() bool { return s.serial() == 9 })
	s.expiry(later)
}

// TestCertificateThatExpiresInUse: the log and the gauge say so, since nothing replaces it.
func TestCertificateThatExpiresInUse(t *testing.T) {
	now := time.Now()
	certificate, key := newPairFor(t, 1, "localhost", now.Add(-time.Hour), now.Add(time.Hour))
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	var ahead atomic.Int64
	s := &service{tb: t, pool: cognitotest.New(t, cognitotest.Options{}), api: newAPI(t), log: &testkit.Log{}}
	s.clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s.write(certFile, certificate)
	s.write(keyFile, key)
	s.run(s.pool.Issuer(), fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", certFile, keyFile))
	s.gauge("certificate", 1)
	ahead.Store(int64(2 * time.Hour))
	s.gauge("certificate", 0)
	if !s.log.Contains(`"file":"certificate","error":"tls.cert_file: the certificate expired on `) {
		t.Error("the log does not say that the certificate has expired")
	}
}

// wantHTTPS makes a request that trusts only this certificate.
func wantHTTPS(t *testing.T, s *service, certificate string) {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(certificate)) {
		t.Fatal("no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.at.Public+"/auth/session", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Csrf", "1")
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Errorf("no answer over TLS: %v", err)
		return
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 {
		t.Errorf("answered %s %d", answer.Proto, answer.StatusCode)
	}
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
