package web

import (
	"log/slog"
	"net/http"
	"time"
)

// The limits of a listener (ASVS V13.2.6). There is no limit for a whole request or
// response, because uploads and event streams may take long; [Site.Deadlines] ends
// those that make no progress.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	stallTimeout      = time.Minute
	maxHeaderBytes    = 64 << 10
)

// NewServer returns a server with all limits set. The caller may set Addr, ConnState
// and Protocols, and nothing else. The handler gets no request that cannot be parsed:
// net/http answers it itself, in plain text and without a log record. A header that is
// longer than 64 KiB (and some slack that net/http adds) is answered with 431.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:                      closeAmbiguous(handler),
		DisableGeneralOptionsHandler: true, // or net/http would answer OPTIONS * without the handler
		ReadHeaderTimeout:            readHeaderTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		// Over HTTP/2, deadlines end a stream but not the connection: without this time-out,
		// a client that reads nothing at all would hold all its requests open.
		HTTP2:    &http.HTTP2Config{WriteByteTimeout: stallTimeout},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// closeAmbiguous closes the connection after a request whose end a proxy in front of
// the service may see elsewhere (request smuggling, RFC 9112 §6.1): net/http ignores
// Content-Length if there is a Transfer-Encoding, and does not support chunks in HTTP/1.0.
// Bytes that such a proxy takes for the rest of this request must not be read as the
// next one.
func closeAmbiguous(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Deadlines ends a request whose client sends its body too slowly, see [BodyPace], or stops
// reading the response for a minute. The time that the handler itself takes does not
// count, so event streams and slow upstreams may take as long as they like.
func (s *Site) Deadlines(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		strict := r.ProtoMajor > 1
		out := newStallWriter(r)
		*out = stallWriter{ResponseWriter: w, conn: writeDeadlinerOf(w), now: s.now, strict: strict}
		if r.Body != nil && r.Body != http.NoBody {
			// The server reads what the handler leaves of the body, to use the connection
			// again. This deadline is for that.
			rc := http.NewResponseController(w)
			if !strict {
				_ = rc.SetReadDeadline(s.now().Add(shortBodyTime))
			}
			body := &stallReader{ReadCloser: r.Body, rc: rc, now: s.now, strict: strict}
			// The body is replaced in a copy of the request, because the server looks at
			// the body of its own request to know whether all of it was read. If it were
			// wrong, it would take the rest of a body for the next request (request smuggling).
			r = r.WithContext(r.Context())
			r.Body = body
			defer body.leave()
		}
		// The server flushes its buffer after the handler has returned, which may be long
		// after the last write.
		defer out.extend()
		next.ServeHTTP(out, r)
	})
}

// newStallWriter returns where to put the writer of a request. If [Site.Instrument] is
// around, that needs no allocation.
func newStallWriter(r *http.Request) *stallWriter {
	if q, ok := requestOf(r); ok && q.stall.ResponseWriter == nil {
		return &q.stall
	}
	return &stallWriter{}
}

// writeDeadliner sets the deadline for writes to a connection.
type writeDeadliner interface {
	SetWriteDeadline(at time.Time) error
}

// writeDeadlinerOf finds what an [http.ResponseController] would find for each deadline
// of a response.
func writeDeadlinerOf(w http.ResponseWriter) writeDeadliner {
	for {
		switch v := w.(type) {
		case writeDeadliner:
			return v
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return noDeadline{} // as httptest's
		}
	}
}

// noDeadline stands for a writer that supports no deadlines.
type noDeadline struct{}

func (noDeadline) SetWriteDeadline(time.Time) error { return nil }

// stallWriter sets a deadline for each write of a response.
type stallWriter struct {
	http.ResponseWriter

	conn     writeDeadliner
	now      func() time.Time
	extended time.Time // when the deadline was last moved
	// strict is set for HTTP/2, where a deadline that passes ends the stream even if
	// nothing is being written. Over HTTP/1 a deadline matters to writes only.
	strict bool
}

// extend gives the client another minute. It moves the deadline at most once a second,
// because that moves a timer of the runtime.
func (w *stallWriter) extend() {
	if now := w.now(); now.Sub(w.extended) >= time.Second {
		w.extended = now
		_ = w.conn.SetWriteDeadline(now.Add(stallTimeout))
	}
}

// relax removes the deadline, so that the handler may write nothing for any time.
func (w *stallWriter) relax() {
	if w.strict {
		w.extended = time.Time{}
		_ = w.conn.SetWriteDeadline(time.Time{})
	}
}

func (w *stallWriter) Write(p []byte) (int, error) {
	w.extend()
	defer w.relax()
	return w.ResponseWriter.Write(p)
}

// FlushError is for [http.ResponseController]. What it sends may have been written long
// ago, so it moves the deadline as well.
func (w *stallWriter) FlushError() error {
	w.extend()
	defer w.relax()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for [http.ResponseController].
func (w *stallWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
