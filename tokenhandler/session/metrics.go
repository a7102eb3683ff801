package session

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the counters of this package.
type Metrics struct {
	// OpenedByKey counts opened cookies by the id of the key that sealed them.
	OpenedByKey *prometheus.CounterVec
	// CookieBytes is the size of session cookies written, names included.
	CookieBytes prometheus.Histogram
	// TooLarge counts sessions that did not fit the cookie budget.
	TooLarge prometheus.Counter
}

// NewMetrics registers the counters with reg; nil leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
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
	}
}
