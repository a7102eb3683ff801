//go:build e2e

package valkey_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/replicas/valkey"
	"cognito-token-handler/tokenhandler/secret"
)

// certFile and keyFile are a self-signed certificate for localhost.
var certFile, keyFile string

// TestMain makes that certificate one of the system's, which a process reads once, at its first handshake.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "valkey-test-")
	if err == nil {
		certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		err = errors.Join(certify(), os.Setenv("SSL_CERT_FILE", certFile))
	}
	flag.Parse()
	err = errors.Join(err, flag.Set("test.parallel", "6")) // the tests wait for servers most of the time
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		_, _ = fmt.Fprintln(os.Stderr, err)
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
	)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{CertFile: certFile, KeyFile: keyFile, Password: "secret"})
	port := strconv.Itoa(server.Port)
	for _, scheme := range []string{"rediss", "valkeys"} {
		stores := ready(t, scheme+"://:secret@"+net.JoinHostPort("localhost", port), 2)
		revoke(t, stores[0], subject(scheme))
		eventually(t, "entries travel", func() bool { return stores[1].denies(scheme) })
	}
	for url, why := range map[string]string{
		"rediss://:secret@127.0.0.1:" + port: "the TLS handshake failed", // the certificate is another's
		"redis://:secret@127.0.0.1:" + port:  "the connection failed",
	} {
		r := start(t, url)
		eventually(t, url+": "+why, func() bool { return r.Ready() != nil && strings.Contains(r.Ready().Error(), why) })
	}
}

// TestLeastPermissions: the permissions that config/deploy/README.md names are enough.
func TestLeastPermissions(t *testing.T) {
	t.Parallel()
	deploy, err := os.ReadFile("../../../config/deploy/README.md")
	if err != nil || !strings.Contains(string(deploy), "\n"+strings.Join(permissions(), " ")+"\n") {
		t.Errorf("config/deploy/README.md does not name the permissions: %v", err)
	}
	server := serve(t, redislocal.Options{})
	command(t, direct(t, server), append([]string{"ACL", "SETUSER", "app", "on", ">secret"}, permissions()...)...)
	stores := settled(t, "redis://app:secret@"+server.Addr(), 2)
	revoke(t, stores[0], subject("user"))
	isBack(t, stores)
	persist(t, func(ctx context.Context) error { return stores[0].Release(ctx, id, "another") })
}

// TestPasswordIsNotLogged: neither errors nor the log contain the password.
func TestPasswordIsNotLogged(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{Password: "hunter2-right"})
	var log bytes.Buffer
	store, err := valkey.New(valkey.Config{
		URL: secret.New(redislocal.URL(server.Addr(), "hunter2-wrong")), Local: memory.New(time.Now), Now: time.Now,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); store.Run(ctx) }()
	eventually(t, "the refusal", func() bool {
		return strings.Contains(store.Ready().Error(), "does not take the user and password")
	})
	_, err = store.Claim(t.Context(), id, 1, lease)
	if err == nil {
		t.Fatal("claimed with a wrong password")
	}
	server.Stop()
	eventually(t, "the end", func() bool { return strings.Contains(store.Ready().Error(), "the connection failed") })
	cancel()
	<-done
	for _, text := range []string{err.Error(), store.Ready().Error(), log.String()} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("the password is in %q", text)
		}
	}
	last := ""
	for line := range strings.Lines(log.String()) { // on a busy machine there are further reasons
		_, reason, _ := strings.Cut(line, "level=")
		if reason == last {
			t.Errorf("one line a reason, not one a try:\n%s", log.String())
		}
		last = reason
	}
	for _, reason := range []string{"does not take the user and password", "the connection failed"} {
		if !strings.Contains(log.String(), reason) {
			t.Errorf("the log lacks %q:\n%s", reason, log.String())
		}
	}
}
