package audit

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the metrics of this package.
type Metrics struct {
	// Events counts events that were queued, by name.
	Events *prometheus.CounterVec
	// Dropped counts events that were not recorded.
	Dropped prometheus.Counter
	// Up is 1 while the output takes records.
	Up prometheus.Gauge
}

// NewMetrics registers the metrics with reg; nil leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		Events: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_audit_events_total",
			Help: "Events for the audit trail by event: login, login_failed, logout, session_ended, refresh_refused, revoked, revocation_lifted, admin_denied, rate_limited, presigned, copied, deleted, keys_reloaded, config_loaded.",
		}, []string{"event"}),
		Dropped: f.NewCounter(prometheus.CounterOpts{
			Name: "tokenhandler_audit_dropped_total",
			Help: "Events that were not recorded, because the audit trail could not be written. Those are included that were refused for that.",
		}),
		Up: f.NewGauge(prometheus.GaugeOpts{
			Name: "tokenhandler_audit_up",
			Help: "1 while the audit trail can be written, else 0; 0 with audit.output: off, too.",
		}),
	}
	for _, name := range Names() {
		m.Events.WithLabelValues(name)
	}
	return m
}
