package storage

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"cognito-token-handler/tokenhandler/web"
)

// outcomeOK is the outcome of a request that was not refused. Other outcomes are codes.
const outcomeOK = "ok"

// Metrics are the metrics of this package.
type Metrics struct {
	// Requests counts the answered requests of signed-in and other users, by operation
	// and by outcome (ok, or the code of the problem).
	Requests *prometheus.CounterVec
}

// NewMetrics registers the metrics with reg; nil leaves them unregistered. Every series
// exists from the start, so that the first error is an increase.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{Requests: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "tokenhandler_storage_requests_total",
		Help: "Requests to the storage endpoints, by operation and by outcome: ok, or the code of the error.",
	}, []string{"operation", "outcome"})}
	for _, operation := range []string{
		opUpload, opList, opGet, opHead, opDelete, opDeleteFolder, opCopy,
		opCreateParts, opSignParts, opListParts, opComplete, opAbort, opUsage,
	} {
		m.Requests.WithLabelValues(operation, outcomeOK)
		for _, code := range web.Codes() {
			m.Requests.WithLabelValues(operation, string(code))
		}
	}
	return m
}

func (m *Metrics) count(operation string, err error) {
	outcome := outcomeOK
	if err != nil {
		outcome = string(web.AsProblem(err).Code)
	}
	m.Requests.WithLabelValues(operation, outcome).Inc()
}
