package valkey_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"cognito-token-handler/tokenhandler/replicas/valkey"
)

func TestURL(t *testing.T) {
	for _, test := range []struct {
		url, address, user, password string
		database                     int
		secure                       bool
	}{
		{url: "redis://cache", address: "cache:6379"},
		{url: "valkey://cache/", address: "cache:6379"},
		{url: "redis://127.0.0.1:7000/3", address: "127.0.0.1:7000", database: 3},
		{url: "redis://[::1]:7000/0", address: "[::1]:7000"},
		{url: "redis://[::1]", address: "[::1]:6379"},
		{url: "redis://:pw@cache", address: "cache:6379", password: "pw"},
		{url: "valkeys://app:p%40%2Fw@cache:6380/15", address: "cache:6380", user: "app", password: "p@/w", database: 15, secure: true},
		{url: "rediss://cache.example.com", address: "cache.example.com:6379", secure: true},
	} {
		options, err := valkey.Parse(test.url)
		if err != nil {
			t.Errorf("%s: %v", test.url, err)
			continue
		}
		if options.InitAddress[0] != test.address || options.Username != test.user ||
			options.Password != test.password || options.SelectDB != test.database {
			t.Errorf("%s: %v %q %q %d", test.url, options.InitAddress, options.Username, options.Password, options.SelectDB)
		}
		if (options.TLSConfig != nil) != test.secure {
			t.Errorf("%s: TLS = %v", test.url, options.TLSConfig)
		}
		host, _, _ := net.SplitHostPort(test.address)
		if test.secure && (options.TLSConfig.ServerName != host || options.TLSConfig.InsecureSkipVerify ||
			options.TLSConfig.MinVersion < tls.VersionTLS12) {
			t.Errorf("%s: TLS = %+v", test.url, options.TLSConfig)
		}
	}
}

func TestMalformedURL(t *testing.T) {
	for url, want := range map[string]string{
		"":                                      "must begin with",
		"hunter2":                               "must begin with",
		"http://:hunter2@cache":                 "must begin with",
		"unix:///hunter2":                       "must begin with",
		"redis:cache:hunter2":                   "malformed",
		"redis://:hunter2@":                     "host",
		"redis://:hunter2@cache:":               "host",
		"redis://:hunter2@cache:0":              "port",
		"redis://:hunter2@cache:65536":          "port",
		"redis://:hun ter2@ca che":              "malformed",
		"redis://:hunter2%zz@cache":             "malformed",
		"redis://:hunter2@cache:port":           "malformed",
		"redis://hunter2@cache":                 "without a password",
		"redis://app:@cache":                    "without a password",
		"redis://:hunter2@cache/x":              "database",
		"redis://:hunter2@cache/-1":             "database",
		"redis://:hunter2@cache/01":             "database",
		"redis://:hunter2@cache/0/1":            "database",
		"redis://:hunter2@cache/99999999999":    "database",
		"rediss://:hunter2@cache?skip_verify=1": "query",
		"redis://:hunter2@cache#x":              "query",
	} {
		_, err := valkey.Parse(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
			continue
		}
		if strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%s: the password is in %q", url, err)
		}
	}
}
