package config_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/config"
)

// saidOf is [said] for another file.
func saidOf(file string, environ ...string) string {
	c, err := config.Load([]byte(file), "b.yaml", environ, config.Machine{ReadFile: readFile})
	if err != nil {
		return err.Error()
	}
	return warnings(c)
}

// TestOneFaultForOneMistake: a value that is not read makes no further fault of a key that is
// compared with it.
func TestOneFaultForOneMistake(t *testing.T) {
	public := strings.Replace(smallest, "  client_secret_file: /run/secrets/client_secret\n", "", 1)
	const bucket, routes = "TH_STORAGE__BUCKET=files\nTH_STORAGE__REGION=us-east-1\n", "TH_API__ROUTES=[{path: /auth/x/, upstream: 'https://a.example'}, {path: /storage/x/, upstream: 'https://a.example'}]\n"
	for setting, c := range map[string]struct{ file, want string }{
		"TH_PROVIDER__INSECURE_PUBLIC_CLIENT=maybe":                                                     {public, "provider.insecure_public_client"},
		"TH_PROVIDER__SCOPES=a\"b":                                                                      {smallest, "provider.scopes[0]"},
		"TH_PROVIDER__KIND=other\nTH_PROVIDER__ISSUER=https://cognito-idp.example/x":                    {smallest, "provider.kind"},
		"TH_PROVIDER__ISSUER=ftp://a\nTH_PROVIDER__DOMAIN=https://cognito-idp.us-east-1.amazonaws.com":  {smallest, "provider.issuer"},
		"TH_LISTEN=bad\nTH_ADMIN__LISTEN=127.0.0.1:8080":                                                {smallest, "listen"},
		"TH_LISTEN=127.0.0.1:9090\nTH_ADMIN__LISTEN=bad":                                                {smallest, "admin.listen"},
		"TH_SESSION__IDLE_TIMEOUT=24h\nTH_SESSION__ABSOLUTE_LIFETIME=long":                              {smallest, "session.absolute_lifetime"},
		"TH_SESSION__IDLE_TIMEOUT=1m\nTH_SESSION__REFRESH_BEFORE=long":                                  {smallest, "session.refresh_before"},
		"TH_SESSION__IDLE_TIMEOUT=long\nTH_SESSION__ABSOLUTE_LIFETIME=30m":                              {smallest, "session.idle_timeout"},
		"TH_SESSION__CLAIMS=sub,a\x00b":                                                                 {smallest, "session.claims[1]"},
		"TH_AUDIT__OUTPUT=disk\nTH_AUDIT__FILE=/var/log/audit":                                          {smallest, "audit.output"},
		"TH_AUDIT__OUTPUT=file\nTH_AUDIT__FILE=":                                                        {smallest, "audit.file"},
		"TH_AUDIT__ON_FAILURE=stop\nTH_AUDIT__FILE=/var/log/audit":                                      {smallest, "audit.on_failure"},
		"TH_AUTH__TRIGGER_MESSAGES=true\nTH_AUTH__ERROR_PATH=oops":                                      {smallest, "auth.error_path"},
		"TH_AUTH__PATH=storage\nTH_STORAGE__PATH=/auth/files\n" + bucket:                                {smallest, "auth.path"},
		"TH_AUTH__PATH=/storage/x\nTH_STORAGE__PATH=files\n" + bucket:                                   {smallest, "storage.path"},
		"TH_AUTH__PATH=a\n" + strings.Replace(routes, "/storage/x/", "/x/", 1):                          {smallest, "auth.path"},
		"TH_STORAGE__PATH=a\n" + bucket + strings.Replace(routes, "/auth/x/", "/x/", 1):                 {smallest, "storage.path"},
		"TH_STORAGE__BUCKET=A\nTH_STORAGE__REGION=us-east-1":                                            {smallest, "storage.bucket"},
		bucket + "TH_STORAGE__SSE=other\nTH_STORAGE__KMS_KEY_ID=k":                                      {smallest, "storage.sse"},
		bucket + "TH_STORAGE__CREDENTIALS=other\nTH_STORAGE__ROLE_ARN=arn:aws:iam::123456789012:role/r": {smallest, "storage.credentials"},
		bucket + "TH_STORAGE__CREDENTIALS=session_policy\nTH_STORAGE__ROLE_ARN=r":                       {smallest, "storage.role_arn"},
		"TH_STORAGE__BUCKET=files\nTH_STORAGE__REGION=US":                                               {smallest, "storage.region"},
		"TH_STORAGE__BUCKET=files\nTH_STORAGE__ENDPOINT=ftp://a":                                        {smallest, "storage.endpoint"},
		"TH_STORAGE__BUCKET=files\nTH_STORAGE__REGION=us-esat-1\nTH_STORAGE__ENDPOINT=ftp://a":          {smallest, "storage.endpoint"},
		"TH_SESSION__STORE=cache\nTH_SESSION__INSECURE_PLAIN_STORE=true":                                {smallest, "session.store"},
		"TH_SESSION__STORE=redis://cache\nTH_SESSION__INSECURE_PLAIN_STORE=maybe":                       {smallest, "session.insecure_plain_store"},
		"TH_SESSION__KEYS=short," + key(1) + "," + key(1):                                               {strings.Replace(smallest, "keys_file: /run/secrets/session_keys", "claims: [sub]", 1), "session.keys[0]"},
		"TH_PUBLIC_URL=app": {smallest, "public_url"},
		"TH_API__ROUTES=[{path: /a/, upstream: 'https://a.example', scopes: ['a b'], anonymous: true}]": {smallest, "api.routes[0].scopes[0]"},
		"TH_API__ROUTES=[{path: /a/, upstream: a}]":                                                     {smallest, "api.routes[0].upstream"},
	} {
		got := saidOf(c.file, strings.Split(strings.TrimSuffix(setting, "\n"), "\n")...)
		if strings.Contains(got, "\n") || !strings.Contains(got, ": "+c.want+": ") {
			t.Errorf("%q: said %s\nwant one fault of %s", setting, got, c.want)
		}
	}
	twice := "TH_API__ROUTES=[{path: a, upstream: 'https://a.example'}, {path: a, upstream: 'https://a.example'}]"
	if got := said(twice); strings.Count(got, "\n") != 1 || strings.Contains(got, "also the path") {
		t.Errorf("two malformed paths: said %s", got)
	}
}

