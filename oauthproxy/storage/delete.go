package storage

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cognito-token-handler/tokenhandler/web"
	"cognito-token-handler/tokenhandler/wire"
)

var (
	errForeignKey = errors.New("a listed key is not in the user's folder")
	errNotDeleted = errors.New("an object was not deleted")
)

// delete handles DELETE /objects/{key}. S3 itself does not say whether there was an
// object, so it is asked before. The conditions hold at the time of the deletion, too:
// S3 compares the ETag again.
func (h *Handler) delete(q *request) (response, error) {
	key, err := q.key("key", q.name)
	if err != nil {
		return response{}, err
	}
	if err := q.wantRecursive(false); err != nil {
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
	if _, err := precondition(q.Header, aws.ToString(found.ETag), 0); err != nil {
		return response{}, err
	}
	input := &s3.DeleteObjectInput{Bucket: &b.name, Key: &key, ExpectedBucketOwner: b.owner}
	if q.Header.Get("If-Match") != "" || q.Header.Get("If-None-Match") != "" {
		input.IfMatch = found.ETag
	}
	if _, err := b.objects.DeleteObject(q.Context(), input, b.as); err != nil {
		return response{}, problemOf("deleting an object", err)
	}
	h.ledger.outdate(q.Context(), q.folder)
	_ = h.record(q, opDelete, q.name, aws.ToInt64(found.ContentLength)) // it is done
	return response{status: http.StatusNoContent}, nil
}

// wantRecursive compares the parameter recursive with the kind of key: an app that
// forgets the slash, or has an empty name before it, must not delete a folder.
func (q *request) wantRecursive(folder bool) error {
	value, present, err := q.parameter("recursive")
	switch {
	case err != nil:
		return err
	case present && value != "true" && value != "false":
		return invalid(`"recursive" must be true or false`)
	case folder && value != "true":
		return invalid(`"key" names a folder; delete it with ?recursive=true`)
	case !folder && value == "true":
		return invalid(`"recursive" needs a key that ends with a slash`)
	}
	return nil
}

// deletedResponse is the JSON form of a step of a recursive deletion.
type deletedResponse = wire.Deleted

// deleteFolder handles DELETE /objects/{key}/?recursive=true. One request deletes at
// most 1,000 objects: one list and one batch. It needs no memory of what it has done,
// because the next one lists what is left.
func (h *Handler) deleteFolder(q *request) (response, error) {
	if err := q.wantRecursive(true); err != nil {
		return response{}, err
	}
	if q.Header.Get("If-Match") != "" || q.Header.Get("If-None-Match") != "" {
		return response{}, invalid("a folder has no ETag to compare with")
	}
	full, err := q.key("key", strings.TrimSuffix(q.name, "/"))
	if err != nil {
		return response{}, err
	}
	b, err := h.open(q)
	if err != nil {
		return response{}, err
	}
	prefix := full + "/"
	page, err := b.many.ListObjectsV2(q.Context(), &s3.ListObjectsV2Input{
		Bucket: &b.name, ExpectedBucketOwner: b.owner, Prefix: &prefix, MaxKeys: aws.Int32(maxPage), EncodingType: types.EncodingTypeUrl,
	}, b.as)
	if err != nil {
		return response{}, problemOf("listing a folder", err)
	}
	deleted, err := h.deleteAll(q, b, page)
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusOK, body: deletedResponse{Deleted: deleted, More: aws.ToBool(page.IsTruncated)}}, nil
}

// deleteAll deletes the listed objects with one call, and returns how many.
func (h *Handler) deleteAll(q *request, b userBucket, page *s3.ListObjectsV2Output) (int, error) {
	if len(page.Contents) == 0 {
		return 0, nil
	}
	sizes := make(map[string]int64, len(page.Contents)) // full key → bytes
	objects := make([]types.ObjectIdentifier, 0, len(page.Contents))
	for i := range page.Contents {
		key, err := q.listed(page.Contents[i].Key, page.EncodingType)
		if err != nil {
			return 0, err
		}
		sizes[key] = aws.ToInt64(page.Contents[i].Size)
		objects = append(objects, types.ObjectIdentifier{Key: &key})
	}
	done, err := b.many.DeleteObjects(q.Context(), &s3.DeleteObjectsInput{
		Bucket: &b.name, ExpectedBucketOwner: b.owner, Delete: &types.Delete{Objects: objects},
	}, b.as)
	if err != nil {
		return 0, problemOf("deleting objects", err)
	}
	h.ledger.outdate(q.Context(), q.folder)
	for _, object := range done.Deleted {
		key := aws.ToString(object.Key)
		_ = h.record(q, opDeleteFolder, strings.TrimPrefix(key, q.folder), sizes[key]) // it is done
	}
	if len(done.Errors) > 0 {
		err := fmt.Errorf("deleting objects: %w: %s, and %d more", errNotDeleted, aws.ToString(done.Errors[0].Code), len(done.Errors)-1)
		return 0, web.NewProblem(web.CodeUpstreamError, "not all objects could be deleted", err)
	}
	return len(done.Deleted), nil
}
