package storage

import (
	"context"

	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/web"
)

// record logs what was done with one object, and records it in the audit trail: signed,
// deleted, copied, completed. There is no URL in it, because a presigned URL works for
// everybody who has it. The error means that the trail cannot be written: a URL must not
// be handed out then.
func (h *Handler) record(q *request, operation, key string, size int64) error {
	subject, session := q.grant.Subject(), q.grant.SessionID()
	h.cfg.Log.InfoContext(q.Context(), "storage", "operation", operation, "sub", subject, "session", session,
		"key", key, "size", size, "request_id", web.RequestID(q.Request))
	event := audit.Event{Subject: subject, Session: session, Caller: h.cfg.Site.CallerOf(q.Request), Cause: operation, Target: q.folder + key}
	switch operation {
	case opDelete, opDeleteFolder, opAbort:
		event.Name = audit.Deleted
	case opCopy:
		event.Name = audit.Copied
	default:
		event.Name = audit.Presigned
	}
	if event.Name != audit.Presigned || operation == opComplete { // it is done already
		h.cfg.Audit.Note(q.Context(), event)
		return nil
	}
	return notRecorded(h.cfg.Audit.Record(q.Context(), event))
}

// maySign returns an error if the operation signs URLs and the session has asked for too
// many, or if that cannot be recorded now. An operation asks before it claims room or begins
// an upload.
func (h *Handler) maySign(ctx context.Context, operation string, grant Grant) error {
	switch operation {
	case opUpload, opGet, opCreateParts, opSignParts:
		if h.cfg.Limit != nil {
			if err := h.cfg.Limit(grant.SessionID()); err != nil {
				return err
			}
		}
		return notRecorded(h.cfg.Audit.Check(ctx))
	}
	return nil
}

func notRecorded(err error) error {
	if err == nil {
		return nil
	}
	return web.NewProblem(web.CodeAuditUnavailable, "nothing is signed while the audit trail cannot be written; try again", err).RetryAfter(0)
}
