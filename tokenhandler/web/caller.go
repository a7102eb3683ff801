package web

import (
	"context"
	"net/http"
)

// Caller is who sent a request, for the log and the audit trail. What is not known is
// empty.
type Caller struct {
	// RequestID is the request's id, and TraceID that of its trace, in hex.
	RequestID string `json:"request_id,omitempty"`
	TraceID   string `json:"trace_id,omitempty"`
	// ClientIP is the address of the client, see [Site.ClientIP].
	ClientIP string `json:"client_ip,omitempty"`
	// UserAgent is the beginning of the browser's description of itself.
	UserAgent string `json:"user_agent,omitempty"`
}

// CallerOf returns who sent r.
func (s *Site) CallerOf(r *http.Request) Caller {
	c := CallerIn(r.Context())
	c.ClientIP, c.UserAgent = s.ClientAddress(r), UserAgent(r)
	return c
}

// CallerIn returns what the context of a request, or one that is derived from it, says
// about who sent it: everything but the user agent.
func CallerIn(ctx context.Context) Caller {
	q, ok := ctx.Value(requestKey{}).(*request)
	if !ok {
		return Caller{}
	}
	return Caller{RequestID: q.id, TraceID: q.span.TraceID(), ClientIP: q.client}
}

// Attrs are the attributes of a log record about c.
func (c Caller) Attrs() []any {
	attrs := []any{"request_id", c.RequestID, "client_ip", c.ClientIP, "user_agent", c.UserAgent}
	if c.TraceID != "" {
		attrs = append(attrs, "trace_id", c.TraceID)
	}
	return attrs
}
