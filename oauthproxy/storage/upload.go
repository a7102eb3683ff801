package storage

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"regexp"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cognito-token-handler/tokenhandler/web"
	"cognito-token-handler/tokenhandler/wire"
)

const (
	// emptySHA256 and emptyCRC32 are the checksums of nothing, in base64.
	emptySHA256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	emptyCRC32  = "AAAAAA=="
	// maxMetadata is S3's limit for names and values together, in bytes (Amazon S3 User
	// Guide, "Working with object metadata").
	maxMetadata = 2048
	// maxHeaderValue bounds cache_control and content_disposition, in bytes.
	maxHeaderValue = 1024
)

// upload describes the file that the client is going to send.
type upload struct {
	// key is relative to the user's folder, full is the whole key.
	key, full   string
	contentType string
	size        int64
	// sha256 and crc32 are in base64. At most one is set.
	sha256, crc32 string
	// algorithm is that of the parts' checksums, if the file is uploaded in parts.
	algorithm checksumAlgorithm
	// ifNoneMatch is "*" (the object must not exist yet) or "".
	ifNoneMatch string
	// ifMatch is the ETag that the object must have, or "".
	ifMatch            string
	metadata           stringMap
	cacheControl       string
	contentDisposition string
}

// uploadResponse is the JSON form of a presigned upload.
type uploadResponse = wire.Upload

// createUpload handles POST /uploads:
//
//  1. It decodes the body strictly, and checks each field against the limits.
//  2. It presigns one PUT with all of that.
//  3. It counts the size against the user's quota.
func (h *Handler) createUpload(q *request) (response, error) {
	u, err := h.readUpload(q)
	if err != nil {
		return response{}, err
	}
	if u.algorithm != "" {
		return response{}, invalid(`"checksum_algorithm" is for uploads in parts; send the checksum itself`)
	}
	if u.size > MaxPutSize {
		return response{}, web.NewProblem(web.CodeTooLarge, `"size" is over the limit of 5 GiB for one request; upload it in parts`, nil)
	}
	b, err := h.open(q)
	if err != nil {
		return response{}, err
	}
	signed, err := b.signPut(q.Context(), u)
	if err != nil {
		return response{}, err
	}
	if err := h.ledger.admit(q, b, claim{name: nameOf(ofKey, u.full), bytes: u.size, key: u.full, until: arrived(signed.expiresAt, u.size)}); err != nil {
		return response{}, err
	}
	if err := h.record(q, opUpload, u.key, u.size); err != nil {
		return response{}, err
	}
	return response{status: http.StatusCreated, body: uploadResponse{
		Method:    signed.method,
		URL:       signed.url,
		Headers:   signed.headers,
		Key:       u.key,
		ExpiresAt: signed.expiresAt,
	}}, nil
}

