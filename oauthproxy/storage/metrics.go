package storage

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"cognito-token-handler/tokenhandler/web"
)

// opUpload is the operation label of uploads.
const opUpload = "upload"

// Metrics are the metrics of this package.
type Metrics struct {
	// Presigns counts the answered requests for a presigned URL, by operation (upload)
	// and by outcome (ok, or the code of the problem).
	Presigns *prometheus.CounterVec
}

// NewMetrics registers the metrics with reg; nil leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{Presigns: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "tokenhandler_storage_presigns_total",
		Help: "Requests for a presigned URL, by operation and by outcome: ok, or the code of the error.",
	}, []string{"operation", "outcome"})}
	// Every counter exists from the start, at 0: one that appears with its first event has
	// no increase that rate() could see.
	m.Presigns.WithLabelValues(opUpload, "ok")
	for _, code := range web.Codes() {
		m.Presigns.WithLabelValues(opUpload, string(code))
	}
	return m
}

func (m *Metrics) count(operation string, err error) {
	outcome := "ok"
	if err != nil {
		outcome = string(web.AsProblem(err).Code)
	}
	m.Presigns.WithLabelValues(operation, outcome).Inc()
}
