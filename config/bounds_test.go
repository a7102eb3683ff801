package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/config"
)

// said returns the faults of smallest with environ, or its warnings.
func said(environ ...string) string {
	c, err := config.Load([]byte(smallest), "b.yaml", environ, config.Machine{ReadFile: readFile})
	if err != nil {
		return err.Error()
	}
	return warnings(c)
}

// wantSaid compares what is said of each setting with a part of it. Of those with an
// empty part nothing may be said.
func wantSaid(t *testing.T, want map[string]string) {
	t.Helper()
	for setting, part := range want {
		got := said(strings.Split(setting, "\n")...)
		if (got == "") != (part == "") || !strings.Contains(got, part) {
			t.Errorf("%q: said %q, want %q", setting, got, part)
		}
	}
}

// TestValuesAtTheirBounds sets the last value that is accepted without a word, and the
// first that is not.
func TestValuesAtTheirBounds(t *testing.T) {
	eights := make([]string, 0, 16)
	for _, first := range []string{"16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31"} {
		eights = append(eights, first+".0.0.0/8")
	}
	sixteenth := "TH_TRUSTED_PROXIES=" + strings.Join(eights, ",")
	wantSaid(t, map[string]string{
		"TH_PUBLIC_URL=https://app.example.com:65535": "",
		"TH_PUBLIC_URL=https://app.example.com:65536": "invalid port",
		"TH_PUBLIC_URL=https://app.example.com:1":     "",
		"TH_PUBLIC_URL=https://app.example.com:0":     "invalid port",
		"TH_PUBLIC_URL=https://app.example.com:0443":  "invalid port",
		"TH_LISTEN=127.0.0.1:65536":                   "not an address",
		"TH_LISTEN=127.0.0.1:0":                       "",

		"TH_TRUSTED_PROXIES=10.0.0.0/8": "",
		"TH_TRUSTED_PROXIES=10.0.0.0/7": "large part",
		"TH_TRUSTED_PROXIES=2001::/16":  "",
		"TH_TRUSTED_PROXIES=2000::/15":  "large part",
		sixteenth:                       "",
		sixteenth + ",1.2.3.4/32":       "more than a sixteenth",

		"TH_SESSION__ABSOLUTE_LIFETIME=720h":                            "",
		"TH_SESSION__ABSOLUTE_LIFETIME=720h1s":                          "stolen cookie",
		"TH_SESSION__IDLE_TIMEOUT=12h":                                  "",
		"TH_SESSION__IDLE_TIMEOUT=12h1s":                                "longer than the absolute lifetime",
		"TH_SESSION__REFRESH_BEFORE=4m59s\nTH_SESSION__IDLE_TIMEOUT=5m": "",
		"TH_SESSION__REFRESH_BEFORE=5m\nTH_SESSION__IDLE_TIMEOUT=5m":    "no shorter than the idle timeout",
	})
}

// TestLimitsAtTheirBounds is [TestValuesAtTheirBounds] for rates and exempt networks.
func TestLimitsAtTheirBounds(t *testing.T) {
	wantSaid(t, map[string]string{
		"TH_LIMITS__LOGIN=1/1s":          "",
		"TH_LIMITS__LOGIN=1000000/24h":   "",
		"TH_LIMITS__LOGIN=0/1m":          "not in the allowed range",
		"TH_LIMITS__LOGIN=1000001/1m":    "not in the allowed range",
		"TH_LIMITS__LOGIN=5/999ms":       "too short",
		"TH_LIMITS__LOGIN=5/24h1s":       "too long",
		"TH_LIMITS__LOGIN=5/m":           "not a duration",
		"TH_LIMITS__LOGIN=5":             "not a rate",
		"TH_LIMITS__LOGIN=many/1m":       "not a rate",
		"TH_LIMITS__LOGIN=":              "not a rate",
		"TH_LIMITS__LOGIN_COOKIE=1":      "",
		"TH_LIMITS__LOGIN_COOKIE=101":    "not a number in the allowed range",
		"TH_LIMITS__EXEMPT=10.0.0.0/8":   "",
		"TH_LIMITS__EXEMPT=0.0.0.0/0":    "exempts every address",
		"TH_LIMITS__EXEMPT=10.0.0.0/7":   "exempts a large part",
		"TH_LIMITS__EXEMPT=203.0.113.77": "",
	})
	c, err := config.Load([]byte(smallest), "b.yaml", []string{"TH_LIMITS__REFRESH=5/50s"}, config.Machine{ReadFile: readFile})
	if err != nil || c.Limits.Refresh != (config.Rate{Count: 5, Per: 50 * time.Second}) || c.Limits.Login != (config.Rate{Count: 1200, Per: time.Minute}) {
		t.Errorf("%v %+v", err, c.Limits)
	}
}

