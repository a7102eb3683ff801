package storage

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cognito-token-handler/tokenhandler/web"
)

// copying describes a copy. The keys are relative.
type copying struct {
	from, to         string
	fullFrom, fullTo string
	ifNoneMatch      string
}

// copy handles POST /copies: a copy within the user's folder, with type and metadata.
func (h *Handler) copy(q *request) (response, error) {
	c, err := q.readCopy()
	if err != nil {
		return response{}, err
	}
	b, err := h.open(q)
	if err != nil {
		return response{}, err
	}
	source, err := b.stat(q.Context(), c.fullFrom)
	if err != nil {
		return response{}, err
	}
	size := aws.ToInt64(source.ContentLength)
	if size > min(h.cfg.MaxSize, MaxPutSize) {
		return response{}, web.NewProblem(web.CodeTooLarge, "the object is too large to be copied", nil)
	}
	if c.ifNoneMatch != "" {
		// S3 looks again when it copies. Not every other server does.
		if _, err := b.stat(q.Context(), c.fullTo); !isProblem(err, web.CodeNotFound) {
			return response{}, alreadyExists(err)
		}
	}
	room := nameOf(ofCopy, c.fullTo)
	if err := h.ledger.admit(q, b, claim{name: room, bytes: size, key: c.fullTo, until: h.cfg.Now().Add(completeTimeout)}); err != nil {
		return response{}, err
	}
	done, err := b.copyObject(q, c, source)
	if err != nil {
		return response{}, err
	}
	h.ledger.release(q.Context(), q.folder, room)
	_ = h.record(q, opCopy, c.to, size) // it is done
	body := object{Key: c.to, Size: size}
	if result := done.CopyObjectResult; result != nil {
		body.ETag, body.LastModified = aws.ToString(result.ETag), aws.ToTime(result.LastModified).UTC()
	}
	return response{status: http.StatusCreated, body: body}, nil
}

// copyObject copies the object that was found, and no other that replaces it meanwhile:
// its size was checked.
func (b userBucket) copyObject(q *request, c copying, source *s3.HeadObjectOutput) (*s3.CopyObjectOutput, error) {
	done, err := b.objects.CopyObject(q.Context(), &s3.CopyObjectInput{
		Bucket: &b.name, Key: &c.fullTo, CopySource: aws.String(copySource(b.name, c.fullFrom)), CopySourceIfMatch: source.ETag,
		IfNoneMatch: optional(c.ifNoneMatch), ExpectedBucketOwner: b.owner, ExpectedSourceBucketOwner: b.owner,
		ServerSideEncryption: b.sse, SSEKMSKeyId: b.kmsKey,
	}, b.as)
	if err == nil {
		return done, nil
	}
	err = problemOf("copying an object", err)
	if isProblem(err, web.CodePreconditionFailed) {
		return nil, b.whichCondition(q.Context(), c.ifNoneMatch, c.fullTo, "the object was replaced while it was copied; try again", err)
	}
	return nil, err
}

// whichCondition says why S3 refused a request with two conditions: already_exists if
// there is an object where none may be, else that something has changed meanwhile.
func (b userBucket) whichCondition(ctx context.Context, ifNoneMatch, key, changed string, cause error) error {
	if ifNoneMatch != "" {
		_, err := b.stat(ctx, key)
		if err == nil {
			return alreadyExists(cause)
		}
		if !isProblem(err, web.CodeNotFound) {
			return err
		}
	}
	return web.NewProblem(web.CodePreconditionFailed, changed, cause)
}

// alreadyExists returns already_exists, or err if it says that it could not be seen
// whether there is an object.
func alreadyExists(err error) error {
	if err != nil && !isProblem(err, web.CodePreconditionFailed) {
		return err
	}
	return web.NewProblem(web.CodeAlreadyExists, "there is an object with this key", err)
}

func (q *request) readCopy() (copying, error) {
	var c copying
	err := q.readJSON(map[string]any{"from": &c.from, "to": &c.to, "if_none_match": &c.ifNoneMatch})
	if err != nil {
		return copying{}, err
	}
	if c.fullFrom, err = q.key("from", c.from); err != nil {
		return copying{}, err
	}
	if c.fullTo, err = q.key("to", c.to); err != nil {
		return copying{}, err
	}
	switch {
	case c.from == c.to:
		return copying{}, invalid(`"from" and "to" are the same key`)
	case c.ifNoneMatch != "" && c.ifNoneMatch != "*":
		return copying{}, invalid(`"if_none_match" must be "*"`)
	}
	return c, nil
}

// copySource encodes bucket and key for the header of that name, which S3 decodes like a
// query: a plus sign would become a space.
func copySource(bucket, key string) string {
	segments := strings.Split(key, "/")
	for i, segment := range segments {
		segments[i] = strings.ReplaceAll(url.QueryEscape(segment), "+", "%20")
	}
	return bucket + "/" + strings.Join(segments, "/")
}
