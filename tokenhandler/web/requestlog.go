package web

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"cognito-token-handler/tokenhandler/tracing"
)

type requestKey struct{}

// request is what the log needs to know of one request. It is written by the
// goroutine that serves the request and by no other.
type request struct {
	id      string
	problem *Problem
	span    *tracing.Span // nil without tracing
}

// RequestID returns the id that [Site.Instrument] gave to r, or "".
func RequestID(r *http.Request) string {
	if info, ok := r.Context().Value(requestKey{}).(*request); ok {
		return info.id
	}
	return ""
}

func noteError(r *http.Request, p *Problem) {
	if info, ok := r.Context().Value(requestKey{}).(*request); ok {
		info.problem = p
	}
}

// NoteRoute names r's span by what it was matched with: the path or prefix as it
// is configured, not as the client wrote it.
func NoteRoute(r *http.Request, route string) {
	if info, ok := r.Context().Value(requestKey{}).(*request); ok {
		info.span.SetRoute(route)
	}
}

// Instrument is the outermost middleware: it gives the request an id, recovers
// panics, writes one log record and makes a span, if there is a tracer. The query
// is never logged: it can hold an authorization code. Neither are headers.
func (s *Site) Instrument(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.now()
		info := &request{id: rand.Text()}
		rec := &recorder{ResponseWriter: w}
		ctx := context.WithValue(r.Context(), requestKey{}, info)
		ctx, info.span = s.tracer.Serve(ctx, r, info.id)
		r = r.WithContext(ctx)
		rec.Header().Set("X-Request-ID", info.id)
		if s.hsts {
			rec.Header().Set("Strict-Transport-Security", hstsValue)
		}
		defer func() { //nolint:contextcheck // r carries the context
			cause := recover()
			if cause != nil && !isAbort(cause) {
				s.log.ErrorContext(r.Context(), "panic recovered", "request_id", info.id, "stack", string(debug.Stack()))
				if rec.status == 0 {
					s.WriteProblem(rec, r, NewProblem(CodeInternal, "an internal error occurred", nil))
					cause = nil // a whole answer, which a panic would keep from being sent
				}
			}
			s.logRequest(r, rec, info, s.now().Sub(start))
			info.endSpan(r, rec, cause != nil)
			if cause != nil {
				// The connection's framing is unknown now; the server closes it
				// without a trace of its own.
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// isAbort reports whether a panic is the proxy's way to end a broken answer.
func isAbort(cause any) bool {
	err, ok := cause.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// endSpan tells the request's span, if there is one, how the request ended. An
// answer that is broken off is nobody's fault if the client has left.
func (i *request) endSpan(r *http.Request, rec *recorder, aborted bool) {
	if i.span == nil {
		return
	}
	status, fault := rec.statusOrOK(), ""
	if aborted {
		status = rec.status
	}
	switch {
	case aborted && r.Context().Err() == nil:
		fault = "aborted"
	case status >= http.StatusInternalServerError && i.problem != nil:
		fault = string(i.problem.Code)
	case status >= http.StatusInternalServerError:
		fault = strconv.Itoa(status)
	}
	i.span.Answered(status, fault)
}

func (s *Site) logRequest(r *http.Request, rec *recorder, info *request, took time.Duration) {
	level := slog.LevelInfo
	if s.quiet && rec.statusOrOK() < http.StatusBadRequest {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("request_id", info.id),
		slog.String("method", Excerpt(r.Method, 32)),
		slog.String("path", Excerpt(r.URL.Path, 256)),
		slog.Int("status", rec.statusOrOK()),
		slog.Int64("bytes", rec.bytes),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("client_ip", s.ClientIP(r).String()),
	}
	if id := info.span.TraceID(); id != "" {
		attrs = append(attrs, slog.String("trace_id", id))
	}
	if info.problem != nil {
		attrs = append(attrs, slog.String("error_code", string(info.problem.Code)), slog.String("error", Excerpt(info.problem.Error(), 512)))
		if info.problem.Status() >= http.StatusInternalServerError {
			level = slog.LevelWarn
		}
	}
	s.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// Excerpt returns s if it has at most n bytes, and otherwise its beginning and "…".
func Excerpt(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// recorder notes the status and the size of an answer. Flush, Hijack and
// deadlines reach the connection through Unwrap (http.ResponseController).
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

// Unwrap serves [http.ResponseController].
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
