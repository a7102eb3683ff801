package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// The reasons why something of a bucket is not known. Other errors of an [Inspector] may
// contain text of S3, which is not to be shown.
var (
	ErrDenied        = errors.New("the permission is missing")
	ErrNotConfigured = errors.New("it is not configured")
	ErrNoBucket      = errors.New("there is no such bucket")
	ErrOtherRegion   = errors.New("the bucket is in another region")
	ErrUnsupported   = errors.New("the server does not answer that")
)

// Inspector asks about the bucket itself, as a Handler with the same [Config] would use it.
type Inspector struct {
	bucket userBucket
	folder string
}

// NewInspector returns an inspector that calls S3 with these credentials. Of cfg it uses
// what concerns the bucket. who is the name of a folder that belongs to no user.
func NewInspector(cfg Config, credentials aws.Credentials, who string) (*Inspector, error) {
	folder, err := FolderOf(cfg.Prefix)
	if err != nil {
		return nil, err
	}
	name, err := folder(who)
	if err != nil {
		return nil, err
	}
	return &Inspector{bucket: userBucket{newBucket(cfg), credentials}, folder: name}, nil
}

// List lists the folder, which needs the permission s3:ListBucket for its prefix.
func (i *Inspector) List(ctx context.Context) error {
	_, err := i.bucket.many.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &i.bucket.name, ExpectedBucketOwner: i.bucket.owner, Prefix: &i.folder, MaxKeys: aws.Int32(1),
	}, i.bucket.as)
	return inspected("listing a folder", err)
}

// settingsAPI is what is asked of S3 about the bucket's settings.
type settingsAPI interface {
	GetPublicAccessBlock(context.Context, *s3.GetPublicAccessBlockInput, ...func(*s3.Options)) (*s3.GetPublicAccessBlockOutput, error)
	GetBucketLifecycleConfiguration(context.Context, *s3.GetBucketLifecycleConfigurationInput, ...func(*s3.Options)) (*s3.GetBucketLifecycleConfigurationOutput, error)
}

// IsPrivate reports whether the bucket blocks public access in all four ways. It needs the
// permission s3:GetBucketPublicAccessBlock.
func (i *Inspector) IsPrivate(ctx context.Context) (bool, error) {
	answer, err := i.bucket.settings.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: &i.bucket.name, ExpectedBucketOwner: i.bucket.owner}, i.bucket.as)
	if err != nil {
		return false, inspected("reading the public access block", err)
	}
	block := answer.PublicAccessBlockConfiguration
	return block != nil && aws.ToBool(block.BlockPublicAcls) && aws.ToBool(block.IgnorePublicAcls) &&
		aws.ToBool(block.BlockPublicPolicy) && aws.ToBool(block.RestrictPublicBuckets), nil
}

// AbortsUploads reports whether a lifecycle rule deletes the parts of unfinished uploads in
// all users' folders. It needs the permission s3:GetLifecycleConfiguration.
func (i *Inspector) AbortsUploads(ctx context.Context) (bool, error) {
	answer, err := i.bucket.settings.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &i.bucket.name, ExpectedBucketOwner: i.bucket.owner}, i.bucket.as)
	if err != nil {
		return false, inspected("reading the lifecycle rules", err)
	}
	for _, rule := range answer.Rules {
		if rule.Status == types.ExpirationStatusEnabled && rule.AbortIncompleteMultipartUpload != nil && strings.HasPrefix(i.folder, rulePrefix(&rule)) {
			return true, nil
		}
	}
	return false, nil
}

// rulePrefix is the beginning of the keys that a rule is for. A rule that is for some tags
// or sizes only is for none of the parts.
func rulePrefix(rule *types.LifecycleRule) string {
	if rule.Filter == nil {
		return aws.ToString(rule.Prefix) //nolint:staticcheck // deprecated, and still in buckets
	}
	return aws.ToString(rule.Filter.Prefix)
}

// preflightHeaders are headers that pages send along with presigned requests.
const preflightHeaders = "content-type,if-none-match,x-amz-checksum-sha256"

