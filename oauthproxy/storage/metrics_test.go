package storage_test

import (
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler/web"
)

func TestMetricsCountEveryOutcome(t *testing.T) {
	operationsAndOutcomes := 13 * (1 + len(web.Codes())) // ok and the codes
	cfg := goodConfig(t)
	cfg.Metrics = storage.NewMetrics(prometheus.NewRegistry())
	auth := &authority{subject: subject}
	h := mustNew(t, cfg, auth)
	if got := testutil.CollectAndCount(cfg.Metrics.Requests); got != operationsAndOutcomes {
		t.Errorf("%d series before the first request, want %d", got, operationsAndOutcomes)
	}

	for _, body := range []string{minimal, full, "{", `{"key":"a","content_type":"text/plain","size":99999999}`} {
		send(t, h, http.MethodPost, "/storage/uploads", "application/json", body)
	}
	auth.refusal = web.NewProblem(web.CodeSessionExpired, "", nil)
	send(t, h, http.MethodPost, "/storage/uploads", "application/json", minimal)
	send(t, h, http.MethodGet, "/storage/uploads", "", "") // refused before it is an operation
	send(t, h, http.MethodHead, "/storage/objects/a", "", "")
	for labels, want := range map[[2]string]float64{
		{"upload", "ok"}: 2, {"upload", "invalid_request"}: 1, {"upload", "session_expired"}: 1, {"upload", "too_large"}: 1,
		{"head", "session_expired"}: 1, {"get", "session_expired"}: 0,
	} {
		if got := testutil.ToFloat64(cfg.Metrics.Requests.WithLabelValues(labels[0], labels[1])); got != want {
			t.Errorf("%v: %v, want %v", labels, got, want)
		}
	}
	if got := testutil.CollectAndCount(cfg.Metrics.Requests); got != operationsAndOutcomes {
		t.Errorf("%d series in the end: one did not exist from the start", got)
	}
}
