package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/config"
)

// sample has two values for one key, and the variables that must be set with it.
type sample struct {
	file, env string // YAML in the file, text in the environment
	with      []string
}

var bucket = []string{"TH_STORAGE__BUCKET=some-bucket", "TH_STORAGE__REGION=us-east-1"}

var samples = map[string]sample{
	"public_url":                       {file: "https://a.example", env: "https://b.example"},
	"listen":                           {file: "':1'", env: ":2"},
	"h2c":                              {file: "false", env: "true"},
	"tls.cert_file":                    {file: "a", env: "b", with: []string{"TH_TLS__KEY_FILE=k"}},
	"tls.key_file":                     {file: "a", env: "b", with: []string{"TH_TLS__CERT_FILE=c"}},
	"allowed_origins":                  {file: "[https://a.example]", env: "https://b.example,https://c.example"},
	"trusted_proxies":                  {file: "[10.0.0.1]", env: "10.0.0.0/8 ::1"},
	"cookies.insecure_plain_http":      {file: "false", env: "true", with: []string{"TH_PUBLIC_URL=http://localhost"}},
	"provider.kind":                    {file: "cognito", env: "oidc"},
	"provider.issuer":                  {file: "https://a.example", env: "https://b.example"},
	"provider.domain":                  {file: "https://a.example", env: "https://b.example"},
	"provider.client_id":               {file: "'1'", env: "2"},
	"provider.trusted_audiences":       {file: "[a]", env: "b,c"},
	"provider.client_secret":           {file: "one", env: "two\nthree"},
	"provider.client_secret_file":      {file: "/run/secrets/client_secret", env: "/run/secrets/two_secrets"},
	"provider.insecure_public_client":  {file: "false", env: "true"},
	"provider.client_auth":             {file: "basic", env: "post"},
	"provider.scopes":                  {file: "[openid]", env: "[openid, phone]"},
	"provider.insecure_skip_nonce":     {file: "false", env: "true"},
	"provider.max_requests_per_second": {file: "50", env: "60"},
	"provider.endpoints.authorization": {file: "https://a.example", env: "https://b.example"},
	"provider.endpoints.token":         {file: "https://a.example", env: "https://b.example"},
	"provider.endpoints.revocation":    {file: "https://a.example", env: "https://b.example"},
	"provider.endpoints.userinfo":      {file: "https://a.example", env: "https://b.example"},
	"provider.endpoints.logout":        {file: "https://a.example", env: "https://b.example"},
	"provider.endpoints.jwks":          {file: "https://a.example", env: "https://b.example"},
	"auth.path":                        {file: "/a", env: "/b"},
	"auth.error_path":                  {file: "/a", env: ""}, // an empty value removes the file's
	"auth.trigger_messages":            {file: "false", env: "true", with: []string{"TH_AUTH__ERROR_PATH=/a", "TH_PROVIDER__KIND=cognito"}},
	"auth.after_logout":                {file: "/a", env: "/b"},
	"auth.allow_cross_site_login":      {file: "false", env: "true"},
	"session.keys":                     {file: "[" + key(3) + "]", env: key(4) + "," + key(5)},
	"session.keys_file":                {file: "/run/secrets/session_keys", env: "/run/secrets/other_keys"},
	"session.idle_timeout":             {file: "2h", env: "3h"},
	"session.absolute_lifetime":        {file: "2h", env: "3h"},
	"session.refresh_before":           {file: "2m", env: "3m"},
	"session.persistent":               {file: "false", env: "true"},
	"session.refresh_grace":            {file: "2m", env: "3m"},
	"session.claims":                   {file: "[sub]", env: "sub,cognito:groups"},
	"session.cookie_name":              {file: "a", env: "b"},
	"session.store":                    {file: "valkey://localhost", env: "redis://localhost"},
	"session.insecure_plain_store":     {file: "false", env: "true", with: []string{"TH_SESSION__STORE=redis://cache"}},
	"session.store_file":               {file: "/run/secrets/store_url", env: "/run/secrets/other_store_url"},
	"auth.verify_secret":               {file: "0123456789abcdef", env: "fedcba9876543210"},
	"auth.verify_secret_file":          {file: "/run/secrets/verify_secret", env: "/run/secrets/other_token"},
	"session.probe_interval":           {file: "2m", env: "3m"},
	"revocation.on_outage":             {file: "allow", env: "deny", with: []string{"TH_SESSION__STORE=redis://localhost"}},
	"provider.rotation_grace":          {file: "10s", env: "60s"},
	"api.requests_per_session":         {file: "10", env: "20"},
	"api.streams_per_session":          {file: "10", env: "20"},
	"limits.login":                     {file: "5/1m", env: "6/1m"},
	"limits.callback":                  {file: "5/1m", env: "6/1m"},
	"limits.login_cookie":              {file: "5", env: "6"},
	"limits.refresh":                   {file: "5/1m", env: "5/2m"},
	"limits.presigns":                  {file: "5/1m", env: "6/1m"},
	"limits.admin_token":               {file: "5/1m", env: "6/1m"},
	"limits.verify_secret":             {file: "5/1m", env: "6/1m"},
	"limits.exempt":                    {file: "[10.0.0.1]", env: "10.0.0.0/8 ::1"},
	"api.routes":                       {file: "[{path: /a/, upstream: 'https://a.example'}]", env: "[{path: /b/, upstream: 'https://b.example'}]"},
	"storage.bucket":                   {file: "bucket-a", env: "bucket-b", with: bucket[1:]},
	"storage.region":                   {file: "us-east-1", env: "eu-west-1", with: bucket[:1]},
	"storage.endpoint":                 {file: "https://a.example", env: "https://b.example", with: bucket},
	"storage.path_style":               {file: "false", env: "true", with: bucket},
	"storage.path":                     {file: "/a", env: "/b", with: bucket},
	"storage.prefix":                   {file: "'a/{sub}/'", env: "{sub}/", with: bucket},
	"storage.max_size":                 {file: "1", env: "64 KiB", with: bucket},
	"storage.content_types":            {file: "[image/png]", env: "image/* image/GIF", with: bucket},
	"storage.expires":                  {file: "1m", env: "168h", with: bucket},
	"storage.quota.bytes":              {file: "1GiB", env: "64 KiB", with: bucket},
	"storage.quota.objects":            {file: "10", env: "20", with: bucket},
	"storage.sse":                      {file: "AES256", env: "aws:kms", with: bucket},
	"storage.kms_key_id":               {file: "alias/a", env: "alias/b", with: append([]string{"TH_STORAGE__SSE=aws:kms"}, bucket...)},
	"storage.expected_bucket_owner":    {file: "'123456789012'", env: "012345678901", with: bucket},
	"storage.credentials":              {file: "session_policy", env: "web_identity", with: append([]string{"TH_STORAGE__ROLE_ARN=arn:aws:iam::123456789012:role/r"}, bucket...)},
	"storage.role_arn":                 {file: "'arn:aws:iam::123456789012:role/a'", env: "arn:aws-cn:iam::123456789012:role/p/b", with: append([]string{"TH_STORAGE__CREDENTIALS=session_policy"}, bucket...)},
	"storage.identity_pool_id":         {file: "us-east-1:12345678-90ab-cdef-1234-567890abcdef", env: "us-gov-west-1:12345678-90ab-cdef-1234-567890abcdef", with: append([]string{"TH_STORAGE__CREDENTIALS=identity_pool"}, bucket...)},
	"spa.dir":                          {file: "a", env: "b"},
	"spa.content_security_policy":      {file: "a", env: "b", with: []string{"TH_SPA__DIR=d"}},
	"shutdown.delay":                   {file: "1s", env: "2s"},
	"admin.hosts":                      {file: "[a.example]", env: "b.example C.example."},
	"admin.listen":                     {file: "':1'", env: ":2"},
	"admin.token":                      {file: "0123456789abcdef", env: "fedcba9876543210"},
	"admin.token_file":                 {file: "/run/secrets/admin_token", env: "/run/secrets/other_token"},
	"log.level":                        {file: "warn", env: "debug"},
	"log.format":                       {file: "json", env: "text"},
	"log.requests":                     {file: "errors", env: "none"},
	"admin.tokens":                     {file: "[{name: anna, token_file: /run/secrets/admin_token}]", env: "[{name: ben, token: fedcba9876543210}]"},
	"audit.output":                     {file: "off", env: "stderr"},
	"audit.file":                       {file: "a", env: "b", with: []string{"TH_AUDIT__OUTPUT=file"}},
	"audit.format":                     {file: "json", env: "ocsf"},
	"audit.on_failure":                 {file: "continue", env: "refuse", with: []string{"TH_AUDIT__OUTPUT=file", "TH_AUDIT__FILE=a"}},

	"provider.insecure_logout_token_without_exp": {file: "false", env: "true"},

	"spa.content_security_policy_extra": {file: "img-src a.example", env: "img-src b.example", with: []string{"TH_SPA__DIR=d"}},
}

