package storage

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cognito-token-handler/tokenhandler/web"
	"cognito-token-handler/tokenhandler/wire"
)

// object is the JSON form of an object.
type object = wire.Object

// stat asks S3 about an object. The error is not_found if it does not exist.
func (b userBucket) stat(ctx context.Context, key string) (*s3.HeadObjectOutput, error) {
	return b.statWith(ctx, key, "")
}

// statWith also asks for the checksums if mode says so. For them S3 demands the right to
// decrypt the object.
func (b userBucket) statWith(ctx context.Context, key string, mode types.ChecksumMode) (*s3.HeadObjectOutput, error) {
	found, err := b.objects.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &b.name, Key: &key, ExpectedBucketOwner: b.owner, ChecksumMode: mode,
	}, b.as)
	if err == nil {
		return found, nil
	}
	if statusCode(err) == http.StatusForbidden && b.isMissing(ctx, key) {
		return nil, noSuchObject(err)
	}
	err = problemOf("asking for an object", err)
	if isProblem(err, web.CodeNotFound) {
		// The answer to a HEAD has no body: it does not say whether the object or the
		// bucket is missing.
		_, gone := b.many.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name, ExpectedBucketOwner: b.owner}, b.as)
		if code := errorCode(gone); code == "NotFound" || code == "NoSuchBucket" {
			return nil, web.NewProblem(web.CodeUpstreamError, "the storage refused the request", gone)
		}
	}
	return nil, err
}

// isMissing reports whether a list says that there is no such object. Credentials that
// may list only one prefix are refused when they ask for an object that is not there: the
// request has no prefix, so that the condition of their policy is not met.
func (b userBucket) isMissing(ctx context.Context, key string) bool {
	page, err := b.many.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &b.name, ExpectedBucketOwner: b.owner, Prefix: &key, MaxKeys: aws.Int32(1),
	}, b.as)
	return err == nil && (len(page.Contents) == 0 || aws.ToString(page.Contents[0].Key) != key)
}

// head handles HEAD /objects/{key}: it answers with what is known of the object, and
// not with a redirect, which a script could not read.
func (h *Handler) head(q *request) (response, error) {
	key, err := q.key("key", q.name)
	if err != nil {
		return response{}, err
	}
	b, err := h.open(q)
	if err != nil {
		return response{}, err
	}
	found, err := b.statWith(q.Context(), key, types.ChecksumModeEnabled)
	if err != nil {
		return response{}, err
	}
	status, err := precondition(q.Header, aws.ToString(found.ETag), http.StatusNotModified)
	if err != nil {
		return response{}, err
	}
	header := headerOf(found)
	exposeAll(q.w.Header(), header)
	if status == http.StatusNotModified {
		return response{status: status, header: http.Header{"Etag": header["Etag"]}}, nil
	}
	return response{status: http.StatusOK, header: header}, nil
}

// get handles GET /objects/{key}: it redirects to a presigned GET, which is valid for
// this object with this type and disposition only.
func (h *Handler) get(q *request) (response, error) {
	key, err := q.key("key", q.name)
	if err != nil {
		return response{}, err
	}
	download, redirect, err := q.readGet()
	if err != nil {
		return response{}, err
	}
	b, err := h.open(q)
	if err != nil {
		return response{}, err
	}
	found, err := b.stat(q.Context(), key)
	if err != nil {
		return response{}, err
	}
	signed, err := b.signGet(q, key, found, download)
	if err != nil {
		return response{}, err
	}
	if err := h.record(q, opGet, q.name, aws.ToInt64(found.ContentLength)); err != nil {
		return response{}, err
	}
	if redirect {
		return response{status: http.StatusTemporaryRedirect, location: signed.url}, nil
	}
	return response{status: http.StatusOK, body: getResponse{URL: signed.url, ExpiresAt: signed.expiresAt}}, nil
}

// getResponse is the JSON form of a presigned download.
type getResponse = wire.Download

// readGet reads the parameters of a download. download is nil if no attachment is asked
// for.
func (q *request) readGet() (download *string, redirect bool, err error) {
	name, asked, err := q.parameter("download")
	if err != nil {
		return nil, false, err
	}
	if fault := checkName(name); fault != "" {
		return nil, false, invalid(fault)
	}
	if asked {
		download = &name
	}
	follow, present, err := q.parameter("redirect")
	if err != nil {
		return nil, false, err
	}
	if present && follow != "true" && follow != "false" {
		return nil, false, invalid(`"redirect" must be true or false`)
	}
	return download, follow != "false", nil
}
