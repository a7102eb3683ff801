package storage

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// usageAge is how old a count may be that GET /usage shows, if nothing was deleted,
// copied or completed since.
const usageAge = time.Minute

// usageResponse is the JSON form of what a user has stored.
type usageResponse struct {
	// Bytes and Objects are what was counted, unfinished uploads in parts included, and
	// what was signed since and may have arrived.
	Bytes   int64 `json:"bytes"`
	Objects int64 `json:"objects"`
	// QuotaBytes and QuotaObjects are null without a quota.
	QuotaBytes   *int64 `json:"quota_bytes"`
	QuotaObjects *int64 `json:"quota_objects"`
	// AsOf is when the count began.
	AsOf time.Time `json:"as_of"`
}

// usage handles GET /usage.
func (h *Handler) usage(q *request) (response, error) {
	b, err := h.open(q)
	if err != nil {
		return response{}, err
	}
	if err := h.ledger.refresh(q, b, demand{age: usageAge, current: true}); err != nil {
		return response{}, err
	}
	used, asOf := h.ledger.used(q.folder)
	body := usageResponse{Bytes: used.bytes, Objects: used.objects, AsOf: asOf.UTC().Truncate(time.Second)}
	if limit := h.cfg.Quota.Bytes; limit > 0 {
		body.QuotaBytes = &limit
	}
	if limit := h.cfg.Quota.Objects; limit > 0 {
		body.QuotaObjects = &limit
	}
	return response{status: http.StatusOK, body: body}, nil
}

// count is what the lists of a folder show.
type count struct {
	bytes, objects int64
	// unfinished maps S3's id of an unfinished upload to the bytes of its parts. They
	// are in bytes, too.
	unfinished map[string]int64
}

// countFolder lists a folder, page by page.
func (b userBucket) countFolder(ctx context.Context, folder string) (count, error) {
	total := count{unfinished: make(map[string]int64)}
	objects := s3.NewListObjectsV2Paginator(b.many, &s3.ListObjectsV2Input{Bucket: &b.name, ExpectedBucketOwner: b.owner, Prefix: &folder})
	for objects.HasMorePages() {
		page, err := objects.NextPage(ctx, b.as)
		if err != nil {
			return count{}, problemOf("counting objects", err)
		}
		total.objects += int64(len(page.Contents))
		for i := range page.Contents {
			total.bytes += aws.ToInt64(page.Contents[i].Size)
		}
	}
	uploads := s3.NewListMultipartUploadsPaginator(b.many, &s3.ListMultipartUploadsInput{Bucket: &b.name, ExpectedBucketOwner: b.owner, Prefix: &folder})
	for uploads.HasMorePages() {
		page, err := uploads.NextPage(ctx, b.as)
		if err != nil {
			return count{}, problemOf("counting unfinished uploads", err)
		}
		for i := range page.Uploads {
			size, err := b.countParts(ctx, page.Uploads[i].Key, page.Uploads[i].UploadId)
			if err != nil {
				return count{}, err
			}
			total.bytes += size
			total.unfinished[aws.ToString(page.Uploads[i].UploadId)] = size
		}
	}
	return total, nil
}

// countParts returns the bytes of an unfinished upload; 0 if it was ended meanwhile.
func (b userBucket) countParts(ctx context.Context, key, id *string) (int64, error) {
	total := int64(0)
	pages := s3.NewListPartsPaginator(b.parts, &s3.ListPartsInput{Bucket: &b.name, Key: key, UploadId: id, ExpectedBucketOwner: b.owner})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, b.as)
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
