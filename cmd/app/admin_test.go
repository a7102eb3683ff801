package app_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/cmd/app"
)

// TestAdminAnswers: what is not there is told as everywhere else, and nothing
// is redirected.
func TestAdminAnswers(t *testing.T) {
	a, err := app.New(t.Context(), parsed(t), discard())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		method, target string
		status         int
		code, allow    string
	}{
		{"GET", "/healthz", 200, "", ""},
		{"HEAD", "/healthz", 200, "", ""},
		{"GET", "/metrics", 200, "", ""},
		{"GET", "/readyz", 503, "", ""},
		{"POST", "/healthz", 405, "method_not_allowed", "GET, HEAD"},
		{"DELETE", "/metrics", 405, "method_not_allowed", "GET, HEAD"},
		{"PUT", "/readyz", 405, "method_not_allowed", "GET, HEAD"},
		{"GET", "/", 404, "not_found", ""},
		{"GET", "/metrics/", 404, "not_found", ""},
		{"GET", "/debug/pprof/", 404, "not_found", ""},
		{"GET", "/auth/session", 404, "not_found", ""},
		{"GET", "//metrics", 400, "invalid_request", ""},
		{"GET", "/x/../metrics", 400, "invalid_request", ""},
	} {
		rec := httptest.NewRecorder()
		app.Admin(a).ServeHTTP(rec, httptest.NewRequest(tt.method, tt.target, nil))
		if rec.Code != tt.status || rec.Header().Get("Allow") != tt.allow {
			t.Errorf("%s %s: %d, Allow %q", tt.method, tt.target, rec.Code, rec.Header().Get("Allow"))
		}
		if rec.Header().Get("X-Request-ID") == "" || rec.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: headers %v", tt.method, tt.target, rec.Header())
		}
		var p problem
		if tt.code == "" {
			continue
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || p.Code != tt.code || p.Status != tt.status ||
			rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %q %s", tt.method, tt.target, rec.Header().Get("Content-Type"), rec.Body)
		}
	}
}

// TestAdminRequestsAreLogged: probes at debug, because they come every few
// seconds; what went wrong at its usual level.
func TestAdminRequestsAreLogged(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a, err := app.New(t.Context(), parsed(t), log)
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]struct {
		status int
		level  string
	}{
		"/healthz": {200, "DEBUG"},
		"/readyz":  {503, "INFO"},
		"/nothing": {404, "INFO"},
		"/metrics": {200, "DEBUG"},
	} {
		out.Reset()
		rec := httptest.NewRecorder()
		app.Admin(a).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, target, nil))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		var record struct {
			Level, Msg, Listener, Path string
			Status                     int
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &record); err != nil {
			t.Fatal(err)
		}
		if record.Msg != "request" || record.Listener != "admin" || record.Path != target || record.Level != want.level ||
			record.Status != want.status || rec.Code != want.status {
			t.Errorf("%s: answered %d, logged %s", target, rec.Code, out.String())
		}
	}
}

// TestAdminEndsStalledRequests: a client that does not take its answer has a
// minute.
func TestAdminEndsStalledRequests(t *testing.T) {
	a, err := app.New(t.Context(), parsed(t), discard())
	if err != nil {
		t.Fatal(err)
	}
	w := &deadlined{ResponseRecorder: httptest.NewRecorder()}
	app.Admin(a).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if left := time.Until(w.write); left < 50*time.Second || left > time.Minute {
		t.Errorf("writing may go on for %s", left)
	}
}

// deadlined notes until when the answer may be written.
type deadlined struct {
	*httptest.ResponseRecorder

	write time.Time
}

func (d *deadlined) SetWriteDeadline(at time.Time) error {
	d.write = at
	return nil
}