// Preflight asks S3, as a browser does (Fetch Standard, "CORS-preflight fetch"), whether a
// page of the origin may send a presigned request with this method. It needs no
// permission.
func (i *Inspector) Preflight(ctx context.Context, client http.RoundTripper, origin, method string) (bool, error) {
	signed, err := i.signPut(ctx, i.folder+"preflight", 1)
	if err != nil {
		return false, err
	}
	address, _, _ := strings.Cut(signed.url, "?")
	r, err := http.NewRequestWithContext(ctx, http.MethodOptions, address, http.NoBody)
	if err != nil {
		return false, fmt.Errorf("asking for the CORS rules: %w", err)
	}
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", method)
	r.Header.Set("Access-Control-Request-Headers", preflightHeaders)
	answer, err := client.RoundTrip(r)
	if err != nil {
		return false, fmt.Errorf("asking for the CORS rules: %w", &url.Error{Op: method, Err: err})
	}
	_ = answer.Body.Close()
	return answer.StatusCode < http.StatusMultipleChoices && allows(answer.Header, origin, method), nil
}

// allows reports whether the answer to a preflight allows the request.
func allows(h http.Header, origin, method string) bool {
	for header := range strings.SplitSeq(preflightHeaders, ",") {
		if !listed(h.Get("Access-Control-Allow-Headers"), header) {
			return false
		}
	}
	allowed := h.Get("Access-Control-Allow-Origin")
	return (allowed == "*" || allowed == origin) && listed(h.Get("Access-Control-Allow-Methods"), method)
}

// listed reports whether a list of names has one of them, or all by "*".
func listed(list, name string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.EqualFold(one, name) {
			return true
		}
	}
	return false
}

// trialText is the content of the object of [Inspector.Try].
const trialText = "tokenhandler doctor"

// trialCleanup bounds the deletion of the object of [Inspector.Try].
const trialCleanup = 4 * time.Second

// Try puts a small object, as a browser does with a presigned request, and deletes it as
// the service does, also if ctx has ended: S3 may have stored it though its answer was
// lost. It returns the object's key. put is why the object was not stored, as far as is
// known, and remove why it was not deleted.
func (i *Inspector) Try(ctx context.Context, client http.RoundTripper) (key string, put, remove error) {
	key = i.folder + "trial-" + rand.Text()
	put = i.put(ctx, client, key)
	if errors.Is(put, ErrDenied) || errors.Is(put, ErrNoBucket) {
		return key, put, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), trialCleanup)
	defer cancel()
	_, err := i.bucket.objects.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &i.bucket.name, Key: &key, ExpectedBucketOwner: i.bucket.owner}, i.bucket.as)
	return key, put, inspected("deleting an object", err)
}

func (i *Inspector) put(ctx context.Context, client http.RoundTripper, key string) error {
	signed, err := i.signPut(ctx, key, int64(len(trialText)))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, signed.method, signed.url, strings.NewReader(trialText))
	if err != nil {
		return fmt.Errorf("putting an object: %w", err)
	}
	for name, value := range signed.headers {
		r.Header.Set(name, value)
	}
	answer, err := client.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("putting an object: %w", &url.Error{Op: "PUT", Err: err}) // without the presigned URL
	}
	_ = answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusForbidden:
		return ErrDenied
	case answer.StatusCode == http.StatusNotFound:
		return ErrNoBucket
	case answer.StatusCode >= http.StatusMultipleChoices:
		return fmt.Errorf("putting an object: %w %d", errStatus, answer.StatusCode)
	}
	return nil
}

// signPut presigns the upload of a small file, as for a user.
func (i *Inspector) signPut(ctx context.Context, key string, size int64) (*signedRequest, error) {
	return i.bucket.signPut(ctx, upload{full: key, contentType: "text/plain", size: size, ifNoneMatch: "*"})
}

var errStatus = errors.New("S3 answers")

// inspected turns an error of the SDK into one of the reasons, if it is one of them. op is
// what was being done.
func inspected(op string, err error) error {
	if err == nil {
		return nil
	}
	reason := err
	switch code, status := errorCode(err), statusCode(err); {
	case code == "NoSuchPublicAccessBlockConfiguration", code == "NoSuchLifecycleConfiguration":
		reason = ErrNotConfigured
	case code == "NoSuchBucket", status == http.StatusNotFound:
		reason = ErrNoBucket
	case status == http.StatusMovedPermanently, code == "AuthorizationHeaderMalformed":
		reason = ErrOtherRegion
	case code == "NotImplemented", status == http.StatusNotImplemented, status == http.StatusMethodNotAllowed:
		reason = ErrUnsupported
	case status == http.StatusForbidden:
		reason = ErrDenied
	}
	return fmt.Errorf("%s: %w", op, reason)
}
