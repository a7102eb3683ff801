package storage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"cognito-token-handler/tokenhandler/web"
)

const (
	// credentialsTimeout bounds how long the credentials provider may take to get
	// credentials from STS or from the machine's metadata service, because the browser
	// waits for it. Most requests are made with cached credentials.
	credentialsTimeout = 10 * time.Second
	// requestTimeout bounds all calls to S3 for one request.
	requestTimeout = 20 * time.Second
	// completeTimeout bounds the completion of an upload in parts, for which S3 may take
	// minutes (Amazon S3 API Reference, "CompleteMultipartUpload").
	completeTimeout = 4 * time.Minute
	// attempts is how often a call to S3 is made if S3 fails or throttles, and maxBackoff
	// the longest wait between two of them.
	attempts   = 3
	maxBackoff = time.Second
	// retryAfter is what a client is told to wait if S3 throttles or cannot be reached.
	retryAfter = 5 * time.Second
)

var (
	errCredentialsEmpty   = errors.New("the storage credentials have no keys")
	errCredentialsExpired = errors.New("the storage credentials have expired")
)

// objectAPI is what is asked of S3 about one object. *s3.Client implements it.
type objectAPI interface {
	HeadObject(context.Context, *s3.HeadObjectInput, ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
	CopyObject(context.Context, *s3.CopyObjectInput, ...func(*s3.Options)) (*s3.CopyObjectOutput, error)
}

// bucketAPI is what is asked of S3 about many objects.
type bucketAPI interface {
	s3.ListObjectsV2APIClient
	s3.ListMultipartUploadsAPIClient
	DeleteObjects(context.Context, *s3.DeleteObjectsInput, ...func(*s3.Options)) (*s3.DeleteObjectsOutput, error)
	HeadBucket(context.Context, *s3.HeadBucketInput, ...func(*s3.Options)) (*s3.HeadBucketOutput, error)
}

// partsAPI is what is asked of S3 about one upload in parts.
type partsAPI interface {
	s3.ListPartsAPIClient
	CreateMultipartUpload(context.Context, *s3.CreateMultipartUploadInput, ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error)
	CompleteMultipartUpload(context.Context, *s3.CompleteMultipartUploadInput, ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error)
	AbortMultipartUpload(context.Context, *s3.AbortMultipartUploadInput, ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error)
}

// bucket is the bucket of all users' folders.
type bucket struct {
	objects  objectAPI
	many     bucketAPI
	parts    partsAPI
	settings settingsAPI
	presign  *s3.PresignClient
	v4       *v4.Signer
	name     string
	owner    *string // the account that must own it; nil for any
	sse      types.ServerSideEncryption
	kmsKey   *string
	expires  time.Duration
	now      func() time.Time
}

func newBucket(cfg Config) *bucket {
	options := s3.Options{
		Region:       cfg.Region,
		UsePathStyle: cfg.PathStyle,
		APIOptions:   cfg.APIOptions,
		HTTPClient:   cfg.HTTPClient,
		// Without these two, the SDK would add checksums of its own to what it signs. With
		// an algorithm but no value it would sign the checksum of an empty body, and S3
		// would refuse every upload.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		// For a directory bucket the SDK would create a session over the network.
		DisableS3ExpressSessionAuth: aws.Bool(true),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = attempts, maxBackoff
		}),
	}
	if options.HTTPClient == nil {
		options.HTTPClient = awshttp.NewBuildableClient()
	}
	if cfg.Endpoint != "" {
		options.BaseEndpoint = aws.String(cfg.Endpoint)
	}
	client := s3.New(options)
	return &bucket{
		objects: client, many: client, parts: client, settings: client,
		presign: s3.NewPresignClient(client),
		v4:      v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
		name:    cfg.Bucket,
		owner:   optional(cfg.ExpectedBucketOwner),
		sse:     types.ServerSideEncryption(cfg.SSE),
		kmsKey:  optional(cfg.KMSKeyID),
		expires: cfg.Expires,
		now:     cfg.Now,
	}
}

// userBucket is the bucket with the credentials of one request's user. It does NOT know
// which keys are the user's: its methods take full keys.
type userBucket struct {
	*bucket

	credentials aws.Credentials
}

// as makes the SDK use the credentials that were retrieved for the request, and not ask
// for others a moment later.
func (b userBucket) as(o *s3.Options) {
	o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return b.credentials, nil })
}

// retrieve gets the credentials of a user. The error is a [*web.Problem].
func retrieve(ctx context.Context, source Credentials, user User) (aws.Credentials, error) {
	bounded, cancel := context.WithTimeout(ctx, credentialsTimeout)
	defer cancel()
	credentials, err := source.For(bounded, user)
	if err == nil && !credentials.HasKeys() {
		err = errCredentialsEmpty // the SDK would sign with them
	}
	if err == nil {
		return credentials, nil
	}
	if problem, ok := errors.AsType[*web.Problem](err); ok {
		return aws.Credentials{}, problem
	}
	err = fmt.Errorf("retrieving storage credentials: %w", err)
	if errors.Is(bounded.Err(), context.DeadlineExceeded) {
		return aws.Credentials{}, web.NewProblem(web.CodeUpstreamTimeout, "the storage credentials took too long to arrive; try again later", err).RetryAfter(retryAfter)
	}
	return aws.Credentials{}, web.NewProblem(web.CodeUpstreamError, "the storage credentials are unavailable; try again later", err).RetryAfter(retryAfter)
}

// problemOf turns an error of a call to S3 into a response. Nothing of S3's text
// reaches the client. what says what was being done.
func problemOf(what string, err error) error {
	if problem, ok := errors.AsType[*web.Problem](err); ok {
		return problem
	}
	err = fmt.Errorf("%s: %w", what, err)
	code, status := errorCode(err), statusCode(err)
	switch {
	case code == "NoSuchKey" || code == "NotFound":
		return noSuchObject(err)
	case code == "NoSuchUpload":
		return noSuchUpload(err)
	case status == http.StatusPreconditionFailed || code == "ConditionalRequestConflict":
		return web.NewProblem(web.CodePreconditionFailed, "the object is another than the condition says", err)
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		// S3 answers "503 Slow Down" (Amazon S3 API Reference, "Error responses").
		return web.NewProblem(web.CodeRateLimited, "the storage is busy; try again later", err).RetryAfter(retryAfter).By(web.LimitStorage)
	case errors.Is(err, context.DeadlineExceeded):
		return web.NewProblem(web.CodeUpstreamTimeout, "the storage took too long; try again later", err).RetryAfter(retryAfter)
	case status == 0 || status >= http.StatusInternalServerError:
		return web.NewProblem(web.CodeUpstreamError, "the storage cannot be reached; try again later", err).RetryAfter(retryAfter)
	}
	return web.NewProblem(web.CodeUpstreamError, "the storage refused the request", err)
}

func noSuchObject(cause error) *web.Problem {
	return web.NewProblem(web.CodeNotFound, "there is no such object", cause)
}

func noSuchUpload(cause error) *web.Problem {
	return web.NewProblem(web.CodeNotFound, "there is no such upload", cause)
}

func isProblem(err error, code web.Code) bool { return err != nil && web.AsProblem(err).Code == code }

// errorCode returns the code of S3's error, or "".
func errorCode(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// statusCode returns the status of S3's answer, or 0.
func statusCode(err error) int {
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}

func optional(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}
