package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
)

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
	s.log.Wait(t, `"file":"certificate","error":"tls.cert_file: the certificate expired on `, 1) // the gauge is set first
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
