package cognito

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"cognito-token-handler/tokenhandler/provider"
)

// Metrics are the counters of this package.
type Metrics struct {
	// Requests counts calls by endpoint and outcome.
	Requests *prometheus.CounterVec
	// Unreachable counts the calls without an answer, by cause.
	Unreachable *prometheus.CounterVec
	// Seconds is the duration of calls.
	Seconds *prometheus.HistogramVec
	// Waiting is the number of calls that wait for their turn.
	Waiting prometheus.Gauge
	// WaitSeconds is the time for which calls waited before they were sent.
	WaitSeconds prometheus.Histogram
	// Shed counts, by endpoint, the calls that were not sent because their turn would
	// have come too late.
	Shed *prometheus.CounterVec
	// Discarded counts refresh tokens that were issued and given to nobody.
	Discarded *prometheus.CounterVec
}

// NewMetrics registers the counters with reg; nil leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		Unreachable: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_provider_unreachable_total",
			Help: "Calls to the provider without an answer, by cause (dns, refused, timeout, reset, tls_unknown_authority, tls_expired, tls_name, tls_other, other).",
		}, []string{"cause"}),
		Requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_provider_requests_total",
			Help: "Calls to the provider, by endpoint (discovery, jwks, token, revocation, userinfo, global_sign_out) and outcome (ok, refused, rate_limited, server_error, unreachable).",
		}, []string{"endpoint", "outcome"}),
		Seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tokenhandler_provider_request_duration_seconds",
			Help:    "Duration of calls to the provider, by endpoint.",
			Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, []string{"endpoint"}),
		Waiting: f.NewGauge(prometheus.GaugeOpts{
			Name: "tokenhandler_provider_waiting",
			Help: "Calls to the provider that wait for their turn under provider.max_requests_per_second, or for a pause that the provider asked for.",
		}),
		WaitSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "tokenhandler_provider_wait_seconds",
			Help:    "How long calls to the provider waited for their turn.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}),
		Shed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_provider_shed_total",
			Help: "Calls to the provider that were not sent, because their turn would have come too late, by endpoint.",
		}, []string{"endpoint"}),
		Discarded: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_provider_discarded_tokens_total",
			Help: "Refresh tokens that were issued and given to nobody (invalid answer, browser left, session ended meanwhile), by the outcome of their revocation: revoked, failed, unsupported (the provider has no revocation endpoint).",
		}, []string{"outcome"}),
	}
	m.begin()
	return m
}

// begin makes every series exist, at 0: a counter that appears with its first event has
// no increase that rate() could see.
func (m *Metrics) begin() {
	for _, endpoint := range []string{endpointDiscovery, endpointJWKS, endpointToken, endpointRevocation, endpointUserinfo, endpointSignOut} {
		for _, outcome := range []string{outcomeOK, outcomeRefused, outcomeRateLimited, outcomeServerError, outcomeUnreachable} {
			m.Requests.WithLabelValues(endpoint, outcome)
		}
		m.Seconds.WithLabelValues(endpoint)
		if (call{endpoint: endpoint}).limited() {
			m.Shed.WithLabelValues(endpoint)
		}
	}
	m.Discarded.WithLabelValues("revoked")
	m.Discarded.WithLabelValues("failed")
	m.Discarded.WithLabelValues("unsupported")
	for _, cause := range provider.Causes() {
		m.Unreachable.WithLabelValues(string(cause))
	}
}
