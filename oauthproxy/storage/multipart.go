package storage

import (
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cognito-token-handler/tokenhandler/web"
	"cognito-token-handler/tokenhandler/wire"
)

const (
	// maxParts is the largest number of parts of an object (Amazon S3 User Guide, "Amazon
	// S3 multipart upload limits").
	maxParts = 10_000
	// minPart is the size of a part unless the object would need too many of them. S3
	// wants at least 5 MiB.
	minPart = 8 << 20
	// maxUnfinished bounds a user's uploads in parts that were neither completed nor
	// aborted: their parts are stored, but in no list of objects.
	maxUnfinished = 50
)

// partsUpload is what the id of an upload in parts holds. It is sealed for the user's
// folder, so an id of another user does not open.
type partsUpload struct {
	// Key is relative to the user's folder.
	Key string `json:"k"`
	// Size is the declared size of the whole object, in bytes.
	Size int64 `json:"s"`
	// ID is S3's id of the upload.
	ID          string `json:"i"`
	IfNoneMatch string `json:"n,omitempty"`
	IfMatch     string `json:"m,omitempty"`
	// Algorithm is that of the parts' checksums.
	Algorithm checksumAlgorithm `json:"a,omitempty"`
}

// partSize returns the size of all parts but the last: as small as possible, in MiB.
func (u partsUpload) partSize() int64 {
	const unit = 1 << 20
	least := (u.Size + maxParts - 1) / maxParts
	return max(minPart, (least+unit-1)/unit*unit)
}

func (u partsUpload) partCount() int64 {
	size := u.partSize()
	return (u.Size + size - 1) / size
}

// sizeOf returns the size of the part with a number from 1 to partCount.
func (u partsUpload) sizeOf(number int64) int64 {
	return min(u.partSize(), u.Size-(number-1)*u.partSize())
}

// createPartsResponse is the JSON form of an upload in parts.
type createPartsResponse = wire.PartsUpload

// createParts handles POST /multipart:
//
//  1. It checks the same body as for an upload in one piece.
//  2. It starts the upload at S3.
//  3. It aborts the upload if the user leaves too many unfinished, or if the declared
//     size does not fit into the quota.
func (h *Handler) createParts(q *request) (response, error) {
	u, err := h.readUpload(q)
	if err != nil {
		return response{}, err
	}
	switch {
	case u.size == 0:
		return response{}, invalid(`"size" must be at least 1 for an upload in parts`)
	case u.sha256 != "" || u.crc32 != "":
		return response{}, invalid(`an upload in parts takes no checksum of the whole; with "checksum_algorithm", each part has one`)
	}
	b, err := h.open(q)
	if err != nil {
		return response{}, err
	}
	started, err := b.startParts(q, u)
	if err != nil {
		return response{}, err
	}
	parts := partsUpload{Key: u.key, Size: u.size, ID: started, IfNoneMatch: u.ifNoneMatch, IfMatch: u.ifMatch, Algorithm: u.algorithm}
	id, err := h.seal(uploadName(q.folder), parts)
	if err == nil {
		err = b.limitUnfinished(q)
	}
	if err == nil {
		err = h.ledger.admit(q, b, parts.claim(h.cfg.Now().Add(h.cfg.Expires)))
	}
	if err != nil {
		if abortErr := b.abortParts(q, u.full, started); abortErr != nil {
			h.cfg.Log.WarnContext(q.Context(), "storage: an upload was refused and could not be aborted", "error", abortErr.Error())
		}
		return response{}, err
	}
	if err := h.record(q, opCreateParts, u.key, u.size); err != nil {
		return response{}, err
	}
	return response{status: http.StatusCreated, body: createPartsResponse{
		UploadID: id, Key: u.key, PartSize: parts.partSize(), PartCount: parts.partCount(),
	}}, nil
}

// claim is the room that the upload needs if its parts are signed until then.
func (u partsUpload) claim(expires time.Time) claim {
	return claim{name: nameOf(ofUpload, u.ID), bytes: u.Size, until: arrived(expires, u.partSize())}
}

func uploadName(folder string) string { return sealedFor("upload", folder) }

// limitUnfinished refuses a user with too many unfinished uploads, the new one included:
// of requests at the same time, none could know of the others before it has begun.
func (b userBucket) limitUnfinished(q *request) error {
	page, err := b.many.ListMultipartUploads(q.Context(), &s3.ListMultipartUploadsInput{
		Bucket: &b.name, ExpectedBucketOwner: b.owner, Prefix: &q.folder, MaxUploads: aws.Int32(maxUnfinished + 1),
	}, b.as)
	if err != nil {
		return problemOf("listing unfinished uploads", err)
	}
	if len(page.Uploads) > maxUnfinished {
		return web.NewProblem(web.CodeQuotaExceeded, fmt.Sprintf("%d uploads in parts are unfinished; complete or abort some", maxUnfinished), nil)
	}
	return nil
}

// startParts starts an upload at S3 and returns S3's id.
func (b userBucket) startParts(q *request, u upload) (string, error) {
	started, err := b.parts.CreateMultipartUpload(q.Context(), &s3.CreateMultipartUploadInput{
		Bucket: &b.name, Key: &u.full, ExpectedBucketOwner: b.owner, ContentType: &u.contentType, Metadata: u.metadata,
		CacheControl: optional(u.cacheControl), ContentDisposition: optional(u.contentDisposition),
		ServerSideEncryption: b.sse, SSEKMSKeyId: b.kmsKey,
		ChecksumAlgorithm: types.ChecksumAlgorithm(u.algorithm), ChecksumType: u.algorithm.kind(),
	}, b.as)
	if err != nil {
		return "", problemOf("starting an upload in parts", err)
	}
	return aws.ToString(started.UploadId), nil
}

func (b userBucket) abortParts(q *request, key, id string) error {
	_, err := b.parts.AbortMultipartUpload(q.Context(), &s3.AbortMultipartUploadInput{
		Bucket: &b.name, Key: &key, UploadId: &id, ExpectedBucketOwner: b.owner,
	}, b.as)
	if err != nil {
		return problemOf("aborting an upload in parts", err)
	}
	return nil
}

// openUpload opens the upload id in the path, for this user only. key is what the client
// says that it is for; "" if it does not say. The full key is checked and put together
// again, and not taken from the id.
func (h *Handler) openUpload(q *request, key string) (u partsUpload, full string, err error) {
	if err := h.unseal(uploadName(q.folder), q.name, &u); err != nil {
		return partsUpload{}, "", noSuchUpload(err)
	}
	if key != "" && key != u.Key {
		return partsUpload{}, "", invalid(`"key" is not that of this upload`)
	}
	if full, err = q.key("key", u.Key); err != nil {
		return partsUpload{}, "", err
	}
	return u, full, nil
}
