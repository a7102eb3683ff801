package web

import (
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// The limits of a listener (ASVS V13.2.6). There is no total read or write
// time-out, because uploads and event streams may last; a stream that stops
// moving is ended by [Deadlines].
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	stallTimeout      = time.Minute
	maxHeaderBytes    = 64 << 10
)

// NewServer returns a server with every limit set. The caller sets no field
// but Addr, ConnState and Protocols. What cannot be read as a request never reaches
// the handler: net/http answers it itself, in plain text and without a record, a
// head that is over its limit (64 KiB and what net/http adds for slack) with 431.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:                      closeDisputable(handler),
		DisableGeneralOptionsHandler: true, // or it would answer OPTIONS * itself, past the handler
		ReadHeaderTimeout:            readHeaderTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		// Deadlines end a stream of HTTP/2, not a connection on which nothing can be
		// sent, not even that: whoever reads none of it would hold every request.
		HTTP2:    &http.HTTP2Config{WriteByteTimeout: stallTimeout},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// closeDisputable ends the connection after a request whose end a proxy in front
// may see elsewhere: net/http goes by Transfer-Encoding, forgets a Content-Length
// beside it, and knows no chunks in HTTP/1.0. What that proxy holds for the rest
// of this request must not be read as the next one (request smuggling; RFC 9112
// §6.1).
func closeDisputable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Deadlines ends a request whose client stops sending its body, or stops
// taking the answer, for a minute. Time that the handler itself takes is not
// counted, so event streams and slow upstreams last as long as they move.
func (s *Site) Deadlines(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		strict := r.ProtoMajor > 1
		if r.Body != nil && r.Body != http.NoBody {
			// For a body that the handler leaves unread: the server reads on, to
			// use the connection again.
			if !strict {
				_ = rc.SetReadDeadline(s.now().Add(stallTimeout))
			}
			body := &stallReader{ReadCloser: r.Body, rc: rc, now: s.now, strict: strict}
			// A copy, because the server looks at its own request's body to tell
			// whether it was read to the end. Misled, it would take the rest of a
			// body for the next request (request smuggling).
			r = r.WithContext(r.Context())
			r.Body = body
			defer body.leave()
		}
		out := &stallWriter{ResponseWriter: w, rc: rc, now: s.now, strict: strict}
		// For what the server flushes when the handler is done, perhaps long
		// after it was written.
		defer out.extend()
		next.ServeHTTP(out, r)
	})
}

type stallReader struct {
	io.ReadCloser

	rc     *http.ResponseController
	now    func() time.Time
	strict bool // see stallWriter

	mu   sync.Mutex
	left bool // by the handler
}

// Read, over HTTP/1, leaves its deadline in force. The server lifts it itself when
// the body has ended, and after any other error it must stay: the server reads on
// to the end of the body, and would wait for it for ever.
func (r *stallReader) Read(p []byte) (int, error) {
	r.setDeadline(r.now().Add(stallTimeout))
	if r.strict {
		defer r.setDeadline(time.Time{})
	}
	return r.ReadCloser.Read(p)
}

// setDeadline does nothing once the handler has left: a Transport may read on for a
// moment after an early answer, and HTTP/2's writer panics then.
func (r *stallReader) setDeadline(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.left {
		_ = r.rc.SetReadDeadline(at) // not every ResponseWriter has deadlines (httptest's has none)
	}
}

func (r *stallReader) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = true
}

type stallWriter struct {
	http.ResponseWriter

	rc       *http.ResponseController
	now      func() time.Time
	extended time.Time // the last time that the deadline was moved
	// strict: a deadline that passes ends the stream, as over HTTP/2, also while
	// nothing is being sent. Over HTTP/1 it is only looked at then.
	strict bool
}

// extend gives the client another minute. A deadline is a timer to be moved, so that
// is done once a second at most.
func (w *stallWriter) extend() {
	if now := w.now(); now.Sub(w.extended) >= time.Second {
		w.extended = now
		_ = w.rc.SetWriteDeadline(now.Add(stallTimeout))
	}
}

// relax lets the handler be silent for as long as it likes.
func (w *stallWriter) relax() {
	if w.strict {
		w.extended = time.Time{}
		_ = w.rc.SetWriteDeadline(time.Time{})
	}
}

func (w *stallWriter) Write(p []byte) (int, error) {
	w.extend()
	defer w.relax()
	return w.ResponseWriter.Write(p)
}

// FlushError serves [http.ResponseController]: what was written long ago goes
// out now.
func (w *stallWriter) FlushError() error {
	w.extend()
	defer w.relax()
	return w.rc.Flush()
}

// Unwrap serves [http.ResponseController].
func (w *stallWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
