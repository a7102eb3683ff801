package cognito

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the counters of this package.
type Metrics struct {
	// Requests counts calls by endpoint and outcome.
	Requests *prometheus.CounterVec
	// Seconds is how long calls took.
	Seconds *prometheus.HistogramVec
}

// NewMetrics registers the counters with reg; nil leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		Requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_provider_requests_total",
			Help: "Calls to the provider, by endpoint (discovery, jwks, token, revocation) and outcome (ok, refused, rate_limited, server_error, unreachable).",
		}, []string{"endpoint", "outcome"}),
		Seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tokenhandler_provider_request_duration_seconds",
			Help:    "Duration of calls to the provider, by endpoint.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, []string{"endpoint"}),
	}
}
