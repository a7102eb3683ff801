package web_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

// FuzzJSONHandler compares every line with the line of the standard library's handler.
func FuzzJSONHandler(f *testing.F) {
	f.Add("request", "path", "/api/data", int64(200), 1.25, true, int64(1767323045000000001))
	f.Add("", "", "", int64(math.MinInt64), 0.0, false, int64(0))
	f.Add("quote \"", "key\n", "\x7f\x00\\ü\xff<&>\u2028", int64(-1), 1e21, true, int64(-1))
	f.Add("m", "k", "v", int64(0), 1e-7, true, int64(1))
	f.Add("m", "k", "v", int64(0), math.NaN(), true, int64(1))
	f.Add("m", "k", "v", int64(0), math.Inf(-1), true, int64(1))
	f.Add("m", "k", "v", int64(0), math.Copysign(0, -1), true, int64(1))
	for _, text := range []string{`a"b`, `a\b`, "a\x1fb", "a\x7fb", "aüb", "a b~", ""} {
		f.Add(text, text, "v", int64(0), 1e-6, false, int64(1))
		f.Add("m", "k", text, int64(0), -1e-6, false, int64(1))
	}
	f.Fuzz(func(t *testing.T, message, key, text string, number int64, fraction float64, truth bool, at int64) {
		record := slog.NewRecord(time.Unix(0, at).UTC(), slog.Level(number%20), message, 0)
		record.AddAttrs(slog.String(key, text), slog.Int64("number", number), slog.Float64("fraction", fraction), slog.Bool("truth", truth))
		compareLines(t, record)
	})
}

// Records that the handler does not encode itself are written like the standard
// library's.
func TestJSONHandlerPassesOtherRecordsOn(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("", 3600))
	for _, attr := range []slog.Attr{
		{}, slog.Any("error", errors.New("broken")), slog.Duration("took", time.Second), slog.Group("g", "a", 1), slog.Time("at", now), slog.Any("nil", nil), slog.String("plain", "text"),
	} {
		for _, at := range []time.Time{now, {}, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)} {
			record := slog.NewRecord(at, slog.LevelWarn, "message", 0)
			record.AddAttrs(slog.String("before", "it"), attr)
			compareLines(t, record)
		}
	}
}

func compareLines(t *testing.T, record slog.Record) {
	t.Helper()
	var got, want bytes.Buffer
	own, standard := web.NewJSONHandler(&got, slog.LevelInfo), slog.NewJSONHandler(&want, nil)
	for _, with := range []func(slog.Handler) slog.Handler{
		func(h slog.Handler) slog.Handler { return h },
		func(h slog.Handler) slog.Handler { return h.WithAttrs([]slog.Attr{slog.Int("listener", 1)}) },
		func(h slog.Handler) slog.Handler { return h.WithGroup("group") },
	} {
		if err := with(own).Handle(t.Context(), record); err != nil {
			t.Error(err)
		}
		if err := with(standard).Handle(t.Context(), record); err != nil {
			t.Error(err)
		}
	}
	if got.String() != want.String() {
		t.Errorf("\n%s want\n%s", got.String(), want.String())
	}
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
		if own.Enabled(t.Context(), level) != standard.Enabled(t.Context(), level) {
			t.Errorf("level %v", level)
		}
	}
}