// TestStorageAtItsBounds is [TestValuesAtTheirBounds] for the settings of a bucket.
func TestStorageAtItsBounds(t *testing.T) {
	const bucket = "TH_STORAGE__REGION=us-east-1\nTH_STORAGE__BUCKET="
	wantSaid(t, map[string]string{
		bucket + "files\nTH_STORAGE__EXPIRES=1h":   "",
		bucket + "files\nTH_STORAGE__EXPIRES=1h1s": "presigned URL",
		bucket + "a-s3alias":                       "not a bucket name",
		bucket + "s3alias":                         "",
		bucket + "xn--files":                       "not a bucket name",
		bucket + "files..all":                      "not a bucket name",
	})
}

func TestFileOfTheLargestSizeIsRead(t *testing.T) {
	file := smallest + strings.Repeat("#", 1<<20-len(smallest))
	if _, err := config.Load([]byte(file), "b.yaml", nil, config.Machine{ReadFile: readFile}); err != nil {
		t.Error(err)
	}
}

// lookalikes are hosts that resemble one of this machine.
var lookalikes = []string{
	"localhost.evil.example", "localhost-evil.example", "evil-localhost", "localhost.localdomain", "127.0.0.1.evil.example",
	"127.evil.example", "10.0.0.1", "192.168.0.1", "0.0.0.0", "[::]", "[fe80::1]", "[::ffff:10.0.0.1]",
}

// TestLookalikesOfLoopbackNeedTLS: without TLS, every option that takes a URL accepts this
// machine only.
func TestLookalikesOfLoopbackNeedTLS(t *testing.T) {
	for _, prefix := range []string{
		"TH_PUBLIC_URL=http://", "TH_ALLOWED_ORIGINS=http://", "TH_PROVIDER__ISSUER=http://", "TH_PROVIDER__DOMAIN=http://",
		"TH_PROVIDER__ENDPOINTS__TOKEN=http://", "TH_SESSION__STORE=redis://", "TH_SESSION__STORE=valkey://",
		"TH_STORAGE__BUCKET=files-of-users\nTH_STORAGE__REGION=us-east-1\nTH_STORAGE__ENDPOINT=http://",
	} {
		for _, host := range []string{"localhost", "127.0.0.1", "127.8.7.6", "[::1]"} {
			if got := said(strings.Split(prefix+host, "\n")...); strings.Contains(got, "not https") || strings.Contains(got, "without TLS") {
				t.Errorf("%s%s: %s", prefix, host, got)
			}
		}
		for _, host := range lookalikes {
			if got := said(strings.Split(prefix+host, "\n")...); !strings.Contains(got, "not https") && !strings.Contains(got, "without TLS") {
				t.Errorf("%s%s: accepted, said %q", prefix, host, got)
			}
		}
	}
}

// TestLookalikesOfNames: names that begin, end or are spelt like those with a meaning.
func TestLookalikesOfNames(t *testing.T) {
	route := func(upstream string) string {
		return `TH_API__ROUTES=[{path: /api/, upstream: "` + upstream + `", insecure_http_upstream: true}]`
	}
	const insecure, metadata = "INSECURE", "cloud metadata"
	wantSaid(t, map[string]string{
		route("http://169.254.169.254"):           metadata,
		route("http://[::ffff:169.254.169.254]"):  metadata,
		route("http://[fd00:ec2::254]"):           metadata,
		route("http://metadata.google.internal."): "DNS does not allow",
		route("http://metadata.google.internal"):  metadata,
		route("http://metadata.example.internal"): insecure,
		route("http://169.254.169.254.example"):   insecure,
		route("http://169.253.169.254"):           insecure,
		route("http://0.0.0.0:9090"):              "admin listener",
		route("http://[::]:9090"):                 "admin listener",
		route("http://localhost:8080"):            "the service itself",
		"TH_API__ROUTES=[{path: /api/, upstream: 'https://localhost'}]\nTH_LISTEN=127.0.0.1:443": "the service itself",
		"TH_API__ROUTES=[{path: /api/, upstream: 'https://localhost'}]\nTH_LISTEN=127.0.0.1:80":  "",
		route("http://localhost") + "\nTH_LISTEN=127.0.0.1:80":                                   "the service itself",
		"TH_LISTEN=127.0.0.1:8443\nTH_ADMIN__LISTEN=0.0.0.0:8443":                                "take the same port",
		"TH_LISTEN=0.0.0.0:8443\nTH_ADMIN__LISTEN=127.0.0.1:8443":                                "take the same port",
		"TH_LISTEN=127.0.0.1:8443\nTH_ADMIN__LISTEN=[::]:8443":                                   "take the same port",
		"TH_LISTEN=127.0.0.1:8443\nTH_ADMIN__LISTEN=127.0.0.2:8443":                              "",
		"TH_API__ROUTES=[{path: /api/, upstream: 'http://localhost:9091'}]":                      "",
		"TH_SESSION__COOKIE_NAME=my-login-page":                                                  "reserved",
		"TH_SESSION__COOKIE_NAME=login-page":                                                     "reserved",
		"TH_SESSION__COOKIE_NAME=my-active":                                                      "reserved",
		"TH_SESSION__COOKIE_NAME=my-logins":                                                      "",
		"TH_SESSION__COOKIE_NAME=__Host-session":                                                 "has a prefix",
		"TH_PROVIDER__ISSUER=https://id.example/?":                                               "has a query",
		"TH_PROVIDER__ISSUER=https://cognito-idp.us-east-1.amazonaws.com/eu-west-1_AbCdEfGhI":    "at the host of the region",
	})
}

