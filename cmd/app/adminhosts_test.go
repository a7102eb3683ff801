package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cognito-token-handler/cmd/app"
)

// TestAdminAnswersOnlyToKnownHosts: a page on the internet that points its own name at
// the listener's address (DNS rebinding) must not read it with a browser inside.
func TestAdminAnswersOnlyToKnownHosts(t *testing.T) {
	cfg := parsed(t)
	cfg.Admin.Hosts, cfg.Admin.Listen = []string{"ops.example.com"}, "admin.example.net:9090"
	a, err := app.New(t.Context(), cfg, discard())
	if err != nil {
		t.Fatal(err)
	}
	for status, hosts := range map[int][]string{
		http.StatusOK: {
			"127.0.0.1:9090", "10.1.2.3", "[::1]:9090", "[fd00::1]", "localhost", "LOCALHOST:9090", "localhost.:9090", "tokenhandler", "tokenhandler:9090",
			"th.default.svc", "th.default.svc.cluster.local:9090", "ip-10-0-0-1.eu-central-1.compute.internal", "th.default.svc.cluster.local.",
			"ops.example.com", "OPS.example.com.:80", "admin.example.net:9090", "",
		},
		http.StatusMisdirectedRequest: {
			"evil.example", "evil.example:9090", "127.0.0.1.evil.example", "localhost.evil.example:9090", "svc.evil.example", "internal.example", "xinternal.com",
			"a.ops.example.com", "ops.example.com.evil.example", "th.svc.cluster.local.evil.example", "10.0.0.1.nip.io", "[::1].evil.example", "a.local",
			"th.evilsvc", "th.evilinternal", "th.svc.evilcluster.local", "admin.example.net.evil.example",
		},
	} {
		for _, host := range hosts {
			for _, target := range []string{"/metrics", "/healthz", "/admin/revocations", "/nothing"} {
				r := httptest.NewRequest(http.MethodGet, target, nil)
				r.Host = host
				rec := httptest.NewRecorder()
				app.Admin(a).ServeHTTP(rec, r)
				refused := rec.Code == http.StatusMisdirectedRequest
				if refused != (status == http.StatusMisdirectedRequest) {
					t.Errorf("%s %s: %d", host, target, rec.Code)
				}
				if body := rec.Body.String(); refused && (!strings.Contains(body, `"code":"misdirected_request"`) || strings.Contains(body, "evil")) {
					t.Errorf("%s %s: %s", host, target, body)
				}
			}
		}
	}
}
