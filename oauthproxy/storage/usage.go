package storage

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cognito-token-handler/tokenhandler/web"
	"cognito-token-handler/tokenhandler/wire"
)

// usageAge is how old a count may be that GET /usage shows, if nothing was deleted,
// copied or completed since.
const usageAge = time.Minute

// usageResponse is the JSON form of what a user has stored.
type usageResponse = wire.Usage

// usage handles GET /usage.
func (h *Handler) usage(q *request) (response, error) {
	b, err := h.open(q)
	if err != nil {
		return response{}, err
	}
	err = h.ledger.refresh(q, b, demand{age: usageAge, current: true})
	used, asOf := h.ledger.used(q.Context(), q.folder)
	if err != nil && (asOf.IsZero() || !isProblem(err, web.CodeUpstreamTimeout)) {
		return response{}, err
	}
	body := usageResponse{Bytes: used.bytes, Objects: used.objects, AsOf: asOf.UTC().Truncate(time.Second)}
	if limit := h.cfg.Quota.Bytes; limit > 0 {
		body.QuotaBytes = &limit
	}
	if limit := h.cfg.Quota.Objects; limit > 0 {
		body.QuotaObjects = &limit
	}
	return response{status: http.StatusOK, body: body}, nil
}

// countFolder lists a folder, page by page. names are those of the claims of which it
// tells what it has seen.
func (b userBucket) countFolder(ctx context.Context, folder string, names map[string]bool, into *counted) error {
	objects := s3.NewListObjectsV2Paginator(b.many, &s3.ListObjectsV2Input{
		Bucket: &b.name, ExpectedBucketOwner: b.owner, Prefix: &folder, EncodingType: types.EncodingTypeUrl,
	})
	for objects.HasMorePages() {
		page, err := pageOf(ctx, objects.NextPage, b.as)
		if err != nil {
			return problemOf("counting objects", err)
		}
		for i := range page.Contents {
			into.add(&page.Contents[i], page.EncodingType, names)
		}
	}
	return b.countUploads(ctx, folder, into)
}

// pageOf gets one page. A call that hangs must not hold a count until countTimeout.
func pageOf[T any](ctx context.Context, next func(context.Context, ...func(*s3.Options)) (T, error), as func(*s3.Options)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return next(ctx, as)
}

// add counts one object.
func (c *counted) add(object *types.Object, encoding types.EncodingType, names map[string]bool) {
	size := aws.ToInt64(object.Size)
	c.bytes += size
	c.objects++
	if len(names) == 0 {
		return
	}
	key, err := decodeKey(object.Key, encoding)
	if name := nameOf(ofKey, key); err == nil && names[name] {
		c.seen[name] = stored{size, 1}
	}
}

// countUploads counts the parts of unfinished uploads.
func (b userBucket) countUploads(ctx context.Context, folder string, into *counted) error {
	uploads := s3.NewListMultipartUploadsPaginator(b.many, &s3.ListMultipartUploadsInput{Bucket: &b.name, ExpectedBucketOwner: b.owner, Prefix: &folder})
	for uploads.HasMorePages() {
		page, err := pageOf(ctx, uploads.NextPage, b.as)
		if err != nil {
			return problemOf("counting unfinished uploads", err)
		}
		for i := range page.Uploads {
			size, err := b.countParts(ctx, page.Uploads[i].Key, page.Uploads[i].UploadId)
			if err != nil {
				return err
			}
			into.bytes += size
			into.seen[nameOf(ofUpload, aws.ToString(page.Uploads[i].UploadId))] = stored{bytes: size}
		}
	}
	return nil
}

// countParts returns the bytes of an unfinished upload; 0 if it was ended meanwhile.
func (b userBucket) countParts(ctx context.Context, key, id *string) (int64, error) {
	total := int64(0)
	pages := s3.NewListPartsPaginator(b.parts, &s3.ListPartsInput{Bucket: &b.name, Key: key, UploadId: id, ExpectedBucketOwner: b.owner})
	for pages.HasMorePages() {
		page, err := pageOf(ctx, pages.NextPage, b.as)
		if errorCode(err) == "NoSuchUpload" {
			return 0, nil
		}
		if err != nil {
			return 0, problemOf("counting parts", err)
		}
		for i := range page.Parts {
			total += aws.ToInt64(page.Parts[i].Size)
		}
	}
	return total, nil
}
