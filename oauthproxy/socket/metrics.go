package socket

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are the metrics of this package. Routes are labelled by their configured
// prefix, so the number of series is bounded.
type Metrics struct {
	// Open is the number of open WebSockets, by route.
	Open *prometheus.GaugeVec
	// Bytes counts the bytes that passed through WebSockets, by route and direction.
	Bytes *prometheus.CounterVec
}

// NewMetrics registers the metrics with reg; nil leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		Open: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tokenhandler_proxy_sockets",
			Help: "Open WebSockets, by route.",
		}, []string{"route"}),
		Bytes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_proxy_socket_bytes_total",
			Help: "Bytes that passed through WebSockets, framing included, by route and direction: to_upstream, to_client.",
		}, []string{"route", "direction"}),
	}
}

// Begin makes the series of a route exist, at 0.
func (m *Metrics) Begin(route string) {
	m.Open.WithLabelValues(route)
	m.Bytes.WithLabelValues(route, toClient)
	m.Bytes.WithLabelValues(route, toUpstream)
}

// The directions of [Metrics.Bytes].
const toClient, toUpstream = "to_client", "to_upstream"