// TestWhatGoesTogether: settings that need each other, or exclude each other.
func TestWhatGoesTogether(t *testing.T) {
	const bucket = "TH_STORAGE__BUCKET=files\nTH_STORAGE__REGION=us-east-1\n"
	const role = "TH_STORAGE__ROLE_ARN=arn:aws:iam::123456789012:role/r\n"
	const local = "TH_PROVIDER__ISSUER=http://localhost:9229/pool\n"
	idRoute := "TH_API__ROUTES=[{path: /a/, upstream: 'https://a.example'}, {path: /b/, upstream: 'https://b.example', token: id}]\n"
	route := func(more string) string { return "TH_API__ROUTES=[{path: /a/, " + more + "}]\n" }
	wantSaid(t, map[string]string{
		"TH_REVOCATION__ON_OUTAGE=deny":                                                                               "session.store is not set",
		"TH_REVOCATION__ON_OUTAGE=deny\nTH_SESSION__STORE=rediss://cache":                                             "",
		"TH_REVOCATION__ON_OUTAGE=deny\nTH_SESSION__STORE_FILE=/run/secrets/other_store_url":                          "",
		"TH_SESSION__STORE_FILE=/run/secrets/plain_store_url":                                                         "session.store_file: is a store on another machine without TLS",
		"TH_SESSION__STORE=rediss://cache\nTH_SESSION__INSECURE_PLAIN_STORE=true":                                     "does not need it",
		"TH_SESSION__STORE=redis://localhost\nTH_SESSION__INSECURE_PLAIN_STORE=true":                                  "does not need it",
		"TH_SPA__CONTENT_SECURITY_POLICY=default-src 'self'; frame-ancestors 'none'":                                  "spa.dir is not",
		"TH_SPA__CONTENT_SECURITY_POLICY_EXTRA=img-src https://a.example":                                             "spa.dir is not",
		"TH_COOKIES__INSECURE_PLAIN_HTTP=true":                                                                        "public_url is not http://",
		"TH_COOKIES__INSECURE_PLAIN_HTTP=true\nTH_PUBLIC_URL=http://app.example\nTH_ALLOWED_ORIGINS=http://b.example": "INSECURE",
		"TH_PUBLIC_URL=http://app.example":                                                                            "is not https",
		"TH_ALLOWED_ORIGINS=https://a.example http://b.example":                                                       "(item 2)",
		"TH_TLS__CERT_FILE=c":                                       "tls.key_file is not",
		"TH_TLS__KEY_FILE=k":                                        "tls.cert_file is not",
		"TH_TLS__CERT_FILE=c\nTH_TLS__KEY_FILE=k":                   "",
		"TH_TLS__CERT_FILE=c\nTH_TLS__KEY_FILE=k\nTH_H2C=true":      "HTTP/2 is always on",
		"TH_H2C=true":                                               "",
		"TH_AUTH__TRIGGER_MESSAGES=true":                            "auth.error_path is not set",
		"TH_AUTH__TRIGGER_MESSAGES=true\nTH_AUTH__ERROR_PATH=/oops": "",
		"TH_AUTH__TRIGGER_MESSAGES=true\nTH_AUTH__ERROR_PATH=/oops\nTH_PROVIDER__KIND=oidc": "only Cognito has Lambda triggers",
		"TH_AUDIT__OUTPUT=file\nTH_AUDIT__FILE=/a\nTH_AUDIT__ON_FAILURE=refuse":             "",
		"TH_AUDIT__OUTPUT=off\nTH_AUDIT__ON_FAILURE=refuse":                                 "of which nobody knows",
		"TH_PROVIDER__SCOPES=email":                                                         "must include openid",
		"TH_PROVIDER__SCOPES=openid,offline_access":                                         "must not include offline_access",
		"TH_PROVIDER__SCOPES=openid,offline_access\nTH_PROVIDER__KIND=oidc":                 "",

		"TH_SESSION__CLAIMS=":                        "is empty",
		"TH_PROVIDER__INSECURE_PUBLIC_CLIENT=true":   "together with a client secret",
		"TH_PROVIDER__CLIENT_ID=us-east-1_AbCdEfGhI": "is the id of a user pool",

		"TH_PROVIDER__DOMAIN=https://login.example\nTH_PROVIDER__ISSUER=https://id.example":                                                                  "has no effect",
		"TH_PROVIDER__DOMAIN=https://id.example\nTH_PROVIDER__ISSUER=https://id.example/x":                                                                   "is at the domain of the hosted UI",
		"TH_PROVIDER__DOMAIN=https://a.auth.eu-west-1.amazoncognito.com":                                                                                     "is in the region eu-west-1",
		"TH_PROVIDER__DOMAIN=https://a.auth.us-east-1.amazoncognito.com":                                                                                     "",
		"TH_PROVIDER__DOMAIN=https://a.auth.eu-west-1.amazoncognito.com\nTH_PROVIDER__ISSUER=https://issuer-cognito-idp.us-east-1.amazonaws.com/us-east-1_A": "",
		"TH_PROVIDER__DOMAIN=https://login.example":                                                                                                          "",
		"TH_PROVIDER__ISSUER=https://a.auth.us-east-1.amazoncognito.com":                                                                                     "domain of the hosted UI and not the issuer",
		"TH_PROVIDER__ISSUER=https://amazoncognito.com":                                                                                                      "",
		"TH_PROVIDER__ISSUER=https://issuer-cognito-idp.eu-west-1.amazonaws.com/us-east-1_A":                                                                 "",
		"TH_PROVIDER__ISSUER=https://cognito-idp.us-east-1.amazonaws.com/useast_A":                                                                           "does not end with the id of a user pool",
		"TH_PROVIDER__ISSUER=https://cognito-idp.us-east-1.amazonaws.com/us-east-1_A%20B":                                                                    "does not end with the id of a user pool",
		"TH_PROVIDER__ISSUER=https://cognito-idp.us-east-1.amazonaws.com/us-east-1_A/":                                                                       "write https://cognito-idp.us-east-1.amazonaws.com/us-east-1_A",

		"TH_STORAGE__EXPIRES=1m": "storage.bucket is not",
		"TH_STORAGE__BUCKET=files\nTH_STORAGE__ENDPOINT=https://files.example": "",
		bucket + "TH_STORAGE__KMS_KEY_ID=k":                                    "storage.sse is neither",
		bucket + "TH_STORAGE__SSE=AES256\nTH_STORAGE__KMS_KEY_ID=k":            "storage.sse is neither",
		bucket + "TH_STORAGE__SSE=aws:kms:dsse\nTH_STORAGE__KMS_KEY_ID=k":      "",
		bucket + role: "storage.credentials is service",
		bucket + "TH_STORAGE__CREDENTIALS=session_policy":                    "storage.role_arn: is missing",
		bucket + "TH_STORAGE__CREDENTIALS=web_identity":                      "storage.role_arn: is missing",
		bucket + "TH_STORAGE__CREDENTIALS=identity_pool":                     "storage.identity_pool_id: is missing",
		bucket + role + "TH_STORAGE__CREDENTIALS=web_identity":               "",
		bucket + role + "TH_STORAGE__CREDENTIALS=web_identity\n" + local:     "AWS fetches the provider's keys over https only",
		bucket + role + "TH_STORAGE__CREDENTIALS=session_policy\n" + local:   "",
		bucket + role + "TH_STORAGE__CREDENTIALS=web_identity\n" + idRoute:   "api.routes[1].token: is id",
		bucket + role + "TH_STORAGE__CREDENTIALS=session_policy\n" + idRoute: "",
		idRoute:                                 "",
		bucket + "TH_STORAGE__PATH=/auth/files": "overlap the auth path",
		bucket + "TH_AUTH__PATH=/storage/auth":  "overlap the auth path",
		bucket + "TH_AUTH__PATH=/storages":      "",
		bucket + "TH_STORAGE__PATH_STYLE=true\nTH_STORAGE__ENDPOINT=https://app.example.com":                                                "acts as the app",
		bucket + "TH_STORAGE__PATH_STYLE=true\nTH_STORAGE__ENDPOINT=https://b.example\nTH_ALLOWED_ORIGINS=https://b.example":                "lets users upload all types to https://b.example",
		bucket + "TH_STORAGE__PATH_STYLE=true\nTH_STORAGE__ENDPOINT=https://app.example.com\nTH_STORAGE__CONTENT_TYPES=image/png,text/html": "lets users upload text/html",
		bucket + "TH_STORAGE__PATH_STYLE=true\nTH_STORAGE__ENDPOINT=https://app.example.com\nTH_STORAGE__CONTENT_TYPES=image/png":           "",
		bucket + "TH_STORAGE__PATH_STYLE=true\nTH_STORAGE__ENDPOINT=https://other.example":                                                  "",

		route("upstream: 'https://a.example', upstream_host: b.example"):                                          "not a unix:// socket",
		route("upstream: 'http://localhost', upstream_ca_file: /ca"):                                              "the upstream is not https://",
		route("upstream: 'h2c://localhost', websocket: true"):                                                     "are not supported",
		route("upstream: 'http://localhost', websocket: true"):                                                    "",
		route("upstream: 'http://a.example'"):                                                                     "is not https",
		route("upstream: 'https://a.example', insecure_http_upstream: true"):                                      "does not need it",
		route("upstream: 'unix:///run/a', insecure_http_upstream: true"):                                          "does not need it",
		route("upstream: 'https://a.example', scopes: []"):                                                        "would restrict nothing",
		route("upstream: 'https://a.example', groups: []"):                                                        "would restrict nothing",
		route("upstream: 'https://a.example', groups: [a], anonymous: true"):                                      "cannot be combined with anonymous",
		route("upstream: 'https://a.example', scopes: [a]"):                                                       "",
		"TH_API__ROUTES=[{upstream: 'https://a.example'}]":                                                        "path: is missing",
		"TH_API__ROUTES=[{path: /a/}]":                                                                            "upstream: is missing",
		"TH_API__ROUTES=[{path: /a/, upstream: 'https://a.example'}, {path: /a/, upstream: 'https://b.example'}]": "is also the path of route 0",
		"TH_API__ROUTES=[{path: /auth/x/, upstream: 'https://a.example'}]":                                        "is below auth.path",
		"TH_API__ROUTES=[{path: /storage/x/, upstream: 'https://a.example'}]":                                     "",
		bucket + "TH_API__ROUTES=[{path: /storage/x/, upstream: 'https://a.example'}]":                            "is below storage.path",
		"TH_API__ROUTES=[{path: /, upstream: 'https://a.example'}]\nTH_SPA__DIR=/srv/app":                         "covers all paths",
		"TH_API__ROUTES=[{path: /, upstream: 'https://a.example'}]":                                               "",
	})
}

