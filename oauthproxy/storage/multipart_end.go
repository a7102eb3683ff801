package storage

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cognito-token-handler/tokenhandler/web"
)

// complete handles POST /multipart/{upload_id}/complete:
//
//  1. It lists the parts that S3 has. The client's word does not count.
//  2. If parts are missing it refuses, and the upload can go on.
//  3. If the parts are not what was signed, or the object would be over a limit, it
//     aborts the upload.
//  4. It completes the upload, if the conditions of its creation hold.
func (h *Handler) complete(q *request) (response, error) {
	var key string
	if q.ContentLength != 0 {
		if err := q.readJSON(map[string]any{"key": &key}); err != nil {
			return response{}, err
		}
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
	if fault := u.missing(stored); fault != "" {
		return response{}, invalid(fault)
	}
	if err := h.checkParts(q, b, full, u, stored); err != nil {
		if !isVerdict(err) {
			return response{}, err // the upload can go on
		}
		if abortErr := b.abortParts(q, full, u.ID); abortErr != nil {
			return response{}, abortErr
		}
		h.ledger.release(q.Context(), q.folder, nameOf(ofUpload, u.ID))
		return response{}, err
	}
	if err := b.completeParts(q, full, u, stored); err != nil {
		return response{}, err
	}
	h.ledger.release(q.Context(), q.folder, nameOf(ofUpload, u.ID))
	_ = h.record(q, opComplete, u.Key, u.Size) // it is done
	found, err := b.stat(q.Context(), full)
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusCreated, body: object{
		Key: u.Key, Size: aws.ToInt64(found.ContentLength), ETag: aws.ToString(found.ETag), LastModified: aws.ToTime(found.LastModified).UTC(),
	}}, nil
}

// missing says which parts are missing, some of them if there are many.
func (u partsUpload) missing(stored []storedPart) string {
	const named = 10
	have := make(map[int64]bool, len(stored))
	for _, part := range stored {
		have[part.PartNumber] = true
	}
	var gaps []string
	for number := int64(1); number <= u.partCount(); number++ {
		if !have[number] {
			gaps = append(gaps, fmt.Sprint(number))
		}
	}
	switch {
	case len(gaps) == 0:
		return ""
	case len(gaps) > named:
		return fmt.Sprintf("%d parts are missing, such as %s", len(gaps), strings.Join(gaps[:named], ", "))
	}
	return "these parts are missing: " + strings.Join(gaps, ", ")
}

// checkParts compares the stored parts with what was declared, and with the limits,
// which the operator may have lowered since.
func (h *Handler) checkParts(q *request, b userBucket, full string, u partsUpload, stored []storedPart) error {
	total := int64(0)
	for _, part := range stored {
		if part.PartNumber > u.partCount() || part.Size != u.sizeOf(part.PartNumber) {
			return invalid(fmt.Sprintf("part %d has %d bytes; the upload was aborted", part.PartNumber, part.Size))
		}
		total += part.Size
	}
	switch {
	case total != u.Size:
		return invalid(fmt.Sprintf("the parts have %d bytes instead of %d; the upload was aborted", total, u.Size))
	case total > h.cfg.MaxSize:
		return web.NewProblem(web.CodeTooLarge, fmt.Sprintf("the object is over the limit of %d bytes; the upload was aborted", h.cfg.MaxSize), nil)
	}
	return h.ledger.admit(q, b, claim{name: nameOf(ofUpload, u.ID), bytes: total, key: full, until: h.cfg.Now().Add(completeTimeout)})
}

func (b userBucket) completeParts(q *request, key string, u partsUpload, stored []storedPart) error {
	parts := make([]types.CompletedPart, len(stored))
	for i := range stored {
		parts[i] = types.CompletedPart{ETag: &stored[i].ETag, PartNumber: aws.Int32(int32(stored[i].PartNumber))} //nolint:gosec // at most 10,000
		if stored[i].Checksum != "" {
			u.Algorithm.complete(&parts[i], stored[i].Checksum)
		}
	}
	_, err := b.parts.CompleteMultipartUpload(q.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: &b.name, Key: &key, UploadId: &u.ID, ExpectedBucketOwner: b.owner, MpuObjectSize: &u.Size,
		IfNoneMatch: optional(u.IfNoneMatch), IfMatch: optional(u.IfMatch), MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		ChecksumType: u.Algorithm.kind(),
	}, b.as)
	if err == nil {
		return nil
	}
	if code := errorCode(err); code == "InvalidPart" || code == "EntityTooSmall" {
		// The list of parts was the newest, so one was uploaded again since.
		return web.NewProblem(web.CodePreconditionFailed, "a part was replaced while the upload was completed; try again", err)
	}
	err = problemOf("completing an upload in parts", err)
	if u.IfNoneMatch != "" && isProblem(err, web.CodePreconditionFailed) {
		return b.whichCondition(q.Context(), u.IfNoneMatch, key, "another request changed the object at the same time; try again", err)
	}
	return err
}

// abort handles DELETE /multipart/{upload_id}: S3 deletes the parts.
func (h *Handler) abort(q *request) (response, error) {
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
	if err := b.abortParts(q, full, u.ID); err != nil {
		return response{}, err
	}
	h.ledger.release(q.Context(), q.folder, nameOf(ofUpload, u.ID))
	_ = h.record(q, opAbort, u.Key, u.Size) // it is done
	return response{status: http.StatusNoContent}, nil
}

// isVerdict reports whether an error of checkParts is about the upload. Other errors may
// pass: S3 was not reached, or the folder could not be counted.
func isVerdict(err error) bool {
	return isProblem(err, web.CodeInvalidRequest) || isProblem(err, web.CodeTooLarge) || isProblem(err, web.CodeQuotaExceeded)
}
