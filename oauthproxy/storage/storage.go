package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/web"
)

const (
	// MaxPutSize is the largest object that S3 accepts in one PUT and that it copies at
	// once, in bytes (Amazon S3 User Guide, "Uploading objects").
	MaxPutSize = 5 << 30
	// MaxObjectSize is the largest object that S3 accepts in parts, in bytes: 10,000
	// parts of 5 GiB (Amazon S3 User Guide, "Amazon S3 multipart upload limits").
	MaxObjectSize = maxParts * MaxPutSize
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
	// MaxSize is the largest upload in bytes, at most [MaxObjectSize]. One PUT is at
	// most [MaxPutSize]. Required.
	MaxSize int64
	// ContentTypes are the content types that may be uploaded; see [ParseContentType].
	// Default all, text/html included.
	ContentTypes []string
	// Expires is the life of a presigned URL, at most [MaxExpires]. It is cut to the
	// life of the credentials that sign it. Required.
	Expires time.Duration
	// Quota limits each user's folder. Default no limit.
	Quota Quota
	// Claims keeps what this process has signed for each folder. Required.
	Claims Maps
	// SharedClaims keeps what all replicas have signed. Default nil: the quota is that of
	// each replica.
	SharedClaims Maps
	// SSE is the encryption at rest that uploads and copies ask for: "AES256",
	// "aws:kms" or "aws:kms:dsse". Default the bucket's own.
	SSE string
	// KMSKeyID is the key for the encryption with KMS. Default the account's own.
	KMSKeyID string
	// ExpectedBucketOwner is the id of the AWS account that must own the bucket. S3
	// refuses all requests to another account's bucket then. Default any.
	ExpectedBucketOwner string
	// Credentials say with which credentials requests are made and signed. Required.
	Credentials Credentials
	// Sealer encrypts cursors and the ids of uploads in parts. Required.
	Sealer Sealer
	// HTTPClient makes the calls to S3. Default the SDK's.
	HTTPClient s3.HTTPClient
	// APIOptions are added to every call to S3, for tracing.
	APIOptions []func(*middleware.Stack) error
	// Limit counts a request for presigned URLs, by its session as logs show it. An error,
	// which is a *web.Problem, refuses the request. Nil limits nothing.
	Limit func(session string) error
	// Now is the clock. Required.
	Now func() time.Time
	// Log receives one record for each object that is signed, deleted, copied or
	// completed. Required.
	Log *slog.Logger
	// Site writes error responses and checks origins. Required.
	Site *web.Site
	// Metrics may be nil.
	Metrics *Metrics
	// Audit records what was signed, copied and deleted; nil records nothing.
	Audit *audit.Trail
}

// Handler serves everything under Config.Path.
type Handler struct {
	cfg     Config
	auth    Authorizer
	folders folderPattern
	types   typeList
	bucket  *bucket
	ledger  *ledger
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
	h := &Handler{cfg: cfg, auth: auth, folders: folders, types: types, bucket: newBucket(cfg), ledger: newLedger(cfg), metrics: cfg.Metrics}
	if h.metrics == nil {
		h.metrics = NewMetrics(nil)
	}
	h.handler = cfg.Site.Guard(web.OwnHeaders(h.endpoints()))
	return h, nil
}

// fault names the value of which err says what is wrong.
func fault(what, value string, err error) error { return fmt.Errorf("%s %q %w", what, value, err) }

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.handler.ServeHTTP(w, r) }

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
	check(c.MaxSize >= 1 && c.MaxSize <= MaxObjectSize, "max_size must be 1 byte to 50,000 GiB")
	check(c.Quota.Bytes >= 0 && c.Quota.Objects >= 0, "the quota must not be negative")
	check(c.SSE == "" || slices.Contains([]string{"AES256", "aws:kms", "aws:kms:dsse"}, c.SSE), "sse must be AES256, aws:kms or aws:kms:dsse")
	check(c.KMSKeyID == "" || strings.HasPrefix(c.SSE, "aws:kms"), "kms_key_id needs sse aws:kms or aws:kms:dsse")
	check(c.Expires >= time.Second && c.Expires <= MaxExpires, "expires must be 1 second to 7 days")
	check(c.Credentials != nil, "credentials are missing")
	check(c.Claims != nil, "the claims are missing")
	check(c.Sealer != nil, "the sealer is missing")
	check(c.Now != nil, "the clock is missing")
	check(c.Log != nil, "the log is missing")
	check(c.Site != nil, "the site is missing")
	return errors.Join(faults...)
}

func isOrigin(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" &&
		u.User == nil && u.Path == "" && u.RawQuery == "" && u.Fragment == ""
}

var _ http.Handler = (*Handler)(nil)