// TestLoopsToTheService: what leads back is compared by address and port.
func TestLoopsToTheService(t *testing.T) {
	route := func(upstream, listen string) string {
		return "TH_API__ROUTES=[{path: /a/, upstream: '" + upstream + "', insecure_http_upstream: true}]\nTH_LISTEN=" + listen
	}
	local := func(upstream, listen string) string {
		return "TH_API__ROUTES=[{path: /a/, upstream: '" + upstream + "'}]\nTH_LISTEN=" + listen
	}
	const itself = "is the service itself"
	wantSaid(t, map[string]string{
		local("http://localhost:8081", "127.0.0.1:8081"): itself, local("http://127.0.0.1:8081", ":8081"): itself, local("http://[::1]:8081", "0.0.0.0:8081"): itself,
		route("http://10.0.0.1:8081", "10.0.0.1:8081"): itself, route("http://10.0.0.2:8081", "10.0.0.1:8081"): "INSECURE", route("http://10.0.0.2:8081", "127.0.0.1:8081"): "INSECURE",
		local("http://localhost:8081", "10.0.0.1:8081"): "", local("http://localhost:8081", "127.0.0.1:8082"): "", local("http://localhost", "127.0.0.1:80"): itself,
	})
}

// TestSectionThatIsAnAlias: the alias is the fault, and not that it is no section.
func TestSectionThatIsAnAlias(t *testing.T) {
	file := strings.Replace(smallest, "provider:", "provider: &p", 1) + "storage: *p\n"
	if got := saidOf(file); strings.Count(got, "uses a YAML anchor or alias") != 2 || strings.Contains(got, "not a section") {
		t.Errorf("said %s", got)
	}
	if got := saidOf(smallest + "storage: files\n"); !strings.Contains(got, "storage: is not a section") {
		t.Errorf("said %s", got)
	}
	if got := saidOf(smallest + "storage:\n"); got != "" {
		t.Errorf("an empty section: said %s", got)
	}
}

