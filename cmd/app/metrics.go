package app

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"cognito-token-handler/tokenhandler/web"
)

// part is a part of the service, as metrics name it.
type part int

const (
	partAuth part = iota
	partStorage
	partAPI
	partSPA
	partNone // nothing is served at the path
	partAdmin
	partCount
)

// partMetrics counts all requests, those included that a part refused.
type partMetrics struct {
	requests [partCount][6]prometheus.Counter // by the first digit of the status; 0 is for none
	seconds  [partCount]prometheus.Observer
	limits   *prometheus.CounterVec
}

// newPartMetrics registers the metrics. Every series exists from the start, at 0.
func newPartMetrics(reg prometheus.Registerer) *partMetrics {
	f := promauto.With(reg)
	requests := f.NewCounterVec(prometheus.CounterOpts{
		Name: "tokenhandler_requests_total",
		Help: "Requests by the part of the service that answered (auth, storage, api, spa, none, admin), and class of the status (2xx; none if there was no response).",
	}, []string{"part", "status"})
	seconds := f.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "tokenhandler_request_duration_seconds",
		Help:    "Time from the head of a request to the end of its response, by the part of the service that answered, without WebSockets.",
		Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
	}, []string{"part"})
	m := &partMetrics{limits: f.NewCounterVec(prometheus.CounterOpts{
		Name: "tokenhandler_rate_limited_total",
		Help: "Requests that a limit has refused, by limit: session_requests, session_streams, refresh, login, callback, presigns, uploads, admin_token, verify_secret, provider, storage.",
	}, []string{"limit"})}
	for part, name := range []string{"auth", "storage", "api", "spa", "none", "admin"} {
		m.requests[part][0] = requests.WithLabelValues(name, "none")
		for class := 1; class < len(m.requests[part]); class++ {
			m.requests[part][class] = requests.WithLabelValues(name, strconv.Itoa(class)+"xx")
		}
		m.seconds[part] = seconds.WithLabelValues(name)
	}
	for _, limit := range web.Limits() {
		m.limits.WithLabelValues(limit)
	}
	return m
}

func (m *partMetrics) observe(part part, status int, took time.Duration) {
	class := status / 100
	if class < 0 || class >= len(m.requests[part]) {
		class = 0
	}
	m.requests[part][class].Inc()
	if status != http.StatusSwitchingProtocols {
		m.seconds[part].Observe(took.Seconds())
	}
}

func (m *partMetrics) limited(limit string) { m.limits.WithLabelValues(limit).Inc() }

// observe counts a request of the public listener.
func (a *App) observe(r *http.Request, status int, took time.Duration) {
	a.parts.observe(a.partOf(r.URL.Path), status, took)
}

// observeAdmin counts a request of the admin listener.
func (a *App) observeAdmin(_ *http.Request, status int, took time.Duration) {
	a.parts.observe(partAdmin, status, took)
}

// partOf returns the part of the service that serves a path of the public listener.
func (a *App) partOf(path string) part {
	switch {
	case web.Under(path, a.cfg.Auth.Path):
		return partAuth
	case a.cfg.Storage.Bucket != "" && web.Under(path, a.cfg.Storage.Path):
		return partStorage
	case a.api.Owns(path):
		return partAPI
	case a.cfg.SPA.Dir != "":
		return partSPA
	}
	return partNone
}

// newBuildInfo registers the metric of the version.
func newBuildInfo(reg prometheus.Registerer) *prometheus.GaugeVec {
	return promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
		Name: "tokenhandler_build_info",
		Help: "1, with the version of the service and of Go.",
	}, []string{"version", "go_version"})
}

// NoteVersion makes a metric, and the records of the audit trail as OCSF, show the version of
// the build. It must be called before [App.Run].
func (a *App) NoteVersion(version string) {
	a.trail.NoteVersion(version)
	a.buildInfo.WithLabelValues(version, runtime.Version()).Set(1)
}

// newKeyGauge registers the metric of the session keys.
func newKeyGauge(reg prometheus.Registerer) *prometheus.GaugeVec {
	return promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
		Name: "tokenhandler_session_keys",
		Help: "1 for each session key that is loaded, by its id and role: seals (the first key, which new cookies are sealed with), opens.",
	}, []string{"key_id", "role"})
}

// showKeys makes the metric show the keys that are loaded now.
func (a *App) showKeys() {
	a.keyGauge.Reset()
	role := "seals"
	for _, id := range a.keys.IDs() {
		a.keyGauge.WithLabelValues(id.String(), role).Set(1)
		role = "opens"
	}
}
