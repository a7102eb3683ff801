package doctor_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/cmd/doctor"
	"cognito-token-handler/config"
	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/secret"
)

const publicURL = "http://localhost:8080"

// authority issues certificates that this process trusts.
var authority *tls.Certificate

// TestMain makes the process trust an authority of its own, and keeps the AWS SDK from
// what the developer has configured.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "doctor")
	if err != nil {
		panic(err)
	}
	authority = issue(nil, "authority", time.Now().AddDate(1, 0, 0))
	file := filepath.Join(dir, "authority.pem")
	err = os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate[0]}), 0o600)
	if err != nil {
		panic(err)
	}
	for name, value := range map[string]string{
		"SSL_CERT_FILE": file, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "",
	} {
		_ = os.Setenv(name, value)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// issue makes a certificate for a name and for 127.0.0.1; one of an authority if there is no
// issuer.
func issue(issuer *tls.Certificate, name string, ends time.Time) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: ends.AddDate(-2, 0, 0), NotAfter: ends, KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	parent, signer := template, any(key)
	if issuer == nil {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	} else {
		parent, signer = issuer.Leaf, issuer.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// secureServer answers with handler, over TLS with the certificate. The result is its
// port.
func secureServer(t *testing.T, certificate *tls.Certificate, handler http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// setup is a configuration with what its parts need.
type setup struct {
	issuer, client, secret string // default those of a pool without faults
	// provider are further keys, with a comma before; lines are further lines.
	provider, lines string
	listen, admin   string
	session         string
	now             func() time.Time
	call            time.Duration
	write           bool
}

// newPool starts a pool that knows the app.
func newPool(t *testing.T) *cognitotest.Server {
	t.Helper()
	return cognitotest.New(t, cognitotest.Options{
		LoginForm:    true,
		CallbackURLs: []string{publicURL + "/auth/callback", publicURL + "/auth/passkeys/done"},
		LogoutURLs:   []string{publicURL + "/", publicURL + "/auth/logout/done"},
	})
}

const keysText = "# the new one\nMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY=\n\nMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUc=\n"

func (s setup) load(t *testing.T) config.Config {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "session_keys")
	if err := os.WriteFile(keys, []byte(keysText), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.issuer == "" {
		s.issuer = newPool(t).Issuer()
	}
	or := func(value, other string) string {
		if value == "" {
			return other
		}
		return value
	}
	text := fmt.Sprintf(`
public_url: %s
listen: %q
admin: {listen: %q}
provider: {kind: cognito, issuer: %q, client_id: %q, client_secret: %q%s}
session: {keys_file: %q%s}
%s`, publicURL, or(s.listen, "localhost:0"), or(s.admin, "localhost:0"), s.issuer, or(s.client, cognitotest.DefaultClientID), or(s.secret, cognitotest.DefaultSecret), s.provider, keys, s.session, s.lines)
	cfg, err := config.Load([]byte(text), "test.yaml", nil, config.Machine{ReadFile: os.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// examine runs the doctor, and fails the test if the report has a secret or text of
// another server.
func (s setup) examine(t *testing.T) doctor.Report {
	t.Helper()
	if s.now == nil {
		s.now = time.Now
	}
	if s.call == 0 {
		s.call = testkit.Deadline
	}
	return read(t, doctor.Examine(t.Context(), doctor.Config{
		Service: s.load(t), Now: s.now, ReadFile: os.ReadFile, Call: s.call, Total: testkit.Deadline, Write: s.write,
	}))
}

// read returns the report, of which it checks what holds for every one.
func read(t *testing.T, findings []doctor.Finding) doctor.Report {
	t.Helper()
	report := doctor.NewReport(findings)
	var text, object bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if err := report.WriteJSON(&object); err != nil {
		t.Fatal(err)
	}
	for _, planted := range []string{cognitotest.DefaultSecret, "MDEyMzQ1Njc4OWFiY2Rl", "planted-secret", "\x1b"} {
		if strings.Contains(text.String(), planted) || strings.Contains(object.String(), planted) {
			t.Errorf("the report has %q:\n%s", planted, text.String())
		}
	}
	for _, f := range report.Findings {
		if (f.Level == doctor.Good) != (f.Cure == "") {
			t.Errorf("a good finding has a cure, or another one has none: %+v", f)
		}
		if f.What == "" || f.Area == "" || len(f.What) > 1100 {
			t.Errorf("incomplete or too long: %+v", f)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s", text.String())
		}
	})
	return report
}

// want fails the test unless the report has this finding. what and cure are parts of its
// texts.
func want(t *testing.T, r doctor.Report, area string, level doctor.Level, what, cure string) {
	t.Helper()
	if !slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool {
		return f.Area == area && f.Level == level && strings.Contains(f.What, what) && strings.Contains(f.Cure, cure)
	}) {
		t.Errorf("no finding: %s %s: %s; %s", area, level, what, cure)
	}
}

// wantNone fails the test if the report has a finding of this level in one of the areas.
func wantNone(t *testing.T, r doctor.Report, level doctor.Level, areas ...string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Level == level && slices.Contains(areas, f.Area) {
			t.Errorf("%s: %s: %s", f.Area, f.Level, f.What)
		}
	}
}

// silent accepts connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	return accept(t, func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)); <-t.Context().Done() })
}

// accept serves each connection with a function, and returns the address.
func accept(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
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
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// free returns an address at which nothing listens: the system gives no program this port.
func free(t *testing.T) string {
	t.Helper()
	return "127.0.0.1:1"
}

func doctorConfig(cfg config.Config) doctor.Config {
	return doctor.Config{Service: cfg, Now: time.Now, ReadFile: os.ReadFile, Call: testkit.Deadline, Total: testkit.Deadline}
}

func secrets(values ...string) (all []secret.String) {
	for _, value := range values {
		all = append(all, secret.New(value))
	}
	return all
}