// signPut presigns one PUT. Size, type, checksum, conditions and metadata become signed
// headers, so S3 refuses a request that differs.
func (b userBucket) signPut(ctx context.Context, u upload) (*signedRequest, error) {
	input := &s3.PutObjectInput{
		Bucket:               &b.name,
		Key:                  &u.full,
		ExpectedBucketOwner:  b.owner,
		ContentType:          &u.contentType,
		ContentLength:        &u.size,
		ChecksumSHA256:       optional(u.sha256),
		ChecksumCRC32:        optional(u.crc32),
		IfNoneMatch:          optional(u.ifNoneMatch),
		IfMatch:              optional(u.ifMatch),
		Metadata:             u.metadata,
		CacheControl:         optional(u.cacheControl),
		ContentDisposition:   optional(u.contentDisposition),
		ServerSideEncryption: b.sse,
		SSEKMSKeyId:          b.kmsKey,
	}
	return b.sign(u.contentType, func(o func(*s3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
		return b.presign.PresignPutObject(ctx, input, o)
	})
}

// readUpload decodes and checks the description of an upload.
func (h *Handler) readUpload(q *request) (upload, error) {
	var u upload
	var contentType *string
	var size *int64
	err := q.readJSON(map[string]any{
		"key":                 &u.key,
		"content_type":        &contentType,
		"size":                &size,
		"checksum_sha256":     &u.sha256,
		"checksum_crc32":      &u.crc32,
		"checksum_algorithm":  &u.algorithm,
		"if_none_match":       &u.ifNoneMatch,
		"if_match":            &u.ifMatch,
		"metadata":            &u.metadata,
		"cache_control":       &u.cacheControl,
		"content_disposition": &u.contentDisposition,
	})
	if err != nil {
		return upload{}, err
	}
	if u.full, err = q.key("key", u.key); err != nil {
		return upload{}, err
	}
	switch {
	case contentType == nil:
		return upload{}, invalid(`"content_type" is required; "" means ` + defaultType)
	case size == nil || *size < 0:
		return upload{}, invalid(`"size" is required and must be at least 0`)
	case *size > h.cfg.MaxSize:
		return upload{}, web.NewProblem(web.CodeTooLarge, fmt.Sprintf(`"size" is over the limit of %d bytes`, h.cfg.MaxSize), nil)
	}
	u.size, u.contentType = *size, *contentType
	if u.contentType == "" {
		u.contentType = defaultType
	}
	for _, fault := range []string{
		h.types.check(u.contentType), u.checkChecksum(), u.algorithm.check(), u.checkConditions(), checkMetadata(u.metadata),
		checkHeaderValue("cache_control", u.cacheControl, maxHeaderValue), checkDisposition(u.contentDisposition),
	} {
		if fault != "" {
			return upload{}, invalid(fault)
		}
	}
	if u.contentType = spelled(u.contentType); u.contentType == "" {
		return upload{}, invalid(`"content_type" is not a media type`)
	}
	if u.size == 0 {
		// The SDK does not sign a size of 0, and S3 would accept any body. The checksum of
		// nothing fits no other body; a CRC32 does.
		u.sha256, u.crc32 = emptySHA256, ""
	}
	return u, nil
}

func (u upload) checkChecksum() string {
	switch {
	case u.sha256 != "" && u.crc32 != "":
		return `"checksum_sha256" and "checksum_crc32" exclude each other`
	case u.sha256 != "" && !isBase64(u.sha256, 32):
		return `"checksum_sha256" is not a SHA-256 in base64`
	case u.crc32 != "" && !isBase64(u.crc32, 4):
		return `"checksum_crc32" is not a CRC32 in base64`
	case u.size == 0 && u.sha256 != "" && u.sha256 != emptySHA256:
		return `"checksum_sha256" is not that of an empty file`
	case u.size == 0 && u.crc32 != "" && u.crc32 != emptyCRC32:
		return `"checksum_crc32" is not that of an empty file`
	}
	return ""
}

func (u upload) checkConditions() string {
	switch {
	case u.ifNoneMatch != "" && u.ifNoneMatch != "*":
		return `"if_none_match" must be "*"`
	case u.ifMatch != "" && !entityTag.MatchString(u.ifMatch):
		return `"if_match" must be an ETag with its quotes, as the list of objects has it`
	case u.ifMatch != "" && u.ifNoneMatch != "":
		return `"if_match" and "if_none_match" exclude each other`
	}
	return ""
}

// entityTag matches a strong entity tag (RFC 9110 §8.8.3). S3's are short.
var entityTag = regexp.MustCompile(`^"[!#-~]{1,128}"$`)

// metadataName matches what survives as a header's name: S3 writes names in lower case,
// and proxies drop those with an underscore.
var metadataName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

func checkMetadata(metadata stringMap) string {
	total := 0
	for name, value := range metadata {
		total += len(name) + len(value)
		if !metadataName.MatchString(name) {
			return fmt.Sprintf(`"metadata" has the name %q; names are lower-case letters, digits and dashes`, web.Excerpt(name, maxQuoted))
		}
		if value == "" {
			return `"metadata" has an empty value`
		}
		if fault := checkHeaderValue("metadata", value, maxMetadata); fault != "" {
			return fault
		}
	}
	if total > maxMetadata {
		return `"metadata" is over 2048 bytes`
	}
	return ""
}

// checkDisposition accepts what a download can use again, see [dispositionOf].
func checkDisposition(value string) string {
	if value == "" {
		return ""
	}
	if fault := checkHeaderValue("content_disposition", value, maxHeaderValue); fault != "" {
		return fault
	}
	kind, _, err := mime.ParseMediaType(value)
	if err != nil || kind != "inline" && kind != "attachment" {
		return `"content_disposition" is neither inline nor attachment (RFC 6266)`
	}
	return ""
}
