package app_test

import (
	"net/http"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// TestVerifyIsForGatewaysOnly, through the whole service: a script of the app
// gets no token, a gateway with the secret the one that the API gets, and the
// admin listener has nothing of it.
func TestVerifyIsForGatewaysOnly(t *testing.T) {
	const verifySecret = "planted-verify-secret-value"
	// The double's tokens have cognito:groups, which means nothing at other providers.
	for kind, groups := range map[string]string{"cognito": "readers,writers", "oidc": ""} {
		t.Run(kind, func(t *testing.T) {
			pool := cognitotest.Options{OpenID: kind == "oidc", CallbackURLs: []string{publicURL + "/auth/callback"}, LogoutURLs: []string{publicURL + "/"}}
			s := &service{tb: t, pool: cognitotest.New(t, pool), api: newAPI(t), log: &testkit.Log{}, kind: kind}
			s.run(s.pool.Issuer(), "auth: {verify_secret: "+verifySecret+"}")
			ua := s.login()
			ua.Fetch(http.MethodGet, "/api/me", "")
			tokens := s.api.seen()
			want := tokens[len(tokens)-1]

			script := ua.Fetch(http.MethodGet, "/auth/verify", "")
			if script.Status != http.StatusNotFound || script.Header.Get("Authorization") != "" || strings.Contains(string(script.Body), want) {
				t.Errorf("a script gets %d %v", script.Status, script.Header)
			}
			gateway := ua.Fetch(http.MethodGet, "/auth/verify?scope=openid", "", useragent.FetchOptions{Header: map[string]string{"X-Auth-Request-Secret": verifySecret}})
			if gateway.Status != http.StatusNoContent || gateway.Header.Get("Authorization") != "Bearer "+want || gateway.Header.Get("X-Auth-Groups") != groups {
				t.Errorf("a gateway gets %d %v", gateway.Status, gateway.Header)
			}
			if status, _ := s.admin("/auth/verify"); status != http.StatusNotFound {
				t.Errorf("the admin listener answers %d", status)
			}
			// Sent to an API by a careless gateway, the secret ends here.
			ua.Fetch(http.MethodGet, "/api/me", "", useragent.FetchOptions{Header: map[string]string{"X-Auth-Request-Secret": verifySecret}})
			if headers := s.api.last(); headers == nil || headers["X-Auth-Request-Secret"] != nil {
				t.Errorf("the API got %v", headers)
			}
			if s.log.Contains(verifySecret) || s.log.Contains(want) {
				t.Error("the log holds a secret")
			}
		})
	}
}
