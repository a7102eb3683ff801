//go:build e2e

package browser_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
	"cognito-token-handler/test/devstack/process"
)

// TestCookiesOverHTTPS is a visit at a public URL with https, where the cookies have the names and attributes of production.
func TestCookiesOverHTTPS(t *testing.T) {
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	origin := "https://" + process.Addr(port)
	certificate, key := newCertificate(t)
	w := newWorld(t, devstack.Options{
		Ports: devstack.Ports{App: port}, Apps: []string{origin},
		ExtraConfig: func(stack *devstack.Stack, config devstack.Config) {
			onAnotherSite(stack, config)
			stack.URL = origin
			config.Set("public_url", origin)
			config.Set("spa.dir", filepath.Join(repo(t), "test", "demo", "spa", "dist"))
			config.Set("tls.cert_file", certificate)
			config.Set("tls.key_file", key)
		},
	}, chromedp.Flag("ignore-certificate-errors", true))
	if names := w.names(); names.Session != "__Host-Http-session" || !strings.HasPrefix(w.stack.URL, "https://") {
		t.Fatalf("the session's cookie is called %s at %s", names.Session, w.stack.URL)
	}
	tab := w.tab()
	tab.open("/")
	tab.waitPhase("anonymous")
	tab.startLogin()
	w.wantLoginCookie(tab)
	tab.finishLogin(cognitolocal.DemoUser, cognitolocal.DemoPassword)
	tab.waitPhase("authenticated")
	w.wantSessionCookies(tab)
	tab.callAPI(w.sub(cognitolocal.DemoUser))
	tab.wantNothingVisible("logged in over https")
	tab.logout()
	if cookies := tab.cookies(); len(cookies) != 0 {
		t.Errorf("%d cookies are left after the logout", len(cookies))
	}
	w.wantQuiet()
}

// newCertificate returns the files of a certificate for localhost and of its key.
func newCertificate(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"app.crt": {Type: "CERTIFICATE", Bytes: der}, "app.key": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "app.crt"), filepath.Join(dir, "app.key")
}
