package app_test

import (
	"net/http"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
)

// TestKeysInPaths: a key may hold what no path to an API may, and the storage itself
// refuses what leaves the user's folder. Nothing else escapes the check of paths.
func TestKeysInPaths(t *testing.T) {
	t.Parallel()
	s := start(t, cognitotest.Options{})
	ua := s.login()
	const reached = `"redirect" must be true or false` // the storage's own answer: the key is good
	for path, detail := range map[string]string{
		"/storage/objects/a%252e%252e":            reached,
		"/storage/objects/100%2541":               reached,
		"/storage/objects/a%2Fb":                  reached,
		"/storage/objects/%3Bx/..%3By":            reached,
		"/storage/objects/%C3%A4%20b":             reached,
		"/storage/objects/..%2fother":             `"key" holds an empty, "." or ".." segment`,
		"/storage/objects/a%5c..%5cb":             `"key" holds a backslash`,
		"/storage/objects/a%2f%2fb":               `"key" holds an empty, "." or ".." segment`,
		"/storage/objects/a%00":                   `"key" holds a control character`,
		"/storage/objects/%ff":                    `"key" is not valid UTF-8`,
		"/storage/objects/x/..%2f..%2f..%2fauth/": `"key" begins or ends with a slash`,
		"/storage/objects%2fa":                    "the path holds an encoded slash, backslash, dot or percent sign",
		"/storage/multipart/a%252e":               "the path holds an encoded slash, backslash, dot or percent sign",
		"/storage//objects/a":                     "the path holds an empty or dot segment",
		"/api/100%2541":                           "the path holds an encoded slash, backslash, dot or percent sign",
	} {
		r := ua.Fetch(http.MethodGet, path+"?redirect=x", "")
		if r.Status != http.StatusBadRequest || !strings.Contains(strings.ReplaceAll(string(r.Body), `\"`, `"`), detail) {
			t.Errorf("%s: %d %s, want %s", path, r.Status, r.Body, detail)
		}
	}
}
