package config_test

import (
	"strings"
	"testing"

	"cognito-token-handler/config"
)

// TestSpellingOfURLs: each thing that a URL must not have is refused alone, and named.
func TestSpellingOfURLs(t *testing.T) {
	wantSaid(t, map[string]string{
		"TH_PUBLIC_URL=":                                                         "is empty",
		"TH_PUBLIC_URL=ftp://app.example.com":                                    "does not start with https://",
		"TH_PUBLIC_URL=app.example.com":                                          "does not start with https://",
		"TH_PUBLIC_URL=https://app.example.com/":                                 "more than an origin",
		"TH_PUBLIC_URL=https://app.example.com?a":                                "more than an origin",
		"TH_PUBLIC_URL=https://app.example.com?":                                 "more than an origin",
		"TH_PUBLIC_URL=https://app.example.com#":                                 "has a fragment",
		"TH_PUBLIC_URL=https://app.example.com#a":                                "has a fragment",
		"TH_PUBLIC_URL=https://*.example.com":                                    "is a wildcard",
		"TH_PUBLIC_URL=*":                                                        "is a wildcard",
		"TH_PUBLIC_URL=https://":                                                 "has no host",
		"TH_PUBLIC_URL=https://:8080":                                            "has no host",
		"TH_PUBLIC_URL=https://app.example.com:":                                 "has a colon but no port",
		"TH_PUBLIC_URL=https://app!.example.com":                                 "DNS does not allow",
		"TH_PUBLIC_URL=https://-app.example.com":                                 "DNS does not allow",
		"TH_PUBLIC_URL=https://app..example.com":                                 "DNS does not allow",
		"TH_PUBLIC_URL=https://[2001:db8::1]":                                    "",
		"TH_PUBLIC_URL=https://192.0.2.1":                                        "",
		"TH_ALLOWED_ORIGINS=https://a.example/x":                                 "more than an origin",
		"TH_PROVIDER__ISSUER=https://id.example/a b":                             "is not a URL",
		`TH_PROVIDER__ISSUER=https://id.example/a\b`:                             "is not a URL",
		"TH_PROVIDER__ISSUER=https://id.example/%zz":                             "is not a URL",
		"TH_PROVIDER__ISSUER=https://id.example/?a":                              "has a query",
		"TH_PROVIDER__ISSUER=https://id.example/#":                               "has a fragment",
		"TH_PROVIDER__ISSUER=http://id.example":                                  "is not https",
		"TH_PROVIDER__ISSUER=http://localhost:9229/x":                            "",
		"TH_PROVIDER__ISSUER=https://a.example/.well-known/openid-configuration": "write https://a.example",
	})
}

// TestPortsThatBrowsersLeaveOut: the port of the scheme, and no other.
func TestPortsThatBrowsersLeaveOut(t *testing.T) {
	for origin, want := range map[string]string{
		"https://a.example:443": "https://a.example", "https://a.example:80": "https://a.example:80",
		"http://localhost:80": "http://localhost", "http://localhost:443": "http://localhost:443",
		"https://[::1]:443": "https://[::1]", "https://[::1]:80": "https://[::1]:80", "HTTPS://A.Example": "https://a.example",
	} {
		if got := mustLoad(t, smallest, "TH_ALLOWED_ORIGINS="+origin).AllowedOrigins; len(got) != 1 || got[0] != want {
			t.Errorf("%s became %v, want %s", origin, got, want)
		}
	}
}

