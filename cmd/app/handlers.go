package app

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cognito-token-handler/tokenhandler/web"
)

// publicHandler returns the handler of the public listener. Every request passes, from
// the outside in: request log and panic recovery, deadlines for stalled connections,
// one normalization of the path, one name of a developer's machine.
func (a *App) publicHandler(site *web.Site, p parts) http.Handler {
	notFound := web.OwnHeaders(site.CORS(site.NoAppHere()))
	dispatch := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.stopping.Load() && r.Header["Upgrade"] == nil {
			// Proxies open another connection then. What they sent over one that is idle when
			// the drain closes it would be lost.
			w.Header().Set("Connection", "close")
		}
		switch a.partOf(r.URL.Path) {
		case partAuth:
			p.auth.ServeHTTP(w, r)
		case partStorage:
			p.storage.ServeHTTP(w, r)
		case partAPI:
			p.api.ServeHTTP(w, r)
		case partSPA:
			p.spa.ServeHTTP(w, r)
		case partNone, partAdmin, partCount:
			notFound.ServeHTTP(w, r)
		}
	})
	return site.Instrument(site.Deadlines(a.exceptObjects(site, site.PlainPath(site.OneHost(dispatch)), p.storage)))
}

// exceptObjects lets the storage itself check the paths of objects. A key may hold what
// other servers could read as another path, such as an encoded percent sign. The storage
// decodes it once, and hands no path to another server.
func (a *App) exceptObjects(site *web.Site, plain, objects http.Handler) http.Handler {
	if objects == nil {
		return plain
	}
	objects = site.OneHost(objects)
	prefix := a.cfg.Storage.Path + "/objects/"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix) && strings.HasPrefix(r.RequestURI, prefix) {
			objects.ServeHTTP(w, r)
			return
		}
		plain.ServeHTTP(w, r)
	})
}

// adminHandler returns the handler of the admin listener, behind the same middlewares.
// The admin listener must NOT be reachable from the internet: only /admin requires a
// token. See knownHosts for browsers inside.
func (a *App) adminHandler() http.Handler {
	site := web.NewSite(web.Config{
		PublicURL: &url.URL{Scheme: "http", Host: a.cfg.Admin.Listen},
		Log:       a.log.With("listener", "admin"),
		Quiet:     true,
		Observe:   a.observeAdmin,
		Limited:   a.limited,
		Now:       a.now,
	})
	mux := http.NewServeMux()
	get := func(path string, handler http.Handler) {
		mux.Handle(path, site.Methods(handler, http.MethodGet, http.MethodHead))
	}
	get("/metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{Registry: a.registry}))
	get("/healthz", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.WriteJSON(w, r, http.StatusOK, map[string]string{"status": "ok"})
	}))
	get("/readyz", http.HandlerFunc(a.ready))
	if a.cfg.Admin.IsOn() {
		a.operators = a.newAdmin(site)
		mux.Handle("/admin/", a.operators)
	}
	mux.Handle("/", site.NotFound())
	return site.Instrument(site.Deadlines(site.PlainPath(web.OwnHeaders(knownHosts(a.cfg.Admin, site, mux)))))
}

// readiness answers /readyz.
type readiness struct {
	Ready bool `json:"ready"`
	// Checks maps the name of a check to "ok" or to what is wrong. "shutdown" is present
	// from SIGTERM on.
	Checks map[string]string `json:"checks"`
}

// startTime is how long a provider that was never reached, and a lack of AWS
// credentials, keep a new process from being ready: long enough for a deployment to
// stop. After that they are only named, because no replica would do better.
const startTime = time.Minute

func (a *App) ready(w http.ResponseWriter, r *http.Request) {
	body := readiness{Ready: true, Checks: map[string]string{"provider": "ok"}}
	starting := a.now().Sub(a.built) < startTime
	if err := a.provider.Ready(); err != nil {
		body.Ready, body.Checks["provider"] = !starting, err.Error()
	}
	if a.credentials != nil {
		state, obtained := a.credentials.ready()
		body.Ready, body.Checks["storage"] = body.Ready && (obtained || !starting), state
	}
	if state, ready := a.storeReady(); state != "" {
		body.Ready, body.Checks["store"] = body.Ready && ready, state
	}
	if a.stopping.Load() {
		body.Ready, body.Checks["shutdown"] = false, "the service shuts down; requests under way are finished"
	}
	status := http.StatusOK
	if !body.Ready {
		status = http.StatusServiceUnavailable
	}
	web.WriteJSON(w, r, status, body)
}

func newRejectedCounter(reg prometheus.Registerer) prometheus.Counter {
	return promauto.With(reg).NewCounter(prometheus.CounterOpts{
		Name: "tokenhandler_cross_site_requests_total",
		Help: "Requests refused because they came from another site or origin.",
	})
}

func newReloadGauge(reg prometheus.Registerer) *prometheus.GaugeVec {
	return promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
		Name: "tokenhandler_reload_successful",
		Help: "Whether the last look at a file that is reloaded (session_keys, certificate, client_secret, admin_token or admin_token:NAME, verify_secret, upstream_ca:PATH of the route, spa_dir) gave something usable: 1 or 0.",
	}, []string{"file"})
}

// CountDroppedRecords makes the metric of dropped log records show what dropped returns.
func (a *App) CountDroppedRecords(dropped func() uint64) { a.droppedRecords.Store(&dropped) }

func (a *App) newDroppedCounter() {
	promauto.With(a.registry).NewCounterFunc(prometheus.CounterOpts{
		Name: "tokenhandler_log_dropped_total",
		Help: "Log records that were dropped because the reader of the log stalled or was gone.",
	}, func() float64 {
		if dropped := a.droppedRecords.Load(); dropped != nil {
			return float64((*dropped)())
		}
		return 0
	})
}
