package storage

import "cognito-token-handler/tokenhandler/web"

// record logs what was done with one object: signed, deleted, copied, completed. There
// is no URL in it, because a presigned URL works for everybody who has it.
func (h *Handler) record(q *request, operation, key string, size int64) {
	h.cfg.Log.InfoContext(q.Context(), "storage", "operation", operation, "sub", q.grant.Subject(), "session", q.grant.SessionID(),
		"key", key, "size", size, "request_id", web.RequestID(q.Request))
}
