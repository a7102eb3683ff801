package config_test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/secret"
)

const smallest = `
public_url: https://app.example.com
provider:
  issuer: https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI
  client_id: 1example23456789
  client_secret_file: /run/secrets/client_secret
session:
  keys_file: /run/secrets/session_keys
`

// revealed compares secrets by value, prefixes and warnings by text.
func revealed() cmp.Option {
	return cmp.Options{
		cmp.Comparer(func(a, b secret.String) bool { return a.Reveal() == b.Reveal() }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b config.Warning) bool { return a.Insecure == b.Insecure && a.String() == b.String() }),
	}
}

func TestLoadWithDefaults(t *testing.T) {
	file, err := os.ReadFile("testdata/good/contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t, string(file))
	if got := c.PublicURL.String(); got != "https://app.example.com" {
		t.Errorf("public_url %q", got)
	}
	c.PublicURL = nil
	if len(c.API.Routes) != 1 || c.API.Routes[0].Upstream.String() != "https://api.internal.example.com" {
		t.Fatalf("routes: %+v", c.API.Routes)
	}
	c.API.Routes[0].Upstream = nil
	want := config.Config{
		Listen: "127.0.0.1:8080",
		Provider: config.Provider{
			Kind:         "cognito",
			Issuer:       "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI",
			ClientID:     "1example23456789",
			ClientSecret: []secret.String{secret.New(plantedSecret)},
			ClientAuth:   "basic",

			ClientSecretFile: "/run/secrets/client_secret",
			Scopes:           []string{"openid", "email", "profile"},

			MaxRequestsPerSecond: 100,
		},
		Auth: config.Auth{Path: "/auth", AfterLogout: "/"},
		Session: config.Session{
			Keys:        []secret.String{secret.New(key(1)), secret.New(key(2))},
			KeysFile:    "/run/secrets/session_keys",
			IdleTimeout: time.Hour, AbsoluteLifetime: 12 * time.Hour,
			RefreshBefore: time.Minute, RefreshGrace: 30 * time.Second,
			Claims:     []string{"sub", "username", "email", "email_verified", "name", "groups"},
			CookieName: "session",
		},
		API: config.API{RequestsPerSession: 256, StreamsPerSession: 256, Routes: []config.Route{{
			Path: "/api/", Token: "access", Timeout: time.Minute, MaxBody: 10 << 20, ReplayBody: 64 << 10,
		}}},
		Limits: config.Limits{
			Login: config.Rate{Count: 1200, Per: time.Minute}, Callback: config.Rate{Count: 120, Per: time.Minute}, LoginCookie: 5,
			Refresh: config.Rate{Count: 10, Per: 100 * time.Second}, Presigns: config.Rate{Count: 6000, Per: time.Minute},
			AdminToken: config.Rate{Count: 10, Per: time.Minute}, VerifySecret: config.Rate{Count: 10, Per: time.Minute},
		},
		Revocation: config.Revocation{OnOutage: "allow"},
		Storage: config.Storage{
			Bucket: "my-app-user-files", Region: "us-east-1", Path: "/storage", Prefix: "users/{sub}/",
			MaxSize: 100 << 20, Expires: 5 * time.Minute, Credentials: "service",
		},
		Admin:    config.Admin{Listen: "127.0.0.1:9090"},
		Shutdown: config.Shutdown{Delay: 5 * time.Second},
		Log:      config.Log{Level: "info", Format: "json", Requests: "all"},
		Audit:    config.Audit{Output: "stderr", Format: "json", OnFailure: "continue"},
	}
	if diff := cmp.Diff(want, c, revealed()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// All example files load.
func TestExamplesLoad(t *testing.T) {
	for _, name := range append(corpus(t, "examples/*.yaml", 2), corpus(t, "testdata/good/*.yaml", 5)...) {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(file, name, nil, config.Machine{ReadFile: readFile}); err != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestEnvironmentAlone(t *testing.T) {
	c := mustLoad(t, "",
		"TH_PUBLIC_URL=http://localhost:8080",
		"TH_PROVIDER__ISSUER=http://localhost:9229/local_pool",
		"TH_PROVIDER__CLIENT_ID=0123", // as a number of YAML it would lose its zero
		"TH_PROVIDER__CLIENT_SECRET=one, and the same\ntwo\n",
		"TH_SESSION__KEYS="+key(1)+","+key(2),
		`TH_API__ROUTES=[{path: /api/, upstream: "http://127.0.0.1:7000", methods: [GET, POST]}, {path: /, upstream: "https://x.example", token: id}]`,
		"THING=unrelated", "PATH=/bin",
	)
	if c.Provider.Kind != config.KindOIDC || c.Provider.ClientID != "0123" {
		t.Errorf("provider %+v", c.Provider)
	}
	if len(c.Provider.ClientSecret) != 2 || c.Provider.ClientSecret[0].Reveal() != "one, and the same" {
		t.Errorf("%d client secrets", len(c.Provider.ClientSecret))
	}
	if len(c.Session.Keys) != 2 || len(c.API.Routes) != 2 || c.API.Routes[1].Token != "id" || len(c.API.Routes[0].Methods) != 2 {
		t.Errorf("%d keys, routes %+v", len(c.Session.Keys), c.API.Routes)
	}
}

// A secret in the environment wins over the one in the file, in all combinations of
// a value and a …_file key.
func TestEnvironmentWinsOverSecretFile(t *testing.T) {
	c := mustLoad(t, smallest, "TH_PROVIDER__CLIENT_SECRET=from-env", "TH_SESSION__KEYS="+key(5))
	if got := c.Provider.ClientSecret; len(got) != 1 || got[0].Reveal() != "from-env" {
		t.Errorf("client secret not from the environment")
	}
	if len(c.Session.Keys) != 1 || c.Session.Keys[0].Reveal() != key(5) || c.Session.KeysFile != "" {
		t.Errorf("session keys not from the environment; file %q", c.Session.KeysFile)
	}
	c = mustLoad(t, strings.Replace(smallest, "client_secret_file: /run/secrets/client_secret", "client_secret: inline", 1),
		"TH_PROVIDER__CLIENT_SECRET_FILE=/run/secrets/two_secrets")
	if got := c.Provider.ClientSecret; len(got) != 2 || got[1].Reveal() != plantedSecret+"-2" {
		t.Errorf("client secrets not from the environment's file")
	}
}

// Windows writes a byte order mark before the text of a file.
func TestByteOrderMarkBeforeASecretIsNoPartOfIt(t *testing.T) {
	c := mustLoad(t, smallest, "TH_PROVIDER__CLIENT_SECRET_FILE=/run/secrets/marked_secret")
	if got := c.Provider.ClientSecret[0].Reveal(); got != plantedSecret {
		t.Errorf("got %q", got)
	}
}

// A setting that the environment replaces is not read: a placeholder in the file
// must not prevent the start.
func TestReplacedSecretIsNotRead(t *testing.T) {
	file := strings.Replace(smallest, "keys_file: /run/secrets/session_keys", "keys: CHANGE-ME", 1)
	c := mustLoad(t, file, "TH_SESSION__KEYS_FILE=/run/secrets/session_keys")
	if len(c.Session.Keys) != 2 {
		t.Errorf("%d keys", len(c.Session.Keys))
	}
}

func TestPrintingTheConfigShowsNoSecret(t *testing.T) {
	c := mustLoad(t, smallest, "TH_ADMIN__TOKEN="+plantedToken, "TH_AUTH__VERIFY_SECRET="+plantedGateway)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		printed := fmt.Sprintf(verb, c)
		for _, s := range []string{plantedSecret, plantedToken, plantedGateway, key(1), key(2)} {
			if strings.Contains(printed, s) {
				t.Errorf("%s prints a secret: %s", verb, printed)
			}
		}
	}
}

func TestKindIsInferred(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI":        "cognito",
		"https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI": "cognito",
		"https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_AbCdEfGhI":   "cognito",
		"https://cognito.example.com/us-east-1_AbCdEfGhI":                        "oidc",
		"https://abc.execute-api.us-east-1.amazonaws.com/x":                      "oidc",
		"https://login.example.com/":                                             "oidc",
	} {
		if got := mustLoad(t, smallest, "TH_PROVIDER__ISSUER="+issuer).Provider; got.Kind != want || got.Issuer != issuer {
			t.Errorf("%s: %s, kept as %s; want %s", issuer, got.Kind, got.Issuer, want)
		}
	}
	if got := mustLoad(t, smallest, "TH_PROVIDER__KIND=oidc").Provider.Kind; got != "oidc" {
		t.Errorf("provider.kind: %s", got)
	}
}

// TestNearlyCognitoIsRefused: a host that is nearly one of Cognito is no other provider,
// unless provider.kind says so.
func TestNearlyCognitoIsRefused(t *testing.T) {
	for _, issuer := range []string{
		"https://cognito-idp.us-east-1.amazonaws.co/us-east-1_AbCdEfGhI",
		"https://issuer-cognito-idp.us-east-1.amazonaws.co/us-east-1_AbCdEfGhI",
		"https://Cognito-IDP.us-east-1.amazon.com/us-east-1_AbCdEfGhI",
		"https://cognito-idp.us-east-1.amazonaws.com.example.com/x",
		"https://cognito-idp.evil.example.amazonaws.com/x",
		"https://cognito-ipd.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI",
		"https://cognito.cn-north-1.amazonaws.com.cn/cn-north-1_AbCdEfGhI",
	} {
		machine := config.Machine{ReadFile: readFile}
		_, err := config.Load([]byte(smallest), "tokenhandler.yaml", []string{"TH_PROVIDER__ISSUER=" + issuer}, machine)
		if err == nil || !strings.HasPrefix(err.Error(), "TH_PROVIDER__ISSUER: provider.issuer: ") || !strings.Contains(err.Error(), "provider.kind") {
			t.Errorf("%s: got %v", issuer, err)
		}
		for _, kind := range []string{"oidc", "cognito"} {
			if got := mustLoad(t, smallest, "TH_PROVIDER__ISSUER="+issuer, "TH_PROVIDER__KIND="+kind).Provider; got.Kind != kind || got.Issuer != issuer {
				t.Errorf("%s: %s, kept as %s", issuer, got.Kind, got.Issuer)
			}
		}
	}
}

// TestUnknownRegionsAreWarnedOf: they are not refused, because AWS opens new ones.
func TestUnknownRegionsAreWarnedOf(t *testing.T) {
	const unknown = "which is not known as one of AWS"
	bucket := func(region string) string { return "TH_STORAGE__BUCKET=files\nTH_STORAGE__REGION=" + region }
	said := map[string]string{
		bucket("us-esat-1"): "storage.region: has the region \"us-esat-1\", " + unknown,
		bucket("us-east"):   unknown, bucket("useast-1"): unknown, bucket("us-east-1a"): unknown, bucket("xx-east-1"): unknown,
		bucket("garage") + "\nTH_STORAGE__ENDPOINT=https://files.example.com":                                                                                  "",
		"TH_PROVIDER__ISSUER=https://cognito-idp.eu-cental-1.amazonaws.com/eu-cental-1_AbCdEfGhI":                                                              "provider.issuer: has the region \"eu-cental-1\", " + unknown,
		"TH_PROVIDER__ISSUER=https://issuer-cognito-idp.eu-cental-1.amazonaws.com/eu-central-1_A":                                                              unknown,
		"TH_PROVIDER__DOMAIN=https://app.auth.us-esat-1.amazoncognito.com\nTH_PROVIDER__ISSUER=https://issuer-cognito-idp.us-east-1.amazonaws.com/us-east-1_A": "provider.domain: has the region",
		"TH_SESSION__STORE=rediss://user@cache:6379?iam=true&cache=c&region=us-esat-1":                                                                         "session.store: has the region",
	}
	for _, region := range []string{
		"us-east-1", "ap-southeast-7", "ca-west-1", "mx-central-1", "il-central-1", "cn-northwest-1", "us-gov-west-1", "us-iso-east-1",
		"us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1", "eusc-de-east-1", "af-south-1", "me-central-1", "sa-east-1",
	} {
		said[bucket(region)] = ""
	}
	wantSaid(t, said)
}

func TestOriginsAreWrittenAsBrowsersDo(t *testing.T) {
	c := mustLoad(t, smallest, "TH_PUBLIC_URL=HTTPS://App.Example.com:443",
		"TH_ALLOWED_ORIGINS=https://Admin.example.com https://x.example.com:8443, http://[::1]:80")
	if got := c.PublicURL.String(); got != "https://app.example.com" {
		t.Errorf("public_url %s", got)
	}
	want := []string{"https://admin.example.com", "https://x.example.com:8443", "http://[::1]"}
	if diff := cmp.Diff(want, c.AllowedOrigins); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFileSizeIsBounded(t *testing.T) {
	_, err := config.Load([]byte(strings.Repeat("#", 1<<20+1)), "big.yaml", nil, config.Machine{ReadFile: readFile})
	if want := "big.yaml: is larger than 1MiB; check that this is the right file"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "unknown%d: 1\n", i)
	}
	_, err := config.Load([]byte(b.String()), "big.yaml", nil, config.Machine{ReadFile: readFile})
	if lines := strings.Split(fmt.Sprint(err), "\n"); len(lines) != 101 || !strings.HasPrefix(lines[100], "and 9") {
		t.Errorf("%d faults, last %q", len(lines), lines[len(lines)-1])
	}
}
