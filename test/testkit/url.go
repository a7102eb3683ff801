package testkit

import (
	"net/url"
	"testing"
)

// MustURL parses raw, and fails the test if that is no URL.
func MustURL(tb testing.TB, raw string) *url.URL {
	tb.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}
