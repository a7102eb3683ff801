package storage

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/prometheus/client_golang/prometheus"

	"cognito-token-handler/tokenhandler/web"
)

const (
	// maxObject is the most that S3 takes in one PUT (FACTS S3-20).
	maxObject = 5 << 30
	// maxExpires is the most that S3 accepts. The SDK signs longer ones, and S3
	// refuses them (S3-01, S3-02).
	maxExpires = 7 * 24 * time.Hour
)

// Config is what a [Handler] needs to know.
type Config struct {
	// Path is where the handler is mounted, without a trailing slash. Required.
	Path string
	// Bucket holds every user's folder. Required.
	Bucket string
	// Region is the bucket's region. Required; any value does for most servers
	// that are not AWS.
	Region string
	// Endpoint is the origin of a server that is not AWS; empty means AWS.
	Endpoint string
	// PathStyle puts the bucket into the path instead of the host name.
	PathStyle bool
	// Prefix is the user's folder: it holds {sub} once and ends with a slash.
	// Required, e.g. "users/{sub}/".
	Prefix string
	// MaxSize is the largest upload in bytes, at most 5 GiB. Required.
	MaxSize int64
	// ContentTypes lists what may be uploaded: "image/png", or "image/*" for a
	// whole type. Empty means everything, text/html included.
	ContentTypes []string
	// Expires is how long a presigned URL lives, at most seven days. It is cut
	// to the life of the credentials that sign it. Required.
	Expires time.Duration
	// Credentials sign. They are asked for on every request, so the provider
	// must cache (config.LoadDefaultConfig's does), and return when its context
	// ends, which is after 10 seconds. Required.
	Credentials aws.CredentialsProvider
	// Now is the clock. Required.
	Now func() time.Time
	// Site writes the errors. Required.
	Site *web.Site
	// Metrics is where the counters are registered; nil means off.
	Metrics prometheus.Registerer
}

// Handler answers everything under Config.Path.
//
// It does NOT check where a request came from: the caller must wrap it in
// [web.Site.Guard], and serve it over a listener with time-outs.
type Handler struct {
	cfg     Config
	auth    Authorizer
	folder  folderTemplate
	types   typeList
	signer  *signer
	metrics *metrics
	routes  http.Handler
}

// New returns the handler, or an error that lists every fault of cfg. It does
// not reach out to S3.
func New(cfg Config, auth Authorizer) (*Handler, error) {
	folder, folderErr := parseFolder(cfg.Prefix)
	types, typesErr := parseTypes(cfg.ContentTypes)
	if err := errors.Join(cfg.validate(), folderErr, typesErr); err != nil {
		return nil, fmt.Errorf("configuring storage: %w", err)
	}
	counters, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("registering storage metrics: %w", err)
	}
	h := &Handler{cfg: cfg, auth: auth, folder: folder, types: types, signer: newSigner(cfg), metrics: counters}
	h.routes = web.OwnHeaders(h.surface())
	return h, nil
}

// surface is everything there is under Config.Path. It is no ServeMux, because
// that one answers unclean paths with a redirect of its own.
func (h *Handler) surface() http.Handler {
	site := h.cfg.Site
	uploads := site.Methods(h.authorized(opUpload, h.createUpload), http.MethodPost)
	missing := site.NotFound()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; path {
		case h.cfg.Path + "/uploads":
			web.NoteRoute(r, path)
			uploads.ServeHTTP(w, r)
		default:
			missing.ServeHTTP(w, r)
		}
	})
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.routes.ServeHTTP(w, r) }

// operation answers a request of the user whose folder it gets. It returns
// what goes out instead of writing, because the session's cookies come first.
type operation func(w http.ResponseWriter, r *http.Request, subject string) (answer, error)

type answer struct {
	status int
	body   any
}

// authorized runs op for a signed-in user:
//
//  1. whose request is it; nothing of it is read before that is known
//  2. the operation itself
//  3. the session's cookies, on refusals too
//  4. the answer, counted
func (h *Handler) authorized(name string, op operation) http.Handler {
	return h.cfg.Site.Handle(func(w http.ResponseWriter, r *http.Request) error {
		grant, err := h.auth.Authorize(r)
		if err != nil {
			h.metrics.count(name, err)
			return err
		}
		result, err := op(w, r, grant.Subject())
		grant.Commit(w.Header())
		h.metrics.count(name, err)
		if err != nil {
			return err
		}
		web.WriteJSON(w, r, result.status, result.body)
		return nil
	})
}

func (c Config) validate() error {
	var faults []error
	check := func(ok bool, text string) {
		if !ok {
			faults = append(faults, errors.New(text))
		}
	}
	check(strings.HasPrefix(c.Path, "/") && !strings.HasSuffix(c.Path, "/"), "path must begin and not end with a slash")
	check(c.Bucket != "", "bucket is missing")
	check(c.Region != "", "region is missing")
	check(c.Endpoint == "" || isOrigin(c.Endpoint), "endpoint must be an http or https URL without a path")
	check(c.MaxSize >= 1 && c.MaxSize <= maxObject, "max_size must be 1 byte to 5 GiB")
	check(c.Expires >= time.Second && c.Expires <= maxExpires, "expires must be 1 second to 7 days")
	check(c.Credentials != nil, "credentials are missing")
	check(c.Now != nil, "the clock is missing")
	check(c.Site != nil, "the site is missing")
	return errors.Join(faults...)
}

func isOrigin(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" &&
		u.User == nil && u.Path == "" && u.RawQuery == "" && u.Fragment == ""
}

var _ http.Handler = (*Handler)(nil)
