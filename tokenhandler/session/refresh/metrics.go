package refresh

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the counters of this package.
type Metrics struct {
	// Opened counts session cookies by what became of them.
	Opened *prometheus.CounterVec
	// Refreshes counts calls to the provider by outcome.
	Refreshes *prometheus.CounterVec
	// RefreshSeconds is how long the calls took.
	RefreshSeconds prometheus.Histogram
	// Coalesced counts requests that found a refresh under way.
	Coalesced prometheus.Counter
	// Superseded counts requests with an old cookie that were served the
	// newer generation.
	Superseded prometheus.Counter
	// Unshared counts refreshes that could not be agreed with other replicas.
	Unshared prometheus.Counter
}

// NewMetrics registers the counters with reg; nil leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		Opened: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_session_opens_total",
			Help: "Session cookies looked at, by outcome: ok, unreadable, idle, expired, revoked, too_large, uncertain.",
		}, []string{"outcome"}),
		Refreshes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_refreshes_total",
			Help: "Refresh calls to the provider, by outcome: ok, rotated, rejected, unavailable, error.",
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
}
