package storage

import (
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cognito-token-handler/tokenhandler/wire"
)

// maxSignedParts bounds the parts that one request signs.
const maxSignedParts = 100

// signedPart is the JSON form of a presigned part.
type signedPart = wire.SignedPart

// signPartsResponse is the JSON form of presigned parts.
type signPartsResponse = wire.SignedParts

// signParts handles POST /multipart/{upload_id}/parts. A part's size is signed: it
// follows from the declared size of the whole.
func (h *Handler) signParts(q *request) (response, error) {
	var key string
	var numbers []int32
	var checksums []string
	if err := q.readJSON(map[string]any{"key": &key, "part_numbers": &numbers, "checksums": &checksums}); err != nil {
		return response{}, err
	}
	u, full, err := h.openUpload(q, key)
	if err != nil {
		return response{}, err
	}
	for _, fault := range []string{u.checkNumbers(key, numbers), u.Algorithm.checkParts(checksums, len(numbers))} {
		if fault != "" {
			return response{}, invalid(fault)
		}
	}
	b, err := h.open(q)
	if err != nil {
		return response{}, err
	}
	body, total, err := b.signAll(q, full, u, numbers, checksums)
	if err != nil {
		return response{}, err
	}
	if err := h.ledger.admit(q, b, u.claim(body.ExpiresAt)); err != nil {
		return response{}, err
	}
	if err := h.record(q, opSignParts, u.Key, total); err != nil {
		return response{}, err
	}
	return response{status: http.StatusOK, body: body}, nil
}

// signAll signs parts, and returns how many bytes they have.
func (b userBucket) signAll(q *request, key string, u partsUpload, numbers []int32, checksums []string) (body signPartsResponse, total int64, err error) {
	for i, number := range numbers {
		size := u.sizeOf(int64(number))
		input := &s3.UploadPartInput{
			Bucket: &b.name, Key: &key, UploadId: &u.ID, PartNumber: &number, ContentLength: &size, ExpectedBucketOwner: b.owner,
		}
		if u.Algorithm != "" {
			u.Algorithm.sign(input, checksums[i])
		}
		signed, err := b.sign("", func(o func(*s3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
			return b.presign.PresignUploadPart(q.Context(), input, o)
		})
		if err != nil {
			return signPartsResponse{}, 0, err
		}
		total += size
		body.ExpiresAt = signed.expiresAt
		body.Parts = append(body.Parts, signedPart{
			PartNumber: int64(number), Size: size, Method: signed.method, URL: signed.url, Headers: signed.headers,
		})
	}
	return body, total, nil
}

func (u partsUpload) checkNumbers(key string, numbers []int32) string {
	switch {
	case key == "":
		return `"key" is required`
	case len(numbers) == 0 || len(numbers) > maxSignedParts:
		return fmt.Sprintf(`"part_numbers" must name 1 to %d parts`, maxSignedParts)
	}
	seen := make(map[int32]bool, len(numbers))
	for _, number := range numbers {
		if number < 1 || int64(number) > u.partCount() {
			return fmt.Sprintf(`"part_numbers" must be from 1 to %d for this upload`, u.partCount())
		}
		if seen[number] {
			return fmt.Sprintf(`"part_numbers" holds %d twice`, number)
		}
		seen[number] = true
	}
	return ""
}

// storedPart is the JSON form of a part that S3 has.
type storedPart = wire.StoredPart

// listPartsResponse is the JSON form of the parts that S3 has.
type listPartsResponse = wire.StoredParts

// listParts handles GET /multipart/{upload_id}: what a client needs to resume.
func (h *Handler) listParts(q *request) (response, error) {
	key, _, err := q.parameter("key")
	if err != nil {
		return response{}, err
	}
	u, full, err := h.openUpload(q, key)
	if err != nil {
		return response{}, err
	}
	b, err := h.open(q)
	if err != nil {
		return response{}, err
	}
	stored, err := b.storedParts(q, full, u)
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusOK, body: listPartsResponse{
		Key: u.Key, Size: u.Size, PartSize: u.partSize(), PartCount: u.partCount(), Parts: stored,
	}}, nil
}

// storedParts lists the parts that S3 has, at most 10,000.
func (b userBucket) storedParts(q *request, key string, u partsUpload) ([]storedPart, error) {
	parts := []storedPart{}
	pages := s3.NewListPartsPaginator(b.parts, &s3.ListPartsInput{Bucket: &b.name, Key: &key, UploadId: &u.ID, ExpectedBucketOwner: b.owner})
	for pages.HasMorePages() {
		page, err := pages.NextPage(q.Context(), b.as)
		if err != nil {
			return nil, problemOf("listing the parts of an upload", err)
		}
		for i := range page.Parts {
			part := &page.Parts[i]
			parts = append(parts, storedPart{
				PartNumber: int64(aws.ToInt32(part.PartNumber)), Size: aws.ToInt64(part.Size), ETag: aws.ToString(part.ETag), Checksum: u.Algorithm.of(part),
			})
		}
	}
	return parts, nil
}
