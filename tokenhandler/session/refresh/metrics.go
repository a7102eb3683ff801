package refresh

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the metrics of this package.
type Metrics struct {
	// Opened counts the requests with a session cookie, by outcome of [Manager.Open].
	Opened *prometheus.CounterVec
	// Refreshes counts refreshes by outcome.
	Refreshes *prometheus.CounterVec
	// RefreshSeconds is the duration of the calls to the provider.
	RefreshSeconds prometheus.Histogram
	// Coalesced counts requests that waited for, or relied on, a refresh that another
	// request had started.
	Coalesced prometheus.Counter
	// Superseded counts requests with an older cookie that got a newer generation.
	Superseded prometheus.Counter
	// Unshared counts refreshes without a lease, because the store was not reached.
	Unshared prometheus.Counter
}

// NewMetrics makes the metrics and registers them with reg, which may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		Opened: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_session_opens_total",
			Help: "Session cookies looked at, by outcome: ok, unreadable, unknown_key, idle, expired, revoked, too_large, uncertain.",
		}, []string{"outcome"}),
		Refreshes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_refreshes_total",
			Help: "Refresh calls to the provider, by outcome: ok, rotated, rejected (invalid_grant), refused (another OAuth error), unavailable, error, store_unavailable (no call: the store is out), not_allowed (no call: the audit trail cannot be written).",
		}, []string{"outcome"}),
		RefreshSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "tokenhandler_refresh_duration_seconds",
			Help:    "Duration of refresh calls to the provider.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}),
		Coalesced: f.NewCounter(prometheus.CounterOpts{
			Name: "tokenhandler_refreshes_coalesced_total",
			Help: "Requests that found a refresh of their session under way and started none.",
		}),
		Superseded: f.NewCounter(prometheus.CounterOpts{
			Name: "tokenhandler_session_superseded_total",
			Help: "Requests with an older cookie that were served the session's newer tokens.",
		}),
		Unshared: f.NewCounter(prometheus.CounterOpts{
			Name: "tokenhandler_refreshes_unshared_total",
			Help: "Refreshes made without asking the other replicas, because the shared store was not reached.",
		}),
	}
	// Every counter exists from the start, at 0: one that appears with its first event has
	// no increase that rate() could see.
	for _, outcome := range []string{"ok", "unreadable", "unknown_key", "idle", "expired", "revoked", "too_large", "uncertain"} {
		m.Opened.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"ok", "rotated", "rejected", "refused", "unavailable", "error", "store_unavailable", "not_allowed"} {
		m.Refreshes.WithLabelValues(outcome)
	}
	return m
}
