package storage

import (
	"github.com/prometheus/client_golang/prometheus"

	"cognito-token-handler/tokenhandler/web"
)

// The operations that are counted.
const opUpload = "upload"

type metrics struct {
	presigns *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{presigns: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tokenhandler_storage_presigns_total",
		Help: "Requests for a presigned URL, by operation and by outcome: ok, or the code of the problem that was answered.",
	}, []string{"operation", "outcome"})}
	m.presigns.WithLabelValues(opUpload, "ok") // so that the series is there before the first request
	if registry == nil {
		return m, nil
	}
	return m, registry.Register(m.presigns)
}

func (m *metrics) count(operation string, err error) {
	outcome := "ok"
	if err != nil {
		outcome = string(web.AsProblem(err).Code)
	}
	m.presigns.WithLabelValues(operation, outcome).Inc()
}
