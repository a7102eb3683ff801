package app_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
	"cognito-token-handler/test/testkit"
)

// TestCheckChangesNothing: it says why the service would not start, and makes no file.
func TestCheckChangesNothing(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		change func(*config.Config)
		want   string // the beginning of the error, "" for none
	}{
		"good": {func(*config.Config) {}, ""},
		"audit file": {func(c *config.Config) {
			c.Audit = config.Audit{Output: config.AuditFile, File: filepath.Join(dir, "audit")}
		}, ""},
		"no folder": {func(c *config.Config) {
			c.Audit = config.Audit{Output: config.AuditFile, File: filepath.Join(dir, "no/audit")}
		}, "audit.file: "},
		"no session key": {func(c *config.Config) { c.Session.Keys = nil }, "session.keys: "},
		"no app":         {func(c *config.Config) { c.SPA.Dir = filepath.Join(dir, "no") }, "opening spa.dir: "},
		"no authority":   {func(c *config.Config) { c.API.Routes[0].UpstreamCAFile = filepath.Join(dir, "no") }, "api.routes /api/ "},
		"storage":        {func(c *config.Config) { c.Storage.Prefix = "users/" }, "configuring storage: "},
		"users' folders": {func(c *config.Config) {
			c.Storage.Prefix, c.Storage.Credentials, c.Storage.RoleARN = "users/", "web_identity", "arn:aws:iam::123456789012:role/r"
		}, "storage.credentials: "},
		"propagators": {func(c *config.Config) {
			c.Tracing = config.Tracing{Exporters: []string{config.ExporterConsole}, Propagators: []string{"none of them"}}
		}, "OTEL_PROPAGATORS: "},
	} {
		cfg := parsed(t)
		c.change(&cfg)
		if err := app.Check(t.Context(), cfg, discard()); (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if made, err := os.ReadDir(dir); err != nil || len(made) > 0 {
		t.Errorf("there are now %v, %v", made, err)
	}
}

// TestWhereAWSCredentialsComeFrom: without the network, only the role of the machine is unknown.
func TestWhereAWSCredentialsComeFrom(t *testing.T) {
	const keys = "AWS_ACCESS_KEY_ID=AKIATEST AWS_SECRET_ACCESS_KEY=s"
	for name, c := range map[string]struct {
		environ  string
		roleOnly bool
		want     string // a part of the error, "" for none
	}{
		"keys":               {keys, false, ""},
		"role":               {"", true, ""},
		"role, not disabled": {"AWS_EC2_METADATA_DISABLED=false", true, ""},
		"role, disabled":     {"AWS_EC2_METADATA_DISABLED=True", false, "AWS_EC2_METADATA_DISABLED"},
		"keys, disabled":     {keys + " AWS_EC2_METADATA_DISABLED=true", false, ""},
		"no such profile":    {"AWS_PROFILE=planted", false, "loading AWS configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
				t.Setenv(variable, "")
			}
			t.Setenv("AWS_CONFIG_FILE", os.DevNull)
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
			for setting := range strings.FieldsSeq(c.environ) {
				variable, value, _ := strings.Cut(setting, "=")
				t.Setenv(variable, value)
			}
			roleOnly, err := app.CheckAWSCredentials(t.Context(), "us-east-1")
			if roleOnly != c.roleOnly || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%t, %v", roleOnly, err)
			}
		})
	}
}

// TestEmptyCredentialsAreNone: the SDK would sign with them.
func TestEmptyCredentialsAreNone(t *testing.T) {
	log, registry := &testkit.Log{}, prometheus.NewRegistry()
	empty := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, nil })
	app.CredentialsLook(empty, log.Logger(), registry)(t.Context())
	if up, err := gauge(registry); err != nil || up != 0 || !log.Contains("there are no AWS credentials") {
		t.Errorf("the gauge is %v (%v), logged %s", up, err, log)
	}
}

// TestCredentialsBeforeTheFirstLook: a process that does not know yet is not ready. If only
// users get credentials, it is, since nothing shows it before the first of them.
func TestCredentialsBeforeTheFirstLook(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/r"
	for kind, c := range map[string]struct {
		change func(*config.Storage)
		want   string
	}{
		"none":         {func(s *config.Storage) { s.Bucket = "" }, ""},
		"service":      {func(*config.Storage) {}, "not known yet"},
		"session":      {func(s *config.Storage) { s.Credentials, s.RoleARN = "session_policy", role }, "not known yet"},
		"web identity": {func(s *config.Storage) { s.Credentials, s.RoleARN = "web_identity", role }, "not known before the first user"},
		"identity pool": {func(s *config.Storage) {
			s.Credentials, s.IdentityPoolID = "identity_pool", "us-east-1:12345678-90ab-cdef-1234-567890abcdef"
		}, "not known before the first user"},
	} {
		cfg := parsed(t)
		c.change(&cfg.Storage)
		a, err := app.New(t.Context(), cfg, discard())
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		app.Admin(a).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if got := rec.Body.String(); strings.Contains(got, `"storage"`) != (c.want != "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %q", kind, got, c.want)
		}
		if strings.Contains(rec.Body.String(), `"store"`) || strings.Contains(rec.Body.String(), `"shutdown"`) {
			t.Errorf("%s: %s", kind, rec.Body)
		}
	}
}

// TestWhoNeedsTheIDToken: sessions keep it only then, because it makes their cookies larger.
func TestWhoNeedsTheIDToken(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*config.Config)
		want   bool
	}{
		"nobody":         {func(*config.Config) {}, false},
		"a provider":     {func(c *config.Config) { c.Provider.Kind = config.KindOIDC }, true},
		"the storage":    {func(c *config.Config) { c.Storage.Credentials = "web_identity" }, true},
		"no storage":     {func(c *config.Config) { c.Storage = config.Storage{Credentials: "web_identity"} }, false},
		"the last route": {func(c *config.Config) { c.API.Routes = append(c.API.Routes, config.Route{Path: "/b/", Token: "id"}) }, true},
		"other routes":   {func(c *config.Config) { c.API.Routes = append(c.API.Routes, config.Route{Path: "/b/", Token: "none"}) }, false},
	} {
		cfg := parsed(t)
		c.change(&cfg)
		if got := app.NeedsIDToken(cfg); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestWhatOnlyOneKindOfProviderHas: another provider than Cognito has no page for passkeys and
// no codes in its descriptions, and Cognito sends no logout tokens.
func TestWhatOnlyOneKindOfProviderHas(t *testing.T) {
	admin := "aws.cognito.signin.user.admin"
	for name, c := range map[string]struct {
		kind   string
		scopes []string
		want   app.Abilities
	}{
		"Cognito":             {config.KindCognito, []string{"openid"}, app.Abilities{LoginErrors: true, Passkeys: true, Groups: "cognito:groups"}},
		"Cognito, with scope": {config.KindCognito, []string{"openid", admin}, app.Abilities{LoginErrors: true, Passkeys: true, SignOut: true, Groups: "cognito:groups"}},
		"another":             {config.KindOIDC, []string{"openid", admin}, app.Abilities{LogoutTokens: true, Groups: "groups"}},
	} {
		cfg := parsed(t)
		cfg.Provider.Kind, cfg.Provider.Scopes = c.kind, c.scopes
		a, err := app.New(t.Context(), cfg, discard())
		if err != nil {
			t.Fatal(err)
		}
		if got := app.AbilitiesOf(a); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
