package storage

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cognito-token-handler/tokenhandler/web"
	"cognito-token-handler/tokenhandler/wire"
)

// maxPage is the largest page of a list: what one call to S3 returns at most (Amazon S3
// API Reference, "ListObjectsV2").
const maxPage = 1000

// listing is a checked request for a page of objects.
type listing struct {
	prefix    string // the full prefix
	delimiter string // "/" or ""
	limit     int32
	token     string // S3's, "" for the first page
}

// listResponse is the JSON form of a page of objects.
type listResponse = wire.Objects

// list handles GET /objects with one call to S3.
func (h *Handler) list(q *request) (response, error) {
	asked, err := h.readListing(q)
	if err != nil {
		return response{}, err
	}
	b, err := h.open(q)
	if err != nil {
		return response{}, err
	}
	page, err := b.many.ListObjectsV2(q.Context(), &s3.ListObjectsV2Input{
		Bucket: &b.name, ExpectedBucketOwner: b.owner, Prefix: &asked.prefix, Delimiter: optional(asked.delimiter),
		MaxKeys: &asked.limit, ContinuationToken: optional(asked.token),
		EncodingType: types.EncodingTypeUrl, // or a key with a control character could not be in the XML
	}, b.as)
	if err != nil {
		return response{}, problemOf("listing objects", err)
	}
	body, err := q.pageOf(page)
	if err != nil {
		return response{}, err
	}
	if aws.ToBool(page.IsTruncated) {
		if body.NextCursor, err = h.seal(asked.cursorName(), aws.ToString(page.NextContinuationToken)); err != nil {
			return response{}, err
		}
	}
	return response{status: http.StatusOK, body: body}, nil
}

// readListing reads and checks the parameters.
func (h *Handler) readListing(q *request) (listing, error) {
	var values [4]string
	for i, name := range []string{"prefix", "delimiter", "limit", "cursor"} {
		value, _, err := q.parameter(name)
		if err != nil {
			return listing{}, err
		}
		values[i] = value
	}
	prefix, err := q.prefix("prefix", values[0])
	if err != nil {
		return listing{}, err
	}
	asked := listing{prefix: prefix, delimiter: values[1], limit: maxPage}
	if asked.delimiter != "" && asked.delimiter != "/" {
		return listing{}, invalid(`"delimiter" must be "/"`)
	}
	if values[2] != "" {
		limit, err := strconv.ParseInt(values[2], 10, 32)
		if err != nil || limit < 1 || limit > maxPage {
			return listing{}, invalid(`"limit" must be a whole number from 1 to 1000`)
		}
		asked.limit = int32(limit)
	}
	if values[3] != "" {
		if err := h.unseal(asked.cursorName(), values[3], &asked.token); err != nil {
			return listing{}, web.NewProblem(web.CodeInvalidRequest, `"cursor" does not belong to this list; begin again without it`, err)
		}
	}
	return asked, nil
}

// cursorName binds a cursor to the user, whose folder begins the prefix, and to the
// list.
func (l listing) cursorName() string { return sealedFor("cursor", l.prefix, l.delimiter) }

// pageOf returns a page with relative keys.
func (q *request) pageOf(page *s3.ListObjectsV2Output) (listResponse, error) {
	body := listResponse{Objects: make([]object, 0, len(page.Contents)), Prefixes: make([]string, 0, len(page.CommonPrefixes))}
	for i := range page.Contents {
		found := &page.Contents[i]
		key, err := q.listed(found.Key, page.EncodingType)
		if err != nil {
			return listResponse{}, err
		}
		if relative, ok := q.relative(key); ok {
			body.Objects = append(body.Objects, object{
				Key: relative, Size: aws.ToInt64(found.Size), ETag: aws.ToString(found.ETag), LastModified: aws.ToTime(found.LastModified).UTC(),
			})
		}
	}
	for _, common := range page.CommonPrefixes {
		prefix, err := q.listed(common.Prefix, page.EncodingType)
		if err != nil {
			return listResponse{}, err
		}
		if relative, ok := q.relative(strings.TrimSuffix(prefix, "/")); ok {
			body.Prefixes = append(body.Prefixes, relative+"/")
		}
	}
	return body, nil
}

// listed decodes a key of a list. It refuses the whole list if a key is not in the
// user's folder, whatever the server thought that the prefix means.
func (q *request) listed(key *string, encoding types.EncodingType) (string, error) {
	full, err := decodeKey(key, encoding)
	if err != nil {
		return "", web.NewProblem(web.CodeUpstreamError, "the storage answered nonsense", err)
	}
	if !strings.HasPrefix(full, q.folder) {
		return "", web.NewProblem(web.CodeUpstreamError, "the storage answered nonsense", errForeignKey)
	}
	return full, nil
}

func decodeKey(key *string, encoding types.EncodingType) (string, error) {
	if encoding != types.EncodingTypeUrl {
		return aws.ToString(key), nil
	}
	decoded, err := url.QueryUnescape(aws.ToString(key))
	if err != nil {
		return "", fmt.Errorf("decoding a listed key: %w", err)
	}
	return decoded, nil
}
