package oauthproxy

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"cognito-token-handler/oauthproxy/socket"
)

// Metrics are the metrics of this package. Routes are labelled by their configured
// prefix, so the number of series is bounded.
type Metrics struct {
	// Requests counts responses by route and status: a known one, or its class.
	Requests *prometheus.CounterVec
	// Seconds is the time until the response's header, by route.
	Seconds *prometheus.HistogramVec
	// InFlight is the number of requests that are being forwarded, by route.
	InFlight *prometheus.GaugeVec
	// BodyBytes counts the bytes of bodies as they are copied, by route and direction.
	BodyBytes *prometheus.CounterVec
	// UpstreamErrors counts requests without a complete response, by route and kind.
	UpstreamErrors *prometheus.CounterVec
	// Retries counts requests whose token the upstream refused and that could be sent
	// again, by route and outcome.
	Retries *prometheus.CounterVec
	// Limited counts requests that were refused by [Limits], by route and kind.
	Limited *prometheus.CounterVec
	// Sockets are the metrics of WebSockets.
	Sockets *socket.Metrics
	// Ended counts requests and WebSockets that were ended because their session ended,
	// by route and kind.
	Ended *prometheus.CounterVec
}

// NewMetrics registers the counters with reg; nil leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	return &Metrics{
		Requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_proxy_requests_total",
			Help: "API requests forwarded, by route and status of the response: a common one, or its class (2xx, other).",
		}, []string{"route", "status"}),
		Seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tokenhandler_proxy_request_duration_seconds",
			Help:    "Time from forwarding an API request to the header of its response, by route.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
			// For scrapers that know native histograms, finer and cheaper.
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"route"}),
		InFlight: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tokenhandler_proxy_in_flight",
			Help: "API requests that are being forwarded, open WebSockets included, by route.",
		}, []string{"route"}),
		BodyBytes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_proxy_body_bytes_total",
			Help: "Bytes of the bodies of API requests and of their responses, by route and direction: to_upstream, to_client.",
		}, []string{"route", "direction"}),
		UpstreamErrors: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_proxy_upstream_errors_total",
			Help: "API requests without a complete response of the upstream, by route and kind: connect (no connection, or no TLS), timeout (that of the route), broken (the connection broke or the response was invalid), interrupted (the response's body broke off).",
		}, []string{"route", "kind"}),
		Retries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_proxy_retries_total",
			Help: "API requests whose token the upstream refused with 401, by route and outcome of the second attempt: ok, refused, failed, not_renewed (there was no other token).",
		}, []string{"route", "outcome"}),
		Limited: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_proxy_limited_total",
			Help: "API requests that were refused with 429 because their session had too much under way, by route and kind: request, stream (event streams and WebSockets).",
		}, []string{"route", "kind"}),
		Sockets: socket.NewMetrics(reg),
		Ended: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_proxy_ended_total",
			Help: "Requests that were ended because their session ended, by route and kind: socket (a WebSocket), request (a stream, an upload or any other long request).",
		}, []string{"route", "kind"}),
	}
}

// knownStatuses are the statuses with a time series of their own. Any other is counted under
// its class, because an upstream that varies its status would make hundreds for every route.
//
//nolint:gochecknoglobals // a constant list
var knownStatuses = []int{
	101, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 409, 410, 412, 413, 415, 416, 422, 425, 428, 429, 431,
	500, 501, 502, 503, 504,
}

// otherStatus is the label of a status that is in no class (RFC 9110 §15 has five).
const otherStatus = "other"

// statusCounters are a route's counters of responses.
type statusCounters struct {
	known   map[int]prometheus.Counter
	classes [6]prometheus.Counter // by the status' first digit; 0 is for otherStatus
}

// newStatusCounters returns counters that all exist, at 0.
func newStatusCounters(vec *prometheus.CounterVec) *statusCounters {
	s := &statusCounters{known: make(map[int]prometheus.Counter, len(knownStatuses))}
	for _, status := range knownStatuses {
		s.known[status] = vec.WithLabelValues(strconv.Itoa(status))
	}
	s.classes[0] = vec.WithLabelValues(otherStatus)
	for class := 1; class < len(s.classes); class++ {
		s.classes[class] = vec.WithLabelValues(strconv.Itoa(class) + "xx")
	}
	return s
}

func (s *statusCounters) with(status int) prometheus.Counter {
	if known, ok := s.known[status]; ok {
		return known
	}
	if class := status / 100; class > 0 && class < len(s.classes) {
		return s.classes[class]
	}
	return s.classes[0]
}

// The label values that the proxy counts under.
const (
	errorConnect, errorTimeout, errorBroken, errorInterrupted = "connect", "timeout", "broken", "interrupted"
	retryOK, retryRefused, retryFailed, retryNotRenewed       = "ok", "refused", "failed", "not_renewed"
	endedSocket, endedRequest                                 = "socket", "request"
	limitedRequest, limitedStream                             = "request", "stream"
)

// begin makes every counter of a route exist, so that the first event is an increase.
func (m *Metrics) begin(route string) {
	m.Sockets.Begin(route)
	for vec, values := range map[*prometheus.CounterVec][]string{
		m.UpstreamErrors: {errorConnect, errorTimeout, errorBroken, errorInterrupted},
		m.Retries:        {retryOK, retryRefused, retryFailed, retryNotRenewed},
		m.Ended:          {endedSocket, endedRequest},
		m.Limited:        {limitedRequest, limitedStream},
	} {
		for _, value := range values {
			vec.WithLabelValues(route, value)
		}
	}
}
