package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"cognito-token-handler/tokenhandler/tracing"
)

type requestKey struct{}

// request is what the middlewares know of one request. It is also the request's
// context and holds its response writer, so that all of this is one allocation. Only
// the goroutine that serves the request writes to it.
type request struct {
	context.Context //nolint:containedctx // it is the request's context

	recorder recorder
	stall    stallWriter // of Deadlines
	id       string
	start    time.Time
	// client is the client's address, empty if it is not known.
	client  string
	problem *Problem
	session Named // nil if no session was opened
	// interrupted says who broke the response off, see [NoteInterrupted].
	interrupted string
	span        *tracing.Span // nil without tracing
	// idHeader and vary are values of response headers.
	idHeader [1]string
	vary     [2]string
}

// Value implements [context.Context].
func (q *request) Value(key any) any {
	if _, ok := key.(requestKey); ok {
		return q
	}
	return q.Context.Value(key)
}

func requestOf(r *http.Request) (q *request, ok bool) {
	q, ok = r.Context().Value(requestKey{}).(*request)
	return q, ok
}

// RequestID returns the id that [Site.Instrument] gave to r, or "".
func RequestID(r *http.Request) string {
	if q, ok := requestOf(r); ok {
		return q.id
	}
	return ""
}

// ClientAddress returns [Site.ClientIP] as text, or "" if the address is not known.
// [Site.Instrument] computes it once per request.
func (s *Site) ClientAddress(r *http.Request) string {
	if q, ok := requestOf(r); ok {
		return q.client
	}
	return s.clientAddress(r)
}

func (s *Site) clientAddress(r *http.Request) string {
	ip := s.ClientIP(r)
	switch {
	case !ip.IsValid():
		return ""
	case len(s.proxies) == 0 && ip.Is4() && r.RemoteAddr[0] != '[':
		// It is the peer's, an IPv4 address, which has only one spelling.
		return r.RemoteAddr[:strings.LastIndexByte(r.RemoteAddr, ':')]
	}
	return ip.String()
}

// NoteProblem adds p to the request's log record, and counts its limit, if p was answered
// in another way than by [Site.WriteProblem].
func NoteProblem(r *http.Request, p *Problem) { noteError(r, p) }

func noteError(r *http.Request, p *Problem) {
	if q, ok := requestOf(r); ok {
		q.problem = p
	}
}

// Named is a session as logs show it.
type Named interface {
	// LogName is the session's name, and LogSubject its user's sub.
	LogName() string
	LogSubject() string
}

// NoteSession adds the session of r, be it alive or over, to the request's log record.
func NoteSession(r *http.Request, session Named) {
	if q, ok := requestOf(r); ok {
		q.session = session
	}
}

// UserAgent returns the beginning of the browser's description of itself, for the log.
func UserAgent(r *http.Request) string { return Excerpt(r.UserAgent(), 256) }

// Who can break a response off, for [NoteInterrupted].
const (
	ByClient   = "client"   // it closed the connection, or read nothing for too long
	ByUpstream = "upstream" // the response of the API was not complete
	BySession  = "session"  // the user's session ended
)

// NoteInterrupted adds to the request's log record who broke the response off. The handler
// that calls it then panics with [http.ErrAbortHandler]. If no handler calls it, the record
// says "client" if the client has gone, and otherwise "service".
func NoteInterrupted(r *http.Request, by string) {
	if q, ok := requestOf(r); ok {
		q.interrupted = by
	}
}

// NoteRoute sets the route in the name of r's span: the path or prefix as it is
// configured, not as the client wrote it.
func NoteRoute(r *http.Request, route string) {
	if q, ok := requestOf(r); ok {
		q.span.SetRoute(route)
	}
}

// Instrument is the outermost middleware. It gives the request an id, recovers
// panics, writes one log record and, if there is a tracer, makes a span. It never logs
// the query, which can contain an authorization code, nor headers.
func (s *Site) Instrument(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := &request{
			Context: r.Context(), recorder: recorder{ResponseWriter: w},
			id: s.newRequestID(r), start: s.now(), client: s.clientAddress(r),
		}
		ctx, span := s.tracer.Serve(q, r, q.id)
		q.span = span
		r = r.WithContext(ctx) //nolint:contextcheck // it is derived from r's
		q.idHeader[0] = q.id
		w.Header()["X-Request-Id"] = q.idHeader[:]
		if s.hsts {
			w.Header()["Strict-Transport-Security"] = []string{hstsValue}
		}
		defer s.finish(r, q)
		next.ServeHTTP(&q.recorder, r)
	})
}

// newRequestID returns the id that a trusted proxy gave to r, so that both logs have the
// same one. All other requests get a new id, because clients could forge theirs.
func (s *Site) newRequestID(r *http.Request) string {
	if len(s.proxies) > 0 {
		if sent := r.Header["X-Request-Id"]; len(sent) == 1 && isRequestID(sent[0]) && s.trustedPeer(r) {
			return sent[0]
		}
	}
	return rand.Text()
}

// maxRequestID is the largest length of an id that is taken from a proxy. Those of nginx
// have 32 characters, those of Envoy 36.
const maxRequestID = 128

// isRequestID reports whether id is safe in headers, logs and links.
func isRequestID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && strings.IndexByte("-_.~+/=:", c) < 0 {
			return false
		}
	}
	return id != "" && len(id) <= maxRequestID
}

