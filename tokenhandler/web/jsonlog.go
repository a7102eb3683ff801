package web

import (
	"context"
	"io"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"
)

// NewJSONHandler returns a [slog.Handler] whose output is that of [slog.JSONHandler]. It
// encodes records itself, and much faster, if they hold only numbers, booleans and
// printable ASCII, like those of the request log. It passes all others to a JSONHandler.
func NewJSONHandler(w io.Writer, level slog.Leveler) slog.Handler {
	out := &lockedWriter{w: w}
	return &jsonHandler{Handler: slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level}), out: out}
}

// jsonHandler is the handler of a logger without attributes and groups of its own. For
// others, WithAttrs and WithGroup return the JSONHandler's.
type jsonHandler struct {
	slog.Handler

	out     *lockedWriter
	buffers sync.Pool // of *[]byte
}

// Handle implements [slog.Handler].
func (h *jsonHandler) Handle(ctx context.Context, r slog.Record) error {
	buffer, ok := h.buffers.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	defer h.buffers.Put(buffer)
	line, ok := appendRecord((*buffer)[:0], &r)
	if !ok {
		return h.Handler.Handle(ctx, r)
	}
	*buffer = line
	_, err := h.out.Write(line)
	return err
}

// lockedWriter lets two handlers write to w.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements [io.Writer].
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// appendRecord appends r as a line of JSON. It reports false if r is not simple.
func appendRecord(out []byte, r *slog.Record) (line []byte, ok bool) {
	if r.Time.IsZero() || r.Time.Year() < 0 || r.Time.Year() > 9999 || !isPlain(r.Message) {
		return out, false
	}
	out = append(out, `{"time":"`...)
	out = r.Time.AppendFormat(out, time.RFC3339Nano)
	out = append(out, `","level":"`...)
	out = append(out, r.Level.String()...)
	out = append(out, `","msg":"`...)
	out = append(out, r.Message...)
	out = append(out, '"')
	ok = true
	r.Attrs(func(a slog.Attr) bool {
		out, ok = appendAttr(out, &a)
		return ok
	})
	return append(out, '}', '\n'), ok
}

func appendAttr(out []byte, a *slog.Attr) (line []byte, ok bool) {
	if a.Key == "" || !isPlain(a.Key) {
		return out, false
	}
	out = append(out, ',', '"')
	out = append(out, a.Key...)
	out = append(out, '"', ':')
	switch a.Value.Kind() { //nolint:exhaustive // the JSONHandler encodes all others
	case slog.KindString:
		value := a.Value.String()
		if !isPlain(value) {
			return out, false
		}
		out = append(out, '"')
		out = append(out, value...)
		out = append(out, '"')
	case slog.KindInt64:
		out = strconv.AppendInt(out, a.Value.Int64(), 10)
	case slog.KindBool:
		out = strconv.AppendBool(out, a.Value.Bool())
	case slog.KindFloat64:
		// Others have an exponent, or are not numbers in JSON.
		value := a.Value.Float64()
		if size := math.Abs(value); value != 0 && !(size >= 1e-6 && size < 1e21) {
			return out, false
		}
		out = strconv.AppendFloat(out, value, 'f', -1, 64)
	default:
		return out, false
	}
	return out, true
}

// isPlain reports whether s is the same in JSON: printable ASCII without quotes and
// backslashes.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

var _ slog.Handler = (*jsonHandler)(nil)
