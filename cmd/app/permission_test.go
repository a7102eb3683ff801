package app_test

import (
	"net/http"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
)

// TestRoutesAskForScopesAndGroups through the whole service: the user is in the
// groups readers and writers, the token has the scopes that were asked for.
func TestRoutesAskForScopesAndGroups(t *testing.T) {
	s := &service{tb: t, api: newAPI(t), log: &testkit.Log{}, pool: cognitotest.New(t, cognitotest.Options{
		CallbackURLs: []string{publicURL + "/auth/callback"}, LogoutURLs: []string{publicURL + "/"}, Scopes: []string{"notes/read", "notes/write"},
	}), provider: ", scopes: [openid, notes/read]", routes: []string{
		"path: /read/, scopes: [openid, notes/read]",
		"path: /write/, scopes: [notes/read, notes/write]",
		"path: /staff/, groups: [staff, writers]",
		"path: /admin/, groups: [admins]",
		"path: /both/, token: none, scopes: [notes/read], groups: [readers]",
		"path: /not-both/, scopes: [notes/read], groups: [admins]",
	}}
	s.run(s.pool.Issuer())
	ua := s.login()
	for path, status := range map[string]int{
		"/read/": 200, "/write/": 403, "/staff/": 200, "/admin/": 403, "/both/": 200, "/not-both/": 403,
	} {
		answer := ua.Fetch(http.MethodGet, path, "")
		if answer.Status != status || status == http.StatusForbidden && !strings.Contains(string(answer.Body), `"code":"insufficient_scope"`) {
			t.Errorf("%s: %d %s", path, answer.Status, answer.Body)
		}
		// Without a session it is a 401, and tells nothing of what it would take.
		if answer := s.browser().Fetch(http.MethodGet, path, ""); answer.Status != http.StatusUnauthorized {
			t.Errorf("%s without a session: %d", path, answer.Status)
		}
	}
}