// TestSpellingOfAddresses is about addresses to listen on, and networks.
func TestSpellingOfAddresses(t *testing.T) {
	wantSaid(t, map[string]string{
		"TH_LISTEN=localhost": "not an address", "TH_LISTEN=127.0.0.1:": "not an address", "TH_LISTEN=127.0.0.1:http": "not an address", "TH_LISTEN=a b:80": "not an address",
		"TH_LISTEN=-:80": "not an address", "TH_LISTEN=127.0.0.1:-1": "not an address", "TH_LISTEN=127.0.0.1:080": "not an address",
		"TH_LISTEN=:8081": "", "TH_LISTEN=[::1]:8081": "", "TH_LISTEN=localhost:8081": "",
		"TH_TRUSTED_PROXIES=fe80::1%eth0":                           "neither an address nor a network",
		"TH_TRUSTED_PROXIES=proxy":                                  "neither an address nor a network",
		"TH_TRUSTED_PROXIES=::ffff:10.0.0.0/104":                    "an IPv4 network written as IPv6",
		"TH_TRUSTED_PROXIES=0.0.0.0/0":                              "trusts every address",
		"TH_TRUSTED_PROXIES=::/0":                                   "trusts every address",
		"TH_TRUSTED_PROXIES=10.0.0.1/8":                             "write 10.0.0.0/8",
		"TH_TRUSTED_PROXIES=fc00::/7":                               "",
		"TH_TRUSTED_PROXIES=fe80::/10":                              "",
		"TH_TRUSTED_PROXIES=2000::/3":                               "large part",
		"TH_LISTEN=127.0.0.1:8443\nTH_ADMIN__LISTEN=127.0.0.1:8443": "take the same port",
		"TH_LISTEN=127.0.0.1:0\nTH_ADMIN__LISTEN=127.0.0.1:0":       "",
	})
	for text, want := range map[string]string{"::ffff:10.0.0.1": "10.0.0.1/32", "10.0.0.1": "10.0.0.1/32", "2001:db8::1": "2001:db8::1/128", "10.0.0.0/8": "10.0.0.0/8"} {
		if got := mustLoad(t, smallest, "TH_TRUSTED_PROXIES="+text).TrustedProxies; len(got) != 1 || got[0].String() != want {
			t.Errorf("%s became %v, want %s", text, got, want)
		}
	}
}

// TestSpellingOfPaths is about paths of the service, of routes and of the app.
func TestSpellingOfPaths(t *testing.T) {
	route := func(path string) string {
		return `TH_API__ROUTES=[{path: "` + path + `", upstream: "https://api.example"}]`
	}
	wantSaid(t, map[string]string{
		"TH_AUTH__PATH=auth": "does not start with /", "TH_AUTH__PATH=/": "is the whole site", "TH_AUTH__PATH=/auth/": "write /auth", "TH_AUTH__PATH=/a//b": "write single slashes", "TH_AUTH__PATH=/a/../b": "and no . or ..",
		"TH_AUTH__PATH=/a b": "characters that are not allowed", "TH_AUTH__PATH=/a{b}": "characters that are not allowed", "TH_AUTH__PATH=/a%20b": "characters that are not allowed",
		route("api/"): "does not start with /", route("/api"): "does not end with /", route("/"): "", route("/a//b/"): "write single slashes", route("/a/./b/"): "and no . or ..", route("/a*/"): "characters that are not allowed",
		"TH_AUTH__AFTER_LOGOUT=": "is not a path", "TH_AUTH__AFTER_LOGOUT=bye": "is not a path", "TH_AUTH__AFTER_LOGOUT=https://evil.example/": "is not a path", "TH_AUTH__AFTER_LOGOUT=/%zz": "is not a path",
		"TH_AUTH__AFTER_LOGOUT=//evil.example": "another host", `TH_AUTH__AFTER_LOGOUT=/\evil.example`: "another host", "TH_AUTH__AFTER_LOGOUT=/a b": "another host",
		"TH_AUTH__AFTER_LOGOUT=/bye?x": "query or fragment", "TH_AUTH__AFTER_LOGOUT=/bye#x": "query or fragment", "TH_AUTH__AFTER_LOGOUT=/a/../b": "and no . or ..",
		"TH_AUTH__AFTER_LOGOUT=/": "", "TH_AUTH__AFTER_LOGOUT=/bye": "", "TH_AUTH__AFTER_LOGOUT=/bye/": "",
		"TH_AUTH__ERROR_PATH=": "", "TH_AUTH__ERROR_PATH=/": "", "TH_AUTH__ERROR_PATH=oops": "is not a path", "TH_AUTH__ERROR_PATH=/auth": "could redirect in a loop", "TH_AUTH__ERROR_PATH=/author": "",
	})
}