// base returns the smallest configuration, without the settings that the key under
// test replaces.
func base(key string) []string {
	all := map[string]string{
		"public_url": "https://app.example.com", "provider.issuer": "https://idp.example.com",
		"provider.client_id": "app", "provider.client_secret": "base", "session.keys": firstKey,
	}
	replaced := []string{key, strings.TrimSuffix(key, "_file")}
	switch key {
	case "cookies.insecure_plain_http":
		replaced = append(replaced, "public_url")
	case "provider.insecure_public_client":
		replaced = append(replaced, "provider.client_secret")
	}
	var environ []string
	for k, v := range all {
		if !slices.Contains(replaced, k) {
			environ = append(environ, "TH_"+strings.ToUpper(strings.ReplaceAll(k, ".", "__"))+"="+v)
		}
	}
	return environ
}

var firstKey = key(1)

// inFile returns a file with one key.
func inFile(key, val string) string {
	parts := strings.Split(key, ".")
	file := parts[len(parts)-1] + ": " + val
	for _, section := range slices.Backward(parts[:len(parts)-1]) {
		file = section + ": {" + file + "}"
	}
	return file + "\n"
}

func TestEnvironmentOverridesEveryKey(t *testing.T) {
	keys := config.AllKeys()
	if len(keys) != len(samples) {
		t.Errorf("%d keys, %d samples", len(keys), len(samples))
	}
	for _, k := range keys {
		t.Run(k.Key, func(t *testing.T) {
			s, ok := samples[k.Key]
			if !ok {
				t.Fatal("no sample for this key")
			}
			environ := append(base(k.Key), s.with...)
			variable := k.Env + "=" + s.env
			fileOnly := environ
			if k.Key == "provider.insecure_public_client" {
				fileOnly = append(slices.Clone(environ), "TH_PROVIDER__CLIENT_SECRET=base")
			}
			if k.Key == "session.insecure_plain_store" { // the first of two variables counts
				fileOnly = append([]string{"TH_SESSION__STORE=redis://localhost"}, environ...)
			}
			alone := mustLoad(t, inFile(k.Key, s.file), fileOnly...)
			both := mustLoad(t, inFile(k.Key, s.file), append(environ, variable)...)
			variableOnly := mustLoad(t, "", append(environ, variable)...)
			if diff := cmp.Diff(variableOnly, both, revealed()); diff != "" {
				t.Errorf("the variable does not replace the file's value (-variable +both):\n%s", diff)
			}
			if s.file != s.env && cmp.Equal(alone, both, revealed()) {
				t.Errorf("%s changes nothing", k.Env)
			}
		})
	}
}

