package provider_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/provider"
)

// listen accepts connections and serves each with serve. It returns the address.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return listener.Addr().String()
}

// tlsServer serves TLS with a certificate for the name, until the given time.
func tlsServer(t *testing.T, name string, until time.Time, config *tls.Config) (address string, authorities *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: until.AddDate(-1, 0, 0), NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	authorities = x509.NewCertPool()
	authorities.AddCert(leaf)
	config.Certificates = []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}
	address = listen(t, func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		_ = tls.Server(conn, config).HandshakeContext(t.Context())
		_, _ = io.Copy(io.Discard, conn)
	})
	return address, authorities
}

// get returns the error of a request to an address.
func get(t *testing.T, address string, authorities *x509.CertPool, timeout time.Duration) error {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: authorities, ServerName: "idp.example", MaxVersion: tls.VersionTLS12},
		DialContext:     (&net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no name server") }}}).DialContext,
	}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err == nil {
		_ = answer.Body.Close()
		t.Fatal("answered")
	}
	return err
}

// TestCausesOfRealFailures connects to servers that fail in each way.
func TestCausesOfRealFailures(t *testing.T) {
	future, past := time.Now().AddDate(0, 1, 0), time.Now().Add(-time.Hour)
	good, goodCA := tlsServer(t, "idp.example", future, &tls.Config{MinVersion: tls.VersionTLS12})
	expired, expiredCA := tlsServer(t, "idp.example", past, &tls.Config{MinVersion: tls.VersionTLS12})
	other, otherCA := tlsServer(t, "other.example", future, &tls.Config{MinVersion: tls.VersionTLS12})
	modern, modernCA := tlsServer(t, "idp.example", future, &tls.Config{MinVersion: tls.VersionTLS13})
	closed := listen(t, func(conn net.Conn) { _ = conn.Close() }) // before or after the request was written
	unread := listen(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1024))
		_ = conn.Close()
	})
	reset := listen(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1))
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	})
	plain := listen(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1024))
		_, _ = io.WriteString(conn, "HTTP/1.1 400 planted-remote-text\r\n\r\n")
		_ = conn.Close()
	})
	silent := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	const long = time.Minute
	for want, err := range map[provider.Cause]error{
		provider.CauseDNS:              get(t, "http://nowhere.example/", nil, long),
		provider.CauseRefused:          get(t, "http://"+free.Addr().String(), nil, long),
		provider.CauseTimeout:          get(t, "http://"+silent, nil, 50*time.Millisecond),
		provider.CauseReset:            get(t, "http://"+reset, nil, long),
		provider.CauseUnknownAuthority: get(t, "https://"+good, otherCA, long),
		provider.CauseExpired:          get(t, "https://"+expired, expiredCA, long),
		provider.CauseName:             get(t, "https://"+other, otherCA, long),
		provider.CauseTLS:              get(t, "https://"+modern, modernCA, long),
	} {
		if got := provider.CauseOf(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
	if err := get(t, "https://"+plain, goodCA, long); provider.CauseOf(err) != provider.CauseTLS {
		t.Errorf("plain http: %v: %s", err, provider.CauseOf(err))
	}
	for range 50 {
		if err := get(t, "http://"+closed, nil, long); provider.CauseOf(err) != provider.CauseReset {
			t.Errorf("closed: %v: %s", err, provider.CauseOf(err))
		}
	}
	if err := get(t, "http://"+unread, nil, long); provider.CauseOf(err) != provider.CauseReset {
		t.Errorf("closed without an answer: %v: %s", err, provider.CauseOf(err))
	}
}

func TestCausesOfErrors(t *testing.T) {
	wrapped := func(err error) error { return &url.Error{Op: "Get", Err: fmt.Errorf("dialling: %w", err)} } // url.Error looks no deeper
	for want, errs := range map[provider.Cause][]error{
		provider.CauseTimeout: {
			context.DeadlineExceeded, &url.Error{Op: "Get", Err: syscall.ETIMEDOUT}, fmt.Errorf("reading the answer: %w", context.DeadlineExceeded),
			wrapped(context.DeadlineExceeded), wrapped(os.ErrDeadlineExceeded), wrapped(syscall.ETIMEDOUT),
		},
		provider.CauseReset: {io.ErrUnexpectedEOF, io.EOF, syscall.EPIPE, syscall.ECONNRESET, &url.Error{Op: "Get", Err: errors.New("http: server closed idle connection")}},
		provider.CauseOther: {errors.New("x"), syscall.EHOSTUNREACH, nil, &url.Error{Op: "Get", Err: errors.New("x")}, &net.OpError{Op: "dial", Err: errors.New("x")}},
		provider.CauseDNS:   {&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}},
		provider.CauseTLS: {
			x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign},
			&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")},
			&net.OpError{Op: "local error", Err: errors.New("tls: unexpected message")}, &tls.CertificateVerificationError{Err: errors.New("x")},
			tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"},
			wrapped(http.ErrSchemeMismatch),
		},
		provider.CauseUnknownAuthority: {x509.SystemRootsError{Err: errors.New("x")}},
	} {
		for _, err := range errs {
			if got := provider.CauseOf(err); got != want {
				t.Errorf("%v: %s, want %s", err, got, want)
			}
			if !slices.Contains(provider.Causes(), want) {
				t.Errorf("%s is not one of all causes", want)
			}
		}
	}
	failed := &provider.Error{Op: "refreshing", Kind: provider.ErrUnavailable, Reason: "the provider was not reached", Cause: provider.CauseExpired}
	if text := failed.Error(); !strings.HasSuffix(text, "the provider was not reached (tls_expired)") {
		t.Errorf("got %s", text)
	}
}
