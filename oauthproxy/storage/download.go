package storage

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cognito-token-handler/tokenhandler/web"
)

// signGet presigns one GET. Type and disposition are signed as they were found, so an
// object that is replaced by a page meanwhile still does not open as one.
func (b userBucket) signGet(q *request, key string, found *s3.HeadObjectOutput, download *string) (*signedRequest, error) {
	contentType := aws.ToString(found.ContentType)
	if checkHeaderValue("", contentType, maxContentType) != "" || !strings.Contains(contentType, "/") {
		contentType = defaultType // it was not stored by this service
	}
	input := &s3.GetObjectInput{
		Bucket:                     &b.name,
		Key:                        &key,
		ExpectedBucketOwner:        b.owner,
		ResponseContentType:        &contentType,
		ResponseContentDisposition: aws.String(dispositionOf(key, contentType, aws.ToString(found.ContentDisposition), download)),
	}
	return b.sign("", func(o func(*s3.PresignOptions)) (*v4.PresignedHTTPRequest, error) {
		return b.presign.PresignGetObject(q.Context(), input, o)
	})
}

// cacheControlHeader has the object's own Cache-Control: that of the answer is no-store.
const cacheControlHeader = "X-Object-Cache-Control"

// headerOf returns what S3 knows of an object under the names that S3 uses.
func headerOf(found *s3.HeadObjectOutput) http.Header {
	header := http.Header{}
	set := func(name string, value *string) {
		if v := aws.ToString(value); v != "" {
			header.Set(name, v)
		}
	}
	header.Set("Content-Length", strconv.FormatInt(aws.ToInt64(found.ContentLength), 10))
	set("Content-Type", found.ContentType)
	set("ETag", found.ETag)
	set("Content-Disposition", found.ContentDisposition)
	set(cacheControlHeader, found.CacheControl)
	set("X-Amz-Checksum-Sha256", found.ChecksumSHA256)
	set("X-Amz-Checksum-Crc32", found.ChecksumCRC32)
	set("X-Amz-Checksum-Crc32c", found.ChecksumCRC32C)
	set("X-Amz-Checksum-Crc64nvme", found.ChecksumCRC64NVME)
	set("X-Amz-Checksum-Type", optional(string(found.ChecksumType)))
	set("X-Amz-Server-Side-Encryption", optional(string(found.ServerSideEncryption)))
	set("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", found.SSEKMSKeyId)
	if found.LastModified != nil {
		header.Set("Last-Modified", found.LastModified.UTC().Format(http.TimeFormat))
	}
	for name, value := range found.Metadata {
		set("X-Amz-Meta-"+name, &value)
	}
	return header
}

// exposeAll lets scripts of the allowed origins read these headers (Fetch Standard,
// CORS protocol). In an answer with credentials a * would not stand for all.
func exposeAll(answer, header http.Header) {
	const expose = "Access-Control-Expose-Headers"
	if answer.Get(expose) == "" {
		return // not from another origin
	}
	for name := range header {
		if !strings.Contains(answer.Get(expose), name) {
			answer.Set(expose, answer.Get(expose)+", "+name)
		}
	}
}

// precondition evaluates If-Match and If-None-Match (RFC 9110 §13.2.2) against an object
// that exists. It returns notModified if If-None-Match fails, or precondition_failed if
// notModified is 0, as for methods that change something.
func precondition(header http.Header, etag string, notModified int) (int, error) {
	if wanted := header.Values("If-Match"); len(wanted) > 0 && !matches(wanted, etag, false) {
		return 0, web.NewProblem(web.CodePreconditionFailed, "the object is another than If-Match says", nil)
	}
	if unwanted := header.Values("If-None-Match"); len(unwanted) > 0 && matches(unwanted, etag, true) {
		if notModified == 0 {
			return 0, web.NewProblem(web.CodePreconditionFailed, "the object is the one that If-None-Match names", nil)
		}
		return notModified, nil
	}
	return 0, nil
}

// matches reports whether a list of entity tags has etag, which is strong. If-Match
// compares strongly: a weak tag never matches (RFC 9110 §8.8.3.2).
func matches(list []string, etag string, weak bool) bool {
	for tag := range strings.SplitSeq(strings.Join(list, ","), ",") {
		tag = strings.TrimSpace(tag)
		if weak {
			tag = strings.TrimPrefix(tag, "W/")
		}
		if tag == "*" || tag == etag {
			return true
		}
	}
	return false
}
