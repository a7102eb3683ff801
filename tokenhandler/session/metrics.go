package session

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"cognito-token-handler/tokenhandler/seal"
)

// Metrics are the metrics of a [Store].
type Metrics struct {
	// OpenedByKey counts opened session cookies by the id of the key that sealed them.
	OpenedByKey *prometheus.CounterVec
	// CookieBytes is the size of session cookies that were sealed, names included.
	CookieBytes prometheus.Histogram
	// TooLarge counts sessions that did not fit the cookie budget.
	TooLarge prometheus.Counter
	// NearlyTooLarge counts sessions that took more than 90 % of the cookie budget.
	NearlyTooLarge prometheus.Counter

	// last is the counter of the key that opened last: every request needs it.
	last atomic.Pointer[keyCounter]
}

// keyCounter is one counter of [Metrics.OpenedByKey].
type keyCounter struct {
	key     seal.KeyID
	counter prometheus.Counter
}

// NewMetrics registers the metrics with reg; nil leaves them unregistered.
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
		NearlyTooLarge: f.NewCounter(prometheus.CounterOpts{
			Name: "tokenhandler_session_nearly_too_large_total",
			Help: "Sessions that took more than 90 % of the cookie budget when they were written, at the login and after each refresh.",
		}),
	}
}

// opened counts a session cookie that this key has opened.
func (m *Metrics) opened(key seal.KeyID) {
	last := m.last.Load()
	if last == nil || last.key != key {
		last = &keyCounter{key: key, counter: m.OpenedByKey.WithLabelValues(key.String())}
		m.last.Store(last)
	}
	last.counter.Inc()
}