// finish recovers a panic, logs the request and ends its span. It must be deferred.
func (s *Site) finish(r *http.Request, q *request) {
	cause := recover()
	if cause != nil && !isAbort(cause) {
		s.log.ErrorContext(r.Context(), "panic recovered", "request_id", q.id, "stack", string(debug.Stack()))
		if q.recorder.status == 0 {
			s.WriteProblem(&q.recorder, r, NewProblem(CodeInternal, "an internal error occurred", nil))
			cause = nil // the response is complete; a panic would keep it from being sent
		}
	}
	if cause != nil {
		q.interrupt(r)
	}
	status, took := q.status(), s.now().Sub(q.start)
	s.logRequest(r, q, status, took)
	if s.observe != nil {
		s.observe(r, status, took)
	}
	if s.limited != nil && q.problem != nil && q.problem.Limit != "" {
		s.limited(r, q.problem.Limit, q.session)
	}
	q.endSpan(r, cause != nil)
	if cause != nil {
		// Part of a response has been written. The server closes the connection, and
		// writes no stack trace of its own.
		panic(http.ErrAbortHandler)
	}
}

// interrupt sends what is still in the server's buffers of a response that breaks off, at
// least its head. If a connection that was used before ends without one byte of a response,
// browsers send the request again, and a POST would have its effect twice.
func (q *request) interrupt(r *http.Request) {
	if q.recorder.status != 0 {
		_ = http.NewResponseController(q.recorder.ResponseWriter).Flush() // fails if the client has gone
	}
	if q.interrupted == "" {
		q.interrupted = "service"
		if r.Context().Err() != nil {
			q.interrupted = ByClient
		}
	}
}

// isAbort reports whether a handler panicked to cut a response off.
func isAbort(cause any) bool {
	err, ok := cause.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// endSpan ends the request's span, if there is one. A response that was cut off
// counts as an error, unless the client has gone.
func (q *request) endSpan(r *http.Request, aborted bool) {
	if q.span == nil {
		return
	}
	status, fault := q.recorder.statusOrOK(), ""
	if aborted {
		status = q.recorder.status
	}
	switch {
	case aborted && r.Context().Err() == nil:
		fault = "aborted"
	case status >= http.StatusInternalServerError && q.problem != nil:
		fault = string(q.problem.Code)
	case status >= http.StatusInternalServerError:
		fault = strconv.Itoa(status)
	}
	q.span.Answered(status, fault)
}

// Which requests are logged, for [Config.LogRequests].
const (
	LogAllRequests    = "all"
	LogFailedRequests = "errors" // those that were refused, failed or broke off
	LogNoRequests     = "none"
)

// logsRequest reports whether a request with this status is to be logged.
func (s *Site) logsRequest(q *request, status int) bool {
	switch s.logRequests {
	case LogNoRequests:
		return false
	case LogFailedRequests:
		return status >= http.StatusBadRequest || q.interrupted != ""
	}
	return true
}

// status returns the status that was sent: 0 if there was no response.
func (q *request) status() int {
	if q.interrupted != "" {
		return q.recorder.status
	}
	return q.recorder.statusOrOK()
}

// logRequest writes the record of a request. It passes the record to the handler itself,
// because a [slog.Logger] would look up the line of this call for each of them.
func (s *Site) logRequest(r *http.Request, q *request, status int, took time.Duration) {
	if !s.logsRequest(q, status) {
		return
	}
	level := slog.LevelInfo
	switch {
	case q.isNoteworthy(status, s.quiet):
		level = slog.LevelWarn
	case s.quiet && status < http.StatusBadRequest:
		level = slog.LevelDebug
	}
	handler := s.log.Handler()
	if !handler.Enabled(r.Context(), level) {
		return
	}
	record := slog.NewRecord(q.start.Add(took), level, "request", 0)
	// They are added at once: each addition makes room anew.
	attrs := append(make([]slog.Attr, 0, 16),
		slog.String("request_id", q.id),
		slog.String("method", Excerpt(r.Method, 32)),
		slog.String("path", Excerpt(r.URL.Path, 256)),
		slog.Int("status", status),
		slog.Int64("bytes", q.recorder.bytes),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("client_ip", cmp.Or(q.client, netip.Addr{}.String())),
	)
	if q.session != nil {
		attrs = append(attrs, slog.String("session", q.session.LogName()), slog.String("sub", q.session.LogSubject()))
	}
	if q.interrupted != "" {
		attrs = append(attrs, slog.String("interrupted_by", q.interrupted))
	}
	if id := q.span.TraceID(); id != "" {
		attrs = append(attrs, slog.String("trace_id", id))
	}
	if q.problem != nil {
		attrs = append(attrs, slog.String("error_code", string(q.problem.Code)), slog.String("error", Excerpt(q.problem.Error(), 512)))
	}
	record.AddAttrs(attrs...)
	_ = handler.Handle(r.Context(), record) // nothing can be done about a log that cannot be written
}

// isNoteworthy reports whether a request is logged as a warning: it failed, be it here or
// at an upstream, or a user with a session of this service was refused.
func (q *request) isNoteworthy(status int, quiet bool) bool {
	switch {
	case q.interrupted == ByUpstream, q.problem != nil && q.problem.Status() >= http.StatusInternalServerError:
		return true
	case status >= http.StatusInternalServerError:
		return !quiet // /readyz answers 503 every second during an outage
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests:
		return q.session != nil
	}
	return false
}

// Excerpt returns s if it has at most n bytes, and otherwise its beginning and "…".
func Excerpt(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// recorder remembers the status and the size of a response. [http.ResponseController]
// finds Flush, Hijack and the deadlines through Unwrap.
type recorder struct {
	http.ResponseWriter

	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

func (r *recorder) statusOrOK() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// Unwrap is for [http.ResponseController].
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
