package session

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the counters of this package.
type Metrics struct {
	// Opened counts session cookies by what became of them.
	Opened *prometheus.CounterVec
	// OpenedByKey counts opened cookies by the id of the key that sealed them.
	OpenedByKey *prometheus.CounterVec
	// CookieBytes is the size of session cookies written, names included.
	CookieBytes prometheus.Histogram
	// TooLarge counts sessions that did not fit the cookie budget.
	TooLarge prometheus.Counter
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
		OpenedByKey: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_session_opens_by_key_total",
			Help: "Session cookies opened, by the id of the key that sealed them. A key whose count stands still may go.",
		}, []string{"key_id"}),
		CookieBytes: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "tokenhandler_session_cookie_bytes",
			Help:    "Size of the session cookies written, names included.",
			Buckets: []float64{1500, 2000, 2500, 3000, 3500, 3800, 4500, 5500, 6500, 7500},
		}),
		TooLarge: f.NewCounter(prometheus.CounterOpts{
			Name: "tokenhandler_session_too_large_total",
			Help: "Sessions that did not fit the cookie budget and were not written.",
		}),
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
