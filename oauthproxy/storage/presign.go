package storage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cognito-token-handler/tokenhandler/web"
)

// credentialsTimeout bounds how long the credentials provider may take to get
// credentials from STS or from the machine's metadata service, because the browser
// waits for it. Most uploads are signed with cached credentials.
const credentialsTimeout = 10 * time.Second

var (
	errCredentialsEmpty   = errors.New("the storage credentials have no keys")
	errCredentialsExpired = errors.New("the storage credentials have expired")
)

// signer turns a checked upload into a presigned request. Only the credentials
// provider uses the network.
type signer struct {
	client      *s3.PresignClient
	v4          *v4.Signer
	bucket      string
	expires     time.Duration
	credentials aws.CredentialsProvider
	now         func() time.Time
}

// signedRequest is a presigned request in the form that a browser needs.
type signedRequest struct {
	method    string
	url       string
	headers   map[string]string
	expiresAt time.Time
}

func newSigner(cfg Config) *signer {
	options := s3.Options{
		Region:       cfg.Region,
		UsePathStyle: cfg.PathStyle,
		// Only a checksum that the client has sent is signed. With an algorithm but no
		// value, the SDK would sign the checksum of an empty body, and S3 would refuse
		// every upload.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		// For a directory bucket the SDK would create a session over the network.
		DisableS3ExpressSessionAuth: aws.Bool(true),
	}
	if cfg.Endpoint != "" {
		options.BaseEndpoint = aws.String(cfg.Endpoint)
	}
	return &signer{
		client:      s3.NewPresignClient(s3.New(options)),
		v4:          v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
		bucket:      cfg.Bucket,
		expires:     cfg.Expires,
		credentials: cfg.Credentials,
		now:         cfg.Now,
	}
}

// put presigns one PUT of u at the full key. Size, type, checksum and condition
// become signed headers, so S3 refuses a request that differs.
func (s *signer) put(ctx context.Context, key string, u upload) (*signedRequest, error) {
	credentials, err := s.retrieve(ctx)
	if err != nil {
		return nil, err
	}
	at := s.now().UTC().Truncate(time.Second) // Signature Version 4 counts in seconds
	expires := s.lifetime(credentials, at)
	if expires < time.Second {
		return nil, web.NewProblem(web.CodeUpstreamError, "the storage credentials are expired; try again later", errCredentialsExpired)
	}
	input := &s3.PutObjectInput{
		Bucket:         &s.bucket,
		Key:            &key,
		ContentType:    &u.contentType,
		ContentLength:  &u.size,
		ChecksumSHA256: optional(u.checksum),
		IfNoneMatch:    optional(u.ifNoneMatch),
	}
	signed, err := s.client.PresignPutObject(ctx, input, func(o *s3.PresignOptions) {
		o.Expires = expires
		o.Presigner = signerAt{s.v4, credentials, at}
		o.ClientOptions = append(o.ClientOptions, func(o *s3.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil })
		})
	})
	if err != nil {
		return nil, web.NewProblem(web.CodeUpstreamError, "the upload could not be signed", fmt.Errorf("presigning a PUT: %w", err))
	}
	return &signedRequest{
		method:    signed.Method,
		url:       signed.URL,
		headers:   scriptable(signed.SignedHeader),
		expiresAt: at.Add(expires),
	}, nil
}

// retrieve gets the credentials. The error is a [*web.Problem].
func (s *signer) retrieve(ctx context.Context) (aws.Credentials, error) {
	bounded, cancel := context.WithTimeout(ctx, credentialsTimeout)
	defer cancel()
	credentials, err := s.credentials.Retrieve(bounded)
	if err == nil && !credentials.HasKeys() {
		err = errCredentialsEmpty // the SDK would sign with them
	}
	if err == nil {
		return credentials, nil
	}
	err = fmt.Errorf("retrieving storage credentials: %w", err)
	if errors.Is(bounded.Err(), context.DeadlineExceeded) {
		return aws.Credentials{}, web.NewProblem(web.CodeUpstreamTimeout, "the storage credentials took too long to arrive; try again later", err)
	}
	return aws.Credentials{}, web.NewProblem(web.CodeUpstreamError, "the storage credentials are unavailable; try again later", err)
}

// lifetime returns the configured lifetime of a URL, cut to that of the credentials:
// when they expire the URL does, too (Amazon S3 User Guide, "Download and upload
// objects with presigned URLs").
func (s *signer) lifetime(credentials aws.Credentials, at time.Time) time.Duration {
	expires := s.expires
	if credentials.CanExpire {
		expires = min(expires, credentials.Expires.Sub(at))
	}
	return expires.Truncate(time.Second)
}

// scriptable leaves out the headers that a script cannot set (Fetch Standard, forbidden
// request-headers). The browser derives them from the URL and the body.
func scriptable(signed http.Header) map[string]string {
	headers := make(map[string]string, len(signed))
	for name := range signed {
		canonical := http.CanonicalHeaderKey(name)
		if canonical != "Host" && canonical != "Content-Length" {
			headers[canonical] = signed.Get(name)
		}
	}
	return headers
}

// signerAt signs with the time and the credentials from which the lifetime was
// computed. By default the SDK would ask the clock and the provider again, which may
// differ a moment later.
type signerAt struct {
	*v4.Signer

	credentials aws.Credentials
	at          time.Time
}

// PresignHTTP implements [s3.HTTPPresignerV4].
func (s signerAt) PresignHTTP(
	ctx context.Context, _ aws.Credentials, r *http.Request, payloadHash, service, region string, _ time.Time,
	options ...func(*v4.SignerOptions),
) (string, http.Header, error) {
	return s.Signer.PresignHTTP(ctx, s.credentials, r, payloadHash, service, region, s.at, options...)
}

func optional(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}

var _ s3.HTTPPresignerV4 = signerAt{}