// TestFaultsOfACertificate, at the bounds of its time.
func TestFaultsOfACertificate(t *testing.T) {
	block, _ := pem.Decode(newPair(t, "app.example.com", now, now.Add(time.Hour)).cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		host string
		at   time.Duration
		want string
	}{
		"good": {"app.example.com", 0, ""}, "its last moment": {"app.example.com", time.Hour, ""},
		"too early": {"app.example.com", -time.Second, "is not valid before"}, "too late": {"app.example.com", time.Hour + time.Second, "expired on"},
		"another name": {"other.example.com", 0, "is for other names"},
	} {
		got := strings.Join(config.CertificateFaults(leaf, &url.URL{Scheme: "https", Host: c.host}, now.Add(c.at)), ", ")
		if (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) || strings.Contains(got, ", is") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestWithoutAMachine: a configuration can be looked at where no file can be read.
func TestWithoutAMachine(t *testing.T) {
	_, err := config.Load([]byte(smallest), "b.yaml", nil, config.Machine{})
	var faults config.Faults
	if !errors.As(err, &faults) || len(faults) != 2 || !strings.Contains(err.Error(), "names a file that cannot be read") {
		t.Errorf("%v", err)
	}
}

// TestAuthoritiesAreRead as they are at the start, when they are read again.
func TestAuthoritiesAreRead(t *testing.T) {
	good := newPair(t, "api.example.com", now, now.AddDate(1, 0, 0))
	dir := files(t, map[string][]byte{"ca.crt": append(good.key, good.cert...), "text": []byte("x")})
	if pool, err := config.ReadAuthorities(filepath.Join(dir, "ca.crt"), os.ReadFile); err != nil || pool.Equal(nil) {
		t.Errorf("%v %v", pool, err)
	}
	for name, want := range map[string]string{"text": "upstream_ca_file: names a file without a PEM certificate", "none": "upstream_ca_file: names a file that does not exist"} {
		if pool, err := config.ReadAuthorities(filepath.Join(dir, name), os.ReadFile); err == nil || pool != nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v %v", name, pool, err)
		}
	}
}

// TestFilesBehindLinks: what the service would send, and what others can read, is found behind
// symbolic links.
func TestFilesBehindLinks(t *testing.T) {
	dir := files(t, map[string][]byte{"app/index.html": []byte("<!doctype html>"), "app/keys": []byte(key(6)), "closed/token": []byte(plantedToken)})
	for link, target := range map[string]string{"www": "app", "keys": "app/keys", "token": "closed/token"} {
		if err := os.Symlink(filepath.Join(dir, target), filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"../": 0o755, "": 0o755, "closed/token": 0o644} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	const served = "which would be sent to everybody"
	for more, want := range map[string]string{
		"spa: {dir: DIR/www}\nsession: {keys_file: DIR/app/keys}\n": served,
		"spa: {dir: DIR/app}\nsession: {keys_file: DIR/keys}\n":     served,
		"admin: {token_file: DIR/token}\n":                          "", // nobody else may enter its folder
	} {
		file := strings.Replace(smallest, "session:\n  keys_file: /run/secrets/session_keys\n", "", 1)
		if !strings.Contains(more, "keys_file") {
			file = smallest
		}
		c, err := config.Load([]byte(file+strings.ReplaceAll(more, "DIR", dir)), filepath.Join(dir, "m.yaml"), nil, machine())
		got := warnings(c)
		if err != nil {
			got = err.Error()
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: said %q, want %q", more, got, want)
		}
	}
}
