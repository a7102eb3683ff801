package valkey_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"cognito-token-handler/tokenhandler/replicas/valkey"
)

func TestURL(t *testing.T) {
	for _, test := range []struct {
		url, address, user, password, cache string
		database                            int
		secure, cluster                     bool
	}{
		{url: "redis://cache", address: "cache:6379"},
		{url: "valkey://cache/", address: "cache:6379"},
		{url: "redis://127.0.0.1:7000/3", address: "127.0.0.1:7000", database: 3},
		{url: "redis://[::1]:7000/0", address: "[::1]:7000"},
		{url: "redis://[::1]", address: "[::1]:6379"},
		{url: "redis://:pw@cache", address: "cache:6379", password: "pw"},
		{url: "redis://cache/2?cluster=false&iam=false", address: "cache:6379", database: 2},
		{url: "valkeys://app:p%40%2Fw@cache:6380/15", address: "cache:6380", user: "app", password: "p@/w", database: 15, secure: true},
		{url: "rediss://cache.example.com", address: "cache.example.com:6379", secure: true},
		{url: "rediss://:pw@cache?cluster=true", address: "cache:6379", password: "pw", secure: true, cluster: true},
		{url: "redis://cache/0?cluster=true", address: "cache:6379", cluster: true},
		{url: "rediss://app@cache?iam=true&cache=my-cache&region=eu-central-1", address: "cache:6379", secure: true, cache: "my-cache"},
		{url: "rediss://app@cache?iam=true&cache=c&region=eu-west-1&serverless=true&cluster=true", address: "cache:6379", secure: true, cluster: true, cache: "c"},
	} {
		options, cache, err := valkey.Parse(test.url)
		if err != nil {
			t.Errorf("%s: %v", test.url, err)
			continue
		}
		if options.InitAddress[0] != test.address || options.Username != test.user || options.Password != test.password ||
			options.SelectDB != test.database || options.ForceSingleClient == test.cluster || cache != test.cache {
			t.Errorf("%s: %v %q %q %d, single %t, cache %q", test.url, options.InitAddress, options.Username, options.Password,
				options.SelectDB, options.ForceSingleClient, cache)
		}
		secure := options.TLSConfig != nil
		if secure != test.secure {
			t.Errorf("%s: TLS is %t", test.url, secure)
		}
		// Without a server name, each connection verifies the name of the server that it was made for.
		if secure && (options.TLSConfig.ServerName != "" || options.TLSConfig.InsecureSkipVerify || options.TLSConfig.MinVersion < tls.VersionTLS12) {
			t.Errorf("%s: server name %q, verification skipped %t, TLS from %x on", test.url,
				options.TLSConfig.ServerName, options.TLSConfig.InsecureSkipVerify, options.TLSConfig.MinVersion)
		}
	}
}

func TestMalformedURL(t *testing.T) {
	for url, want := range map[string]string{
		"":                                      "must begin with",
		"hunter2":                               "must begin with",
		"http://:hunter2@cache":                 "must begin with",
		"unix:///hunter2":                       "must begin with",
		"redis:cache:hunter2":                   "is not a URL",
		"redis://:hunter2@":                     "host",
		"redis://:hunter2@cache:":               "host",
		"redis://:hunter2@cache:0":              "port",
		"redis://:hunter2@cache:65536":          "port",
		"redis://:hun ter2@ca che":              "is not a URL",
		"redis://:hunter2%zz@cache":             "is not a URL",
		"redis://:hunter2@cache:port":           "is not a URL",
		"redis://hunter2@cache":                 "without a password",
		"redis://app:@cache":                    "without a password",
		"redis://:hunter2@cache/x":              "database",
		"redis://:hunter2@cache/-1":             "database",
		"redis://:hunter2@cache/01":             "database",
		"redis://:hunter2@cache/0/1":            "database",
		"redis://:hunter2@cache/99999999999":    "database",
		"rediss://:hunter2@cache?skip_verify=1": "parameters",
		"redis://:hunter2@cache#x":              "fragment",

		"redis://:hunter2@cache?cluster=true&cluster=true":                     "each once",
		"redis://:hunter2@cache?cluster=%zz":                                   "parameters",
		"redis://:hunter2@cache?cluster=yes":                                   "true or false",
		"redis://:hunter2@cache/1?cluster=true":                                "database other than 0",
		"redis://:hunter2@cache?cache=c":                                       "with iam=true",
		"redis://:hunter2@cache?serverless=true":                               "with iam=true",
		"redis://app@cache?iam=true&cache=c&region=eu-central-1":               "must use TLS",
		"rediss://cache?iam=true&cache=hunter2&region=eu-central-1":            "have a user",
		"rediss://app:hunter2@cache?iam=true&cache=c&region=eu-central-1":      "without a password",
		"rediss://app@cache?iam=true&region=eu-central-1":                      "name cache and region",
		"rediss://app@cache?iam=true&cache=c":                                  "name cache and region",
		"rediss://app@cache?iam=true&cache=Hunter2&region=eu-central-1":        "lower-case letters, digits and hyphens as cache",
		"rediss://app@cache?iam=true&cache=c&region=eu-central-1/hunter2":      "lower-case letters, digits and hyphens as region",
		"rediss://app@cache?iam=true&cache=c%26User%3Dx&region=eu-central-1":   "as cache",
		"rediss://app@cache?iam=true&serverless=1&cache=c&region=eu-central-1": "true or false",
	} {
		err := valkey.CheckURL(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
			continue
		}
		if text := strings.ToLower(err.Error()); strings.Contains(text, "hunter") || strings.Contains(text, "ter2") {
			t.Errorf("%s: the password is in %q", url, err)
		}
	}
}
