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

// credentialsTimeout bounds what the credentials provider may take to look them
// up, at STS or the machine's metadata: the browser waits for it. One upload in
// many does; all others are signed with what is cached.
const credentialsTimeout = 10 * time.Second

var (
	errCredentialsEmpty   = errors.New("the storage credentials hold no keys")
	errCredentialsExpired = errors.New("the storage credentials are expired")
)

// signer turns a checked upload into a presigned request. Nothing it does
// reaches the network, but for what the credentials provider does.
type signer struct {
	client      *s3.PresignClient
	v4          *v4.Signer
	bucket      string
	expires     time.Duration
	credentials aws.CredentialsProvider
	now         func() time.Time
}

// signedRequest is a presigned request as a browser needs it.
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
		// Only the checksum that the client gives is signed. An algorithm
		// without a value would sign that of an empty body, and every real
		// upload would fail (FACTS S3-05).
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		// A directory bucket's session would be fetched over the network.
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
	at := s.now().UTC().Truncate(time.Second) // SigV4 counts in seconds
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

// retrieve looks the credentials up. Its error is a problem.
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

// lifetime is the configured one, cut to what is left of the credentials: the
// URL dies with them whatever it says (FACTS S3-01).
func (s *signer) lifetime(credentials aws.Credentials, at time.Time) time.Duration {
	expires := s.expires
	if credentials.CanExpire {
		expires = min(expires, credentials.Expires.Sub(at))
	}
	return expires.Truncate(time.Second)
}

// scriptable leaves out what a script cannot set (Fetch standard, forbidden
// request-header names): the browser derives it from the URL and the body.
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

// signerAt signs at the time and with the credentials that the lifetime was
// computed from, not with what a clock or a cache says a moment later.
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