// TestPolicyForScripts: script-src decides, and default-src where there is none (Content
// Security Policy Level 3, section 6.7.3).
func TestPolicyForScripts(t *testing.T) {
	policy := func(directives string) string {
		return "TH_SPA__DIR=/srv/app\nTH_SPA__CONTENT_SECURITY_POLICY=frame-ancestors 'none'; " + directives
	}
	const inline, unlimited = "allows 'unsafe-inline' for scripts", "does not limit scripts"
	wantSaid(t, map[string]string{
		policy("default-src 'self'"):                               "",
		policy("default-src 'unsafe-inline'"):                      inline,
		policy("script-src 'self'"):                                "",
		policy("script-src 'unsafe-inline'"):                       inline,
		policy("default-src 'unsafe-inline'; script-src 'self'"):   "",
		policy("default-src 'self'; script-src 'unsafe-inline'"):   inline,
		policy("style-src 'self'"):                                 unlimited,
		policy("default-src 'self'; default-src 'unsafe-inline'"):  "",
		policy("script-src 'unsafe-inline' 'nonce-__CSP_NONCE__'"): "",
	})
}

// TestNoFaultQuotesThePasswordOfAURL: whatever option gets a URL with a password, be it
// malformed or not, no fault and no warning shows the password.
func TestNoFaultQuotesThePasswordOfAURL(t *testing.T) {
	const password = "hunter2-hunter2-hunter2"
	values := []string{
		"https://user:" + password + "@app.example.com", "https://user:" + password + "@app.example.com:port", "https://user:" + password + "@[::1",
		"https://user:" + password + "@%zz.example", "https://user:" + password + "@", "ftp://user:" + password + "@host", "user:" + password + "@host",
		`https://user:` + password + `@host\path`, "https://user:" + password + "@a b", "redis://user:" + password + "@cache:port/x", "://user:" + password + "@host",
	}
	envs := []string{}
	for _, k := range config.AllKeys() {
		envs = append(envs, k.Env)
	}
	if len(envs) < 40 || !slices.Contains(envs, "TH_SESSION__STORE") {
		t.Fatalf("only the keys %q", envs)
	}
	for _, value := range values {
		for _, env := range envs {
			if got := said(env + "=" + value); strings.Contains(got, password) {
				t.Errorf("%s=%s: said %s", env, value, got)
			}
		}
		route := `TH_API__ROUTES=[{path: /api/, upstream: '` + value + `'}]`
		if got := said(route); got == "" || strings.Contains(got, password) {
			t.Errorf("%s: said %q", route, got)
		}
	}
}

// TestCertificateAtItsBounds: a warning begins 14 days before the end, and the fault with
// the end.
func TestCertificateAtItsBounds(t *testing.T) {
	for left, want := range map[time.Duration]string{
		14 * 24 * time.Hour: "", 14*24*time.Hour - time.Second: "expires on", 0: "expires on", -time.Second: "expired on",
	} {
		p := newPair(t, "app.example.com", now.AddDate(-1, 0, 0), now.Add(left))
		dir := files(t, map[string][]byte{"tls.crt": p.cert, "tls.key": p.key})
		got := checked(t, machine(), dir, "tls: {cert_file: DIR/tls.crt, key_file: DIR/tls.key}\n")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s before its end: said %q, want %q", left, got, want)
		}
	}
}
