package app_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

const gateways = "../../config/examples/gateways/"

// TestGatewayExamplesNameWhatThereIs: the YAML of the examples can be parsed, and the
// service has every path, header and cookie that an example names. (Package test/gateway
// runs the examples for nginx and Caddy.)
func TestGatewayExamplesNameWhatThereIs(t *testing.T) {
	const verifySecret = "planted-verify-secret-value"
	s := start(t, cognitotest.Options{AccessTTL: time.Second, AccessTokenSize: 3300}, "auth: {verify_secret: "+verifySecret+"}")
	ua := s.login()
	options := useragent.FetchOptions{Header: map[string]string{"X-Auth-Request-Secret": verifySecret}}
	known := []string{"x-auth-request-secret"}
	// ask waits for one of the statuses: with tokens that live a second, a refreshed one
	// may have expired on a busy machine, which is a 503.
	ask := func(path string, statuses ...int) {
		t.Helper()
		testkit.Eventually(s.tb, path+" answered", func() bool {
			answer := ua.Fetch(http.MethodGet, path, "", options)
			for name := range answer.Header {
				known = append(known, strings.ToLower(name))
			}
			return slices.Contains(statuses, answer.Status)
		})
	}
	var cookies []string // by the names that they have in production
	for _, c := range ua.Cookies() {
		cookies = append(cookies, "__Host-Http-"+strings.Replace(c.Name, "-8080", "", 1))
	}
	if len(cookies) < 3 {
		t.Fatalf("only %v", cookies)
	}
	// Once the token has ended, an answer has new cookies.
	testkit.Eventually(s.tb, "refreshed", func() bool {
		answer := ua.Fetch(http.MethodGet, "/auth/verify?cookies=numbered", "", options)
		for name := range answer.Header {
			known = append(known, strings.ToLower(name))
		}
		return answer.Header.Get("X-Auth-Cookie-2") != ""
	})
	known = append(known, "x-auth-cookie-3") // of a dead session that took two cookies
	ask("/auth/verify?scope=none", http.StatusForbidden)

	for name, want := range map[string]string{
		"nginx.conf":   "/auth/verify?cookies=numbered",
		"Caddyfile":    "/auth/verify?",
		"traefik.yaml": "/auth/verify",
		"envoy.yaml":   "/auth/verify/envoy",
	} {
		example := read(t, gateways+name)
		if strings.HasSuffix(name, ".yaml") {
			var content map[string]any
			if err := yaml.Unmarshal([]byte(example), &content); err != nil || len(content) == 0 {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !strings.Contains(example, want) {
			t.Errorf("%s does not ask %s", name, want)
		}
		ask(want, http.StatusNoContent, http.StatusOK)
		headers := regexp.MustCompile(`(?i)x[-_]auth[-_][a-z0-9_-]*[a-z0-9]`).FindAllString(example, -1)
		for _, header := range headers {
			if !slices.Contains(known, strings.ToLower(strings.ReplaceAll(header, "_", "-"))) {
				t.Errorf("%s names %s, which there is not", name, header)
			}
		}
		for _, cookie := range regexp.MustCompile(`__Host-[A-Za-z0-9.-]*[A-Za-z0-9]`).FindAllString(example, -1) {
			if !slices.Contains(cookies, cookie) {
				t.Errorf("%s names %s, which there is not", name, cookie)
			}
		}
		for _, must := range []string{"X-Auth-Request-Secret", "X-Auth-Subject", "X-Auth-Groups", "Authorization", "Sec-Fetch-Site", "Origin", "Cookie", "Cache-Control", "127.0.0.1:8080"} {
			if !strings.Contains(strings.ToLower(strings.ReplaceAll(example, ", port_value: ", ":")), strings.ToLower(must)) {
				t.Errorf("%s does not name %s", name, must)
			}
		}
		if len(headers) < 4 {
			t.Errorf("%s names %v only", name, headers)
		}
	}
}
