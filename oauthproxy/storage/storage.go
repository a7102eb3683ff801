package storage

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cognito-token-handler/tokenhandler/web"
)

const (
	// MaxObjectSize is the largest object that S3 accepts in one PUT, in bytes (Amazon
	// S3 User Guide, "Uploading objects").
	MaxObjectSize = 5 << 30
	// MaxExpires is the longest life of a presigned URL that S3 accepts (Amazon S3 API
	// Reference, "Authenticating Requests: Using Query Parameters"). The SDK signs
	// longer ones, which S3 then refuses.
	MaxExpires = 7 * 24 * time.Hour
)

// Config is what a [Handler] needs.
type Config struct {
	// Path is where the handler is mounted, without a slash at the end. Required.
	Path string
	// Bucket is the bucket of all users' folders. Required.
	Bucket string
	// Region is the bucket's region. Required; most servers other than AWS accept any.
	Region string
	// Endpoint is the origin of an S3-compatible server. Default AWS.
	Endpoint string
	// PathStyle puts the bucket into the path and not into the host name.
	PathStyle bool
	// Prefix is the pattern of a user's folder, such as users/{sub}/; see [CheckPrefix].
	// Required.
	Prefix string
	// MaxSize is the largest upload in bytes, at most [MaxObjectSize]. Required.
	MaxSize int64
	// ContentTypes are the content types that may be uploaded; see [ParseContentType].
	// Default all, text/html included.
	ContentTypes []string
	// Expires is the life of a presigned URL, at most [MaxExpires]. It is cut to the
	// life of the credentials that sign it. Required.
	Expires time.Duration
	// Credentials sign the URLs. They are retrieved for every request, so the provider
	// must cache them (that of config.LoadDefaultConfig does), and must return when its
	// context ends, which is after 10 seconds. Required.
	Credentials aws.CredentialsProvider
	// Now is the clock. Required.
	Now func() time.Time
	// Site writes error responses and checks origins. Required.
	Site *web.Site
	// Metrics may be nil.
	Metrics *Metrics
}

// Handler serves everything under Config.Path.
type Handler struct {
	cfg     Config
	auth    Authorizer
	folders folderPattern
	types   typeList
	signer  *signer
	metrics *Metrics
	handler http.Handler
}

// New returns a Handler, or an error that lists everything that is wrong with cfg. The
// handler includes the origin check ([web.Site.Guard]), so no request can bypass it.
// New does not connect to S3.
func New(cfg Config, auth Authorizer) (*Handler, error) {
	folders, prefixErr := parsePrefix(cfg.Prefix)
	if prefixErr != nil {
		prefixErr = fault("prefix", cfg.Prefix, prefixErr)
	}
	types, typesErr := newTypeList(cfg.ContentTypes)
	if err := errors.Join(cfg.validate(), prefixErr, typesErr); err != nil {
		return nil, fmt.Errorf("configuring storage: %w", err)
	}
	h := &Handler{cfg: cfg, auth: auth, folders: folders, types: types, signer: newSigner(cfg), metrics: cfg.Metrics}
	if h.metrics == nil {
		h.metrics = NewMetrics(nil)
	}
	h.handler = cfg.Site.Guard(web.OwnHeaders(h.endpoints()))
	return h, nil
}

// fault names the value of which err says what is wrong.
func fault(what, value string, err error) error { return fmt.Errorf("%s %q %w", what, value, err) }

// endpoints serves all paths under Config.Path. It does not use [http.ServeMux], which
// redirects requests for unclean paths.
func (h *Handler) endpoints() http.Handler {
	site := h.cfg.Site
	uploads := site.Methods(h.authorized(opUpload, h.createUpload), http.MethodPost)
	notFound := site.NotFound()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; path {
		case h.cfg.Path + "/uploads":
			web.NoteRoute(r, path)
			uploads.ServeHTTP(w, r)
		default:
			notFound.ServeHTTP(w, r)
		}
	})
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.handler.ServeHTTP(w, r) }

// operation handles a request of the user subject. It returns its response instead of
// writing it, because the session's cookies must be written before.
type operation func(w http.ResponseWriter, r *http.Request, subject string) (response, error)

type response struct {
	status int
	body   any
}

// authorized runs op for a signed-in user, in this order:
//
//  1. It authorises the request. Nothing of the body is read before.
//  2. It runs op.
//  3. It adds the session's cookies, also if op refuses the request.
//  4. It counts and writes the response.
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
	check(strings.HasPrefix(c.Path, "/") && !strings.HasSuffix(c.Path, "/"), "path must begin with a slash and not end with one")
	check(c.Bucket != "", "bucket is missing")
	check(c.Region != "", "region is missing")
	check(c.Endpoint == "" || isOrigin(c.Endpoint), "endpoint must be an http or https URL without a path")
	check(c.MaxSize >= 1 && c.MaxSize <= MaxObjectSize, "max_size must be 1 byte to 5 GiB")
	check(c.Expires >= time.Second && c.Expires <= MaxExpires, "expires must be 1 second to 7 days")
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
