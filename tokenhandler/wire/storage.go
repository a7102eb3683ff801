package wire

import "time"

// Upload is the response to POST /storage/uploads: a presigned upload.
type Upload struct {
	// Method is the request's method, always PUT.
	Method string `json:"method"`
	// URL is a bearer capability: whoever has it can upload this one object.
	URL string `json:"url"`
	// Headers must be sent exactly as they are. Host and Content-Length are signed as
	// well, but scripts cannot set them (Fetch Standard, forbidden request-headers): the
	// browser does, from the URL and the body.
	Headers map[string]string `json:"headers"`
	// Key is relative to the user's folder, as the client sent it.
	Key string `json:"key"`
	// ExpiresAt is the time in UTC until which S3 accepts the start of the request.
	ExpiresAt time.Time `json:"expires_at"`
}

// Download is the response to GET /storage/objects/{key}?redirect=false.
type Download struct {
	// URL is a bearer capability: whoever has it can read this one object.
	URL string `json:"url"`
	// ExpiresAt is the time in UTC until which S3 accepts the start of the request.
	ExpiresAt time.Time `json:"expires_at"`
}

// Object is an object in the user's folder.
type Object struct {
	// Key is relative to the user's folder.
	Key  string `json:"key"`
	Size int64  `json:"size"`
	// ETag has its quotes, so that it can be sent as a condition.
	ETag         string    `json:"etag"`
	LastModified time.Time `json:"last_modified"`
}

// Objects is the response to GET /storage/objects: a page of objects.
type Objects struct {
	Objects []Object `json:"objects"`
	// Prefixes are the folders below the prefix if the delimiter is "/".
	Prefixes []string `json:"prefixes"`
	// NextCursor is absent on the last page.
	NextCursor string `json:"next_cursor,omitempty"`
}

// Deleted is the response to a step of a recursive deletion.
type Deleted struct {
	// Deleted is the number of objects that this step deleted.
	Deleted int `json:"deleted"`
	// More says that there are further objects: the same request goes on with them.
	More bool `json:"more"`
}

// PartsUpload is the response to POST /storage/multipart: an upload in parts that has begun.
type PartsUpload struct {
	UploadID  string `json:"upload_id"`
	Key       string `json:"key"`
	PartSize  int64  `json:"part_size"`
	PartCount int64  `json:"part_count"`
}

// SignedPart is a presigned part.
type SignedPart struct {
	PartNumber int64 `json:"part_number"`
	// Size is the number of bytes that must be sent.
	Size    int64             `json:"size"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

// SignedParts is the response to POST /storage/multipart/{upload_id}/parts.
type SignedParts struct {
	Parts     []SignedPart `json:"parts"`
	ExpiresAt time.Time    `json:"expires_at"`
}

// StoredPart is a part that S3 has.
type StoredPart struct {
	PartNumber int64  `json:"part_number"`
	Size       int64  `json:"size"`
	ETag       string `json:"etag"`
	// Checksum is in base64, if the upload has an algorithm.
	Checksum string `json:"checksum,omitempty"`
}

// StoredParts is the response to GET /storage/multipart/{upload_id}: the parts that S3 has.
type StoredParts struct {
	Key       string       `json:"key"`
	Size      int64        `json:"size"`
	PartSize  int64        `json:"part_size"`
	PartCount int64        `json:"part_count"`
	Parts     []StoredPart `json:"parts"`
}

// Usage is the response to GET /storage/usage: what a user has stored.
type Usage struct {
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