// TestSpellingOfUpstreams: a query or a path that two parsers read differently is refused.
func TestSpellingOfUpstreams(t *testing.T) {
	route := func(upstream string) string {
		return "TH_API__ROUTES=[{path: /api/, upstream: \"" + upstream + "\"}]"
	}
	host := func(name string) string {
		return `TH_API__ROUTES=[{path: /api/, upstream: "unix:///run/api.sock", upstream_host: "` + name + `"}]`
	}
	long := strings.Repeat("s", 107)
	wantSaid(t, map[string]string{
		route("https://api.example"): "", route("https://api.example/"): "", route("https://api.example/v1"): "", route("https://api.example/v1/"): "", route("h2c://localhost"): "", route("https://api.example//"): "write single slashes",
		route("https://api.example?"): "has a query", route("https://api.example/?a=1"): "has a query", route("https://api.example/a/../b"): "and no . or ..", route("https://api.example/a%2fb"): "characters that are not allowed",
		route("https://"): "has no host", route("h2c://api.example"): "is not https",
		route("unix:///run/api.sock"): "", route("unix:///" + long[1:]): "", route("unix:///" + long): "Unix socket", route("unix://run/api.sock"): "Unix socket", route("unix:/run/api.sock"): "Unix socket",
		route("unix:///run/"): "Unix socket", route("unix:///run/a?b"): "Unix socket", route("unix:///run/a#b"): "Unix socket", route("unix:///run/a%41"): "Unix socket", route(`unix:///run/a\tb`): "Unix socket", route("unix://"): "Unix socket",
		route("unix:///tmp/api.sock"): "can be created by every user", route("unix:///var/tmp/a"): "can be created by every user", route("unix:///dev/shm/a"): "can be created by every user", route("unix:///tmpfs/a"): "",
		host("api.example"): "", host("api.example:8080"): "", host("api.example/x"): "is not a host", host("api.example?a"): "is not a host", host("api.example?"): "is not a host", host("a b"): "is not a host", host(""): "is not a host",
	})
}

// TestSpellingOfNames is about cookies, methods, scopes, buckets and what AWS has names for.
func TestSpellingOfNames(t *testing.T) {
	method := func(name string) string {
		return `TH_API__ROUTES=[{path: /api/, upstream: "https://api.example", methods: ["` + name + `"]}]`
	}
	store := func(more string) string { return "TH_STORAGE__BUCKET=files\nTH_STORAGE__REGION=us-east-1\n" + more }
	want := map[string]string{
		method("GET"): "", method("MKCOL-X"): "", method("get"): "write GET", method("TRACE"): "never forwarded", method("trace"): "never forwarded", method("TRACK"): "never forwarded", method("CONNECT"): "never forwarded",
		method("G T"): "is not a method", method("g t"): "is not a method", method(""): "is not a method",
		"TH_PROVIDER__SCOPES=openid,orders/read": "", `TH_PROVIDER__SCOPES=openid,a"b`: "is not a scope", `TH_PROVIDER__SCOPES=openid,a\b`: "is not a scope",
		"TH_ADMIN__HOSTS=Admin.Example.": "", "TH_ADMIN__HOSTS=admin.example:9090": "is not a host name", "TH_ADMIN__HOSTS=https://admin.example": "is not a host name",
		"TH_STORAGE__BUCKET=files": "storage.region: is missing", "TH_STORAGE__REGION=us-east-1\nTH_STORAGE__BUCKET=192.0.2.1": "not a bucket name",
		"TH_STORAGE__REGION=us-east-1\nTH_STORAGE__BUCKET=ab": "not a bucket name", "TH_STORAGE__REGION=us-east-1\nTH_STORAGE__BUCKET=abc": "", "TH_STORAGE__REGION=us-east-1\nTH_STORAGE__BUCKET=Files": "not a bucket name",
		"TH_STORAGE__BUCKET=": "", "TH_STORAGE__BUCKET=files\nTH_STORAGE__REGION=US-EAST-1": "is not a region",
		store("TH_STORAGE__EXPECTED_BUCKET_OWNER=12345678901"): "12 digits", store("TH_STORAGE__EXPECTED_BUCKET_OWNER=123456789012"): "",
		store("TH_STORAGE__CREDENTIALS=session_policy\nTH_STORAGE__ROLE_ARN=arn:aws:iam::12:role/r"):           "not the ARN of a role",
		store("TH_STORAGE__CREDENTIALS=session_policy\nTH_STORAGE__ROLE_ARN=arn:aws:iam::123456789012:role/r"): "",
		store("TH_STORAGE__CREDENTIALS=identity_pool\nTH_STORAGE__IDENTITY_POOL_ID=us-east-1:1"):               "not the id of an identity pool",
		store("TH_STORAGE__PREFIX=users/"): "write a prefix such as", store("TH_STORAGE__PREFIX=u/{sub}/"): "", store("TH_STORAGE__CONTENT_TYPES=png"): "write types such as", store("TH_STORAGE__CONTENT_TYPES=image/png"): "",
	}
	for _, name := range []string{"active", "began", "login", "login-x", "x-active", "x-began", "x-login", "x-login-y"} {
		want["TH_SESSION__COOKIE_NAME="+name] = "reserved for the other cookies"
	}
	for _, name := range []string{"actives", "x-actives", "begans", "logins", "a-loginx", "session", strings.Repeat("c", 32)} {
		want["TH_SESSION__COOKIE_NAME="+name] = ""
	}
	for _, name := range []string{"", "a.b", "a b", strings.Repeat("c", 33)} {
		want["TH_SESSION__COOKIE_NAME="+name] = "not a valid cookie name"
	}
	wantSaid(t, want)
}

