package usercredentials

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// The outcomes of a call in metrics.
const (
	outcomeOK          = "ok"
	outcomeRefused     = "refused"
	outcomeRateLimited = "rate_limited"
	outcomeTimeout     = "timeout"
	outcomeUnavailable = "unavailable"
)

// Metrics are the metrics of this package.
type Metrics struct {
	// Issued counts the calls for a user's credentials, by kind and outcome. Cached ones
	// need no call.
	Issued *prometheus.CounterVec
}

// NewMetrics registers the metrics with reg; nil leaves them unregistered. Every series
// exists from the start.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{Issued: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "tokenhandler_storage_credentials_issued_total",
		Help: "Calls for the AWS credentials of one user, by storage.credentials and by outcome: ok, refused, rate_limited, timeout or unavailable.",
	}, []string{"kind", "outcome"})}
	for _, kind := range Kinds() {
		for _, outcome := range []string{outcomeOK, outcomeRefused, outcomeRateLimited, outcomeTimeout, outcomeUnavailable} {
			m.Issued.WithLabelValues(kind, outcome)
		}
	}
	return m
}
