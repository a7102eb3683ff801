package storage

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cognito-token-handler/tokenhandler/web"
)

// BrowserMethods returns the methods of presigned requests, which the bucket's CORS rules
// must allow. Everything else this service asks of S3 itself.
func BrowserMethods() []string { return []string{http.MethodGet, http.MethodPut} }

// signedRequest is a presigned request in the form that a browser needs.
type signedRequest struct {
	method    string
	url       string
	headers   map[string]string
	expiresAt time.Time
}

// sign presigns one request of the SDK's presign client. It does not use the network.
// contentType is signed too, unless it is empty.
func (b userBucket) sign(contentType string, presign func(o func(*s3.PresignOptions)) (*v4.PresignedHTTPRequest, error)) (*signedRequest, error) {
	at := b.now().UTC().Truncate(time.Second) // Signature Version 4 counts in seconds
	expires := b.lifetime(at)
	if expires < time.Second {
		return nil, web.NewProblem(web.CodeUpstreamError, "the storage credentials are expired; try again later", errCredentialsExpired)
	}
	signed, err := presign(func(o *s3.PresignOptions) {
		o.Expires = expires
		o.Presigner = signerAt{b.v4, b.credentials, at, contentType}
		o.ClientOptions = append(o.ClientOptions, b.as)
	})
	if err != nil {
		return nil, web.NewProblem(web.CodeUpstreamError, "the request could not be signed", fmt.Errorf("presigning: %w", err))
	}
	return &signedRequest{
		method:    signed.Method,
		url:       signed.URL,
		headers:   scriptable(signed.SignedHeader),
		expiresAt: at.Add(expires),
	}, nil
}

// lifetime returns the configured lifetime of a URL, cut to that of the credentials:
// when they expire the URL does, too (Amazon S3 User Guide, "Download and upload
// objects with presigned URLs").
func (b userBucket) lifetime(at time.Time) time.Duration {
	expires := b.expires
	if b.credentials.CanExpire {
		expires = min(expires, b.credentials.Expires.Sub(at))
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
	// contentType is signed if it is not empty. The SDK removes the header from requests
	// without a body, and what is presigned has none yet; it looks at the length alone.
	contentType string
}

// PresignHTTP implements [s3.HTTPPresignerV4].
func (s signerAt) PresignHTTP(
	ctx context.Context, _ aws.Credentials, r *http.Request, payloadHash, service, region string, _ time.Time,
	options ...func(*v4.SignerOptions),
) (string, http.Header, error) {
	if s.contentType != "" {
		r.Header.Set("Content-Type", s.contentType)
	}
	return s.Signer.PresignHTTP(ctx, s.credentials, r, payloadHash, service, region, s.at, options...)
}

var _ s3.HTTPPresignerV4 = signerAt{}
