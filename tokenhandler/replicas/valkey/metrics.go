package valkey

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the metrics of this package.
type Metrics struct {
	// Up is 1 while the store is reachable and accepts writes.
	Up prometheus.Gauge
	// Operations counts calls by operation and outcome.
	Operations *prometheus.CounterVec
	// Seconds is the duration of calls, by operation.
	Seconds *prometheus.HistogramVec
	// LeaseWaits counts refreshes that had to wait for the lease of another replica, or
	// because the store was new.
	LeaseWaits prometheus.Counter
	// Losses counts how often the store had lost its data.
	Losses prometheus.Counter
	// Pending is the number of revocations that are not yet written to the store.
	Pending prometheus.Gauge
	// Entries is the size of this process's deny list.
	Entries prometheus.Gauge
}

// NewMetrics registers the metrics with reg. If reg is nil they are not registered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		Up: f.NewGauge(prometheus.GaugeOpts{
			Name: "tokenhandler_store_up",
			Help: "1 while the shared store is reached and takes writes, else 0.",
		}),
		Operations: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_store_operations_total",
			Help: "Operations on the shared store, by operation (claim, publish, release, restore, revoke, follow, beat, read_map, change_map) and outcome (ok, down, timeout, unreachable, refused, canceled).",
		}, []string{"operation", "outcome"}),
		Seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tokenhandler_store_operation_duration_seconds",
			Help:    "Duration of operations on the shared store, by operation, without those that failed at once because it is down.",
			Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25},
		}, []string{"operation"}),
		LeaseWaits: f.NewCounter(prometheus.CounterOpts{
			Name: "tokenhandler_store_lease_waits_total",
			Help: "Refreshes that waited for another replica's, or for a new store to settle.",
		}),
		Losses: f.NewCounter(prometheus.CounterOpts{
			Name: "tokenhandler_store_losses_total",
			Help: "Times that the shared store was found restarted, replaced or emptied.",
		}),
		Pending: f.NewGauge(prometheus.GaugeOpts{
			Name: "tokenhandler_store_pending_revocations",
			Help: "Revocations that the shared store does not have yet.",
		}),
		Entries: f.NewGauge(prometheus.GaugeOpts{
			Name: "tokenhandler_store_deny_entries",
			Help: "Entries of this replica's deny list.",
		}),
	}
	// Every series exists from the start, at 0: a counter that appears with its first event
	// has no increase that rate() could see.
	for _, operation := range []string{"claim", "publish", "release", "restore", "revoke", "follow", "beat", "leave", "read_map", "change_map"} {
		for _, outcome := range []string{"ok", "down", "timeout", "unreachable", "refused", "canceled"} {
			m.Operations.WithLabelValues(operation, outcome)
		}
		m.Seconds.WithLabelValues(operation)
	}
	return m
}
