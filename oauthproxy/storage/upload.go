package storage

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

// sha256Text is the length of a SHA-256 in base64 with padding.
const sha256Text = 44

// upload is what a client promises to send.
type upload struct {
	// key is relative to the user's folder.
	key         string
	contentType string
	size        int64
	// checksum is the SHA-256 in base64, or "".
	checksum string
	// ifNoneMatch is "*" (the object must not exist yet) or "".
	ifNoneMatch string
}

// uploadAnswer is the wire form of a presigned upload.
type uploadAnswer struct {
	// Method is the request's method, always PUT.
	Method string `json:"method"`
	// URL is a bearer capability: whoever has it can send this one object.
	URL string `json:"url"`
	// Headers must be sent exactly so. Host and Content-Length are signed as
	// well, but scripts may not set them: the browser does, from the URL and
	// the body (FACTS S3-08).
	Headers map[string]string `json:"headers"`
	// Key is relative to the user's folder, as it was asked for.
	Key string `json:"key"`
	// ExpiresAt is when S3 stops accepting the request's start, UTC.
	ExpiresAt time.Time `json:"expires_at"`
}

// createUpload answers POST /uploads:
//
//  1. the body, strictly decoded
//  2. every promise of it checked against our limits
//  3. the user's folder put in front of the key
//  4. one PUT presigned with all of it
func (h *Handler) createUpload(w http.ResponseWriter, r *http.Request, subject string) (answer, error) {
	var u upload
	err := readJSON(w, r, map[string]any{
		"key":             &u.key,
		"content_type":    &u.contentType,
		"size":            &u.size,
		"checksum_sha256": &u.checksum,
		"if_none_match":   &u.ifNoneMatch,
	})
	if err != nil {
		return answer{}, err
	}
	if err := h.checkUpload(u); err != nil {
		return answer{}, err
	}
	folder, err := h.folder.of(subject)
	if err != nil {
		return answer{}, web.NewProblem(web.CodeProviderError, "the user's id cannot name a folder", err)
	}
	if len(folder)+len(u.key) > maxFullKey {
		return answer{}, invalid(fmt.Sprintf(`"key" is over %d bytes`, maxFullKey-len(folder)))
	}
	signed, err := h.signer.put(r.Context(), folder+u.key, u)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, uploadAnswer{
		Method:    signed.method,
		URL:       signed.url,
		Headers:   signed.headers,
		Key:       u.key,
		ExpiresAt: signed.expiresAt,
	}}, nil
}

func (h *Handler) checkUpload(u upload) error {
	if fault := checkKey(u.key); fault != "" {
		return invalid(fault)
	}
	if fault := h.types.check(u.contentType); fault != "" {
		return invalid(fault)
	}
	switch {
	case u.size < 1:
		// A size of 0 would not be signed at all, and any size accepted (S3-05).
		return invalid(`"size" is required and must be at least 1`)
	case u.size > h.cfg.MaxSize:
		return web.NewProblem(web.CodeTooLarge, fmt.Sprintf(`"size" is over the limit of %d bytes`, h.cfg.MaxSize), nil)
	case u.checksum != "" && !isSHA256(u.checksum):
		return invalid(`"checksum_sha256" is not a SHA-256 in base64`)
	case u.ifNoneMatch != "" && u.ifNoneMatch != "*":
		return invalid(`"if_none_match" must be "*"`)
	}
	return nil
}

// isSHA256 checks the length too, because the decoder skips line breaks, which
// must not reach a header.
func isSHA256(text string) bool {
	sum, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil && len(text) == sha256Text && len(sum) == 32
}