// TestNamesOfTokens: the characters are those that a log needs no quotes for.
func TestNamesOfTokens(t *testing.T) {
	for name, good := range map[string]bool{
		"azAZ09-_.@": true, strings.Repeat("n", 64): true, strings.Repeat("n", 65): false, "": false, "a b": false, "a/b": false, "a:b": false, "a`b": false, "a{b": false, "a[b": false, "a^b": false, "ä": false, "admin.token": false,
	} {
		tokens := `TH_ADMIN__TOKENS=[{name: "` + name + `", token: ` + plantedToken + `}]`
		if got := said(tokens); (got == "") != good {
			t.Errorf("%q: said %q", name, got)
		}
	}
}

// TestSpellingOfNumbers is about durations and sizes, and how faults write them.
func TestSpellingOfNumbers(t *testing.T) {
	size := func(text string) string {
		return "TH_STORAGE__BUCKET=files\nTH_STORAGE__REGION=us-east-1\nTH_STORAGE__MAX_SIZE=" + text
	}
	wantSaid(t, map[string]string{
		size("0"): "write at least 1", size("1"): "", size("50000GiB"): "", size("50000GiB "): "not a size", size("51200001MiB"): "write at most 50000GiB", size("999999999999999GiB"): "write at most 50000GiB",
		size("1KB"): "not a size", size("1.5MiB"): "not a size", size("-1"): "not a size", size(""): "not a size", size("53687091200001"): "write at most 50000GiB",
		"TH_SESSION__IDLE_TIMEOUT=90": "not a duration", "TH_SESSION__IDLE_TIMEOUT=-1s": "too short",
		"TH_API__REQUESTS_PER_SESSION=0": "allowed range", "TH_API__REQUESTS_PER_SESSION=1": "", "TH_API__REQUESTS_PER_SESSION=x": "allowed range",
		"TH_H2C=yes": "neither true nor false", "TH_LOG__LEVEL=loud": "write debug, info, warn or error",
		"TH_PROVIDER__CLIENT_ID=": "not a name without spaces", "TH_PROVIDER__CLIENT_ID=a\tb": "not a name without spaces", "TH_SPA__DIR=": "write a path or remove it", "TH_SPA__DIR=a\x00b": "control characters", "TH_SPA__DIR=\xff": "control characters",
		"TH_PROVIDER__CLIENT_SECRET_FILE=": "provider.client_secret_file: is empty; write the path of a file", "TH_SESSION__KEYS_FILE=${KEYS}": "placeholder",
	})
}

// TestOriginOfTheBucket is where browsers upload to.
func TestOriginOfTheBucket(t *testing.T) {
	for want, s := range map[string]config.Storage{
		"":                                     {Region: "us-east-1"},
		"https://b.s3.us-east-1.amazonaws.com": {Bucket: "b", Region: "us-east-1"},
		"https://b.s3.cn-north-1.amazonaws.com.cn": {Bucket: "b", Region: "cn-north-1"},
		"https://s3.us-east-1.amazonaws.com":       {Bucket: "b", Region: "us-east-1", PathStyle: true},
		"https://b.files.example":                  {Bucket: "b", Endpoint: "https://files.example"},
		"https://files.example":                    {Bucket: "b", Endpoint: "https://files.example", PathStyle: true},
	} {
		if got := s.Origin(); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}
