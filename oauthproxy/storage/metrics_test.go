package storage_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler/web"
)

func TestMetricsCountEveryOutcome(t *testing.T) {
	registry := prometheus.NewRegistry()
	cfg := goodConfig(t)
	cfg.Metrics = storage.NewMetrics(registry)
	auth := &authority{subject: subject}
	h := mustNew(t, cfg, auth)
	const header = "# HELP tokenhandler_storage_presigns_total Requests for a presigned URL, by operation and by outcome: ok, or the code of the error.\n" +
		"# TYPE tokenhandler_storage_presigns_total counter\n"
	compare := func(want string) {
		t.Helper()
		if err := testutil.GatherAndCompare(registry, strings.NewReader(header+want)); err != nil {
			t.Error(err)
		}
	}
	compare(`tokenhandler_storage_presigns_total{operation="upload",outcome="ok"} 0` + "\n")

	for _, body := range []string{minimal, full, "{", `{"key":"a","content_type":"text/plain","size":99999999}`} {
		send(t, h, http.MethodPost, "/storage/uploads", "application/json", body)
	}
	auth.refusal = web.NewProblem(web.CodeSessionExpired, "", nil)
	send(t, h, http.MethodPost, "/storage/uploads", "application/json", minimal)
	send(t, h, http.MethodGet, "/storage/uploads", "", "") // does not ask for a URL
	compare(`tokenhandler_storage_presigns_total{operation="upload",outcome="invalid_request"} 1
tokenhandler_storage_presigns_total{operation="upload",outcome="ok"} 2
tokenhandler_storage_presigns_total{operation="upload",outcome="session_expired"} 1
tokenhandler_storage_presigns_total{operation="upload",outcome="too_large"} 1
`)
}
