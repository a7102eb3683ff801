package app_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/test/testkit"
)

// TestAdminAnswers: unknown paths and methods get the same error answers as on the
// public listener, and nothing is redirected.
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
		if tt.code != "" {
			testkit.WantProblem(t, testkit.Recorded(rec), tt.status, tt.code)
		}
	}
}

// TestAdminRequestsAreLogged: probes are logged at debug, because they come every few
// seconds, and failures at their usual level.
func TestAdminRequestsAreLogged(t *testing.T) {
	var log testkit.Log
	a, err := app.New(t.Context(), parsed(t), log.Logger())
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
		rec := httptest.NewRecorder()
		app.Admin(a).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, target, nil))
		requests := log.RecordsOf(t, "request")
		last := requests[len(requests)-1]
		if last["listener"] != "admin" || last["path"] != target || last["level"] != want.level || last["status"] != float64(want.status) || rec.Code != want.status {
			t.Errorf("%s: answered %d, logged %v", target, rec.Code, last)
		}
	}
}

// TestAdminEndsStalledRequests: a client has a minute to read its answer.
func TestAdminEndsStalledRequests(t *testing.T) {
	a, err := app.New(t.Context(), parsed(t), discard())
	if err != nil {
		t.Fatal(err)
	}
	w := &deadlined{ResponseRecorder: httptest.NewRecorder()}
	before := time.Now()
	app.Admin(a).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.write.Before(before.Add(time.Minute)) || w.write.After(time.Now().Add(time.Minute)) {
		t.Errorf("writing may go on until %s, and it began after %s", w.write, before)
	}
}

// deadlined records the write deadline of the answer.
type deadlined struct {
	*httptest.ResponseRecorder

	write time.Time
}

func (d *deadlined) SetWriteDeadline(at time.Time) error {
	d.write = at
	return nil
}
