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
	registry := prometheus.NewRegistry()
	cfg := goodConfig(t)
	cfg.Metrics = storage.NewMetrics(registry)
	auth := &authority{subject: subject}
	h := mustNew(t, cfg, auth)
	// compare checks the values; all other outcomes must exist, at 0.
	compare := func(values map[string]float64) {
		t.Helper()
		for _, code := range append(web.Codes(), "ok") {
			counter := cfg.Metrics.Presigns.WithLabelValues("upload", string(code))
			if got := testutil.ToFloat64(counter); got != values[string(code)] {
				t.Errorf("%s was counted %v times, want %v", code, got, values[string(code)])
			}
		}
		if n := testutil.CollectAndCount(cfg.Metrics.Presigns); n != len(web.Codes())+1 {
			t.Errorf("there are %d outcomes", n)
		}
	}
	if n := testutil.CollectAndCount(cfg.Metrics.Presigns); n != len(web.Codes())+1 {
		t.Errorf("there are %d outcomes at the start", n)
	}

	for _, body := range []string{minimal, full, "{", `{"key":"a","content_type":"text/plain","size":99999999}`} {
		send(t, h, http.MethodPost, "/storage/uploads", "application/json", body)
	}
	auth.refusal = web.NewProblem(web.CodeSessionExpired, "", nil)
	send(t, h, http.MethodPost, "/storage/uploads", "application/json", minimal)
	send(t, h, http.MethodGet, "/storage/uploads", "", "") // does not ask for a URL
	compare(map[string]float64{"ok": 2, "invalid_request": 1, "session_expired": 1, "too_large": 1})
}
