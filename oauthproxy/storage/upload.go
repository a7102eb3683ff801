package storage

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

// sha256Length is the length of a SHA-256 in base64 with padding.
const sha256Length = 44

// upload describes the file that the client is going to send.
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

// uploadResponse is the JSON form of a presigned upload.
type uploadResponse struct {
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

// createUpload handles POST /uploads:
//
//  1. It decodes the body strictly.
//  2. It checks each field against the limits.
//  3. It puts the user's folder in front of the key.
//  4. It presigns one PUT with all of that.
func (h *Handler) createUpload(w http.ResponseWriter, r *http.Request, subject string) (response, error) {
	var u upload
	err := readJSON(w, r, map[string]any{
		"key":             &u.key,
		"content_type":    &u.contentType,
		"size":            &u.size,
		"checksum_sha256": &u.checksum,
		"if_none_match":   &u.ifNoneMatch,
	})
	if err != nil {
		return response{}, err
	}
	if err := h.checkUpload(u); err != nil {
		return response{}, err
	}
	folder, err := h.folders.folderOf(subject)
	if err != nil {
		return response{}, web.NewProblem(web.CodeProviderError, "the user's id cannot name a folder", err)
	}
	if len(folder)+len(u.key) > maxFullKey {
		return response{}, invalid(fmt.Sprintf(`"key" is over %d bytes`, maxFullKey-len(folder)))
	}
	signed, err := h.signer.put(r.Context(), folder+u.key, u)
	if err != nil {
		return response{}, err
	}
	return response{http.StatusCreated, uploadResponse{
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
		// The SDK does not sign a size of 0: S3 would accept any size.
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

// isSHA256 reports whether text is a SHA-256 in base64. It checks the length as well,
// because the decoder skips line breaks, which must not reach a header.
func isSHA256(text string) bool {
	sum, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil && len(text) == sha256Length && len(sum) == 32
}
