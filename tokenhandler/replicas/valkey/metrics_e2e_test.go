//go:build e2e

package valkey_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/replicas/valkey"
	"cognito-token-handler/tokenhandler/secret"
)

func TestMetricsOfOutageAndLoss(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	metrics := valkey.NewMetrics(prometheus.NewPedanticRegistry())
	local := memory.New(time.Now)
	store, err := valkey.New(valkey.Config{
		URL: secret.New(server.URL()), Local: local, Now: time.Now, Metrics: metrics,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { store.Run(ctx) })
	r := &replica{Store: store, local: local, stop: func() { cancel(); work.Wait() }}
	t.Cleanup(r.stop)
	reads := func(what string, metric prometheus.Collector, want float64) {
		t.Helper()
		eventually(t, what, func() bool { return testutil.ToFloat64(metric) == want })
	}
	reads("it is up", metrics.Up, 1)
	claim(t, r, 1)                                   // waits until the new store has settled
	if testutil.ToFloat64(metrics.LeaseWaits) == 0 { // on a busy machine it was made again
		t.Error("the claim that waited is not counted")
	}
	server.Stop()
	reads("it is down", metrics.Up, 0)
	eventually(t, "calls fail at once", func() bool {
		_ = r.Release(t.Context(), id, "lease")
		return testutil.ToFloat64(metrics.Operations.WithLabelValues("release", "down")) > 0
	})
	revoke(t, r, subject("user"))
	reads("one is pending", metrics.Pending, 1)
	reads("one is denied", metrics.Entries, 1)
	reads("nothing is lost yet", metrics.Losses, 0)
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	reads("it is up again", metrics.Up, 1)
	reads("none is pending", metrics.Pending, 0)
	reads("it was restarted", metrics.Losses, 1)
	if testutil.ToFloat64(metrics.Operations.WithLabelValues("revoke", "ok")) == 0 || testutil.CollectAndCount(metrics.Seconds) == 0 {
		t.Error("operations are not counted")
	}
}