func TestEnvironmentFaults(t *testing.T) {
	for name, c := range map[string]struct {
		environ []string
		want    string
	}{
		"misspelt":        {[]string{"TH_SESION__IDLE_TIMEOUT=1h"}, "TH_SESION__IDLE_TIMEOUT: is not a known variable; did you mean TH_SESSION__IDLE_TIMEOUT?"},
		"one underscore":  {[]string{"TH_SESSION_IDLE_TIMEOUT=1h"}, "TH_SESSION_IDLE_TIMEOUT: is not a known variable; did you mean TH_SESSION__IDLE_TIMEOUT?"},
		"lower case":      {[]string{"TH_listen=:1"}, "TH_listen: is not a known variable; unset it; config/reference.md lists every variable"},
		"unknown":         {[]string{"TH_PLANTED_HUNTER=hunter2"}, "TH_PLANTED_HUNTER: is not a known variable; unset it; config/reference.md lists every variable"},
		"terminal codes":  {[]string{"TH_\x1b[2J=1"}, `"TH_\x1b[2J": is not a known variable; unset it; config/reference.md lists every variable`},
		"very long":       {[]string{"TH_" + strings.Repeat("X", 500) + "=1"}, "TH_" + strings.Repeat("X", 57) + "…: is not a known variable; unset it; config/reference.md lists every variable"},
		"indexed route":   {[]string{"TH_API__ROUTES__0__PATH=/a/"}, "TH_API__ROUTES__0__PATH: is not a known variable; set all routes in TH_API__ROUTES, as one YAML list"},
		"empty":           {[]string{"TH_LISTEN="}, "TH_LISTEN: listen: an empty value is not an address to listen on; write host:port, such as 127.0.0.1:8080 or :8080"},
		"empty secret":    {[]string{"TH_ADMIN__TOKEN="}, "TH_ADMIN__TOKEN: admin.token: is empty; give it a value or remove it"},
		"secret twice":    {[]string{"TH_SESSION__KEYS=" + key(1), "TH_SESSION__KEYS_FILE=/run/secrets/session_keys"}, "TH_SESSION__KEYS_FILE: session.keys_file: is set as well as session.keys (TH_SESSION__KEYS); keep one of the two"},
		"list item":       {[]string{"TH_PROVIDER__SCOPES=openid,é"}, `TH_PROVIDER__SCOPES: provider.scopes[1]: "é" is not a scope; write one scope per item, such as email or orders/read`},
		"not yaml":        {[]string{"TH_API__ROUTES=[{path: hunter2"}, `TH_API__ROUTES: api.routes: is not a YAML list; write it on one line as [first, second], routes as [{path: /api/, upstream: "https://…"}]`},
		"route":           {[]string{"TH_API__ROUTES=[{path: /a/, upstreem: 'https://a.example'}]"}, "TH_API__ROUTES: api.routes[0].upstreem: is not a known key; did you mean upstream?\nTH_API__ROUTES: api.routes[0].upstream: is missing; write where to forward to, such as https://api.internal.example.com"},
		"route twice":     {[]string{"TH_API__ROUTES=[{path: /a/, upstream: 'https://a.example'}, {path: /a/, upstream: 'https://a.example'}]"}, `TH_API__ROUTES: api.routes[1].path: "/a/" is also the path of route 0; keep one of them, or write another path`},
		"route key twice": {[]string{"TH_API__ROUTES=[{path: /a/, path: /b/, upstream: 'https://a.example'}]"}, "TH_API__ROUTES: api.routes[0].path: is repeated (first on line 1); keep one of them"},
		"several keys":    {[]string{"TH_SESSION__IDLE_TIMEOUT=13h"}, "TH_SESSION__IDLE_TIMEOUT: session.idle_timeout: makes the idle timeout (13h) longer than the absolute lifetime (12h); write an idle_timeout of at most absolute_lifetime"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load([]byte(smallest), "tokenhandler.yaml", c.environ, config.Machine{ReadFile: readFile})
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// Every key of a route changes the configuration.
func TestEveryRouteKeyIsRead(t *testing.T) {
	values := map[string]string{
		"path": "/b/", "upstream": "https://b.example", "insecure_http_upstream": "true", "strip_prefix": "true",
		"methods": "[GET]", "token": "id", "scopes": "[a]", "groups": "[a]", "anonymous": "true", "timeout": "1s",
		"upstream_host": "api.internal", "upstream_ca_file": "/etc/ca.pem",
		"max_body": "1KiB", "replay_body": "1", "websocket": "true", "probe_interval": "1m",
	}
	load := func(key, val string) (config.Config, error) {
		keys := map[string]string{"path": "/a/", "upstream": "https://a.example"}
		switch key {
		case "insecure_http_upstream":
			keys["upstream"] = "http://a.example"
		case "upstream_host":
			keys["upstream"] = "unix:///run/api.sock"
		}
		if key != "" {
			keys[key] = val
		}
		var pairs []string
		for k, v := range keys {
			pairs = append(pairs, k+": "+v)
		}
		return config.Load([]byte(smallest+"api: {routes: [{"+strings.Join(pairs, ", ")+"}]}"), "tokenhandler.yaml", nil, config.Machine{ReadFile: readFile})
	}
	plain, err := load("", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range config.AllRouteKeys() {
		c, err := load(k.Key, values[k.Key])
		switch {
		case err != nil:
			t.Errorf("%s: %v", k.Key, err)
		case cmp.Equal(c, plain, revealed()):
			t.Errorf("%s changes nothing", k.Key)
		}
	}
}

// TestKubernetesServiceLinksOnlyWarn: for a Service named th, Kubernetes sets variables
// that look like the configuration's.
func TestKubernetesServiceLinksOnlyWarn(t *testing.T) {
	links := []string{
		"TH_SERVICE_HOST=10.96.0.7", "TH_SERVICE_PORT=8080", "TH_SERVICE_PORT_HTTP=8080", "TH_PORT=tcp://10.96.0.7:8080",
		"TH_PORT_8080_TCP=tcp://10.96.0.7:8080", "TH_PORT_8080_TCP_PROTO=tcp", "TH_PORT_8080_TCP_PORT=8080", "TH_PORT_8080_TCP_ADDR=10.96.0.7",
		"TH_ADMIN_PORT=udp://[fd00::7]:9090", "TH_ADMIN_SERVICE_HOST=fd00::7", "TH_ADMIN_SERVICE_PORT=9090",
	}
	c := mustLoad(t, smallest, links...)
	want := "TH_SERVICE_HOST: and 10 more like it are ignored: Kubernetes sets them for a Service whose name begins with th; set enableServiceLinks: false in the pod\n"
	if got := warnings(c); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if config.IsSetBy(links) || !config.IsSetBy(append(links, "TH_LISTEN=:1")) || config.IsSetBy([]string{"PATH=/bin"}) {
		t.Error("IsSetBy takes a link for a setting, or the other way round")
	}
	for _, entry := range []string{
		"TH_PORT=8080", "TH_SERVICE_HOST=app.example.com", "TH_SERVICE_PORT=http", "TH_ADMIN_PORT=9090", "TH_SERVICE=x", "TH_PORT_8080=tcp://10.0.0.1",
		"TH_LISTEN_PORT=1", "TH_PORTS=tcp://10.0.0.1:1", "TH_port=tcp://10.0.0.1:1",
	} {
		if _, err := config.Load([]byte(smallest), "tokenhandler.yaml", []string{entry}, config.Machine{ReadFile: readFile}); err == nil || !strings.Contains(err.Error(), "is not a known variable") {
			t.Errorf("%s: %v", entry, err)
		}
	}
}
