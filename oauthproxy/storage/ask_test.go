package storage_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// ask sends a request as the app would, with headers in pairs.
func ask(t *testing.T, h http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if cache := rec.Header().Get("Cache-Control"); cache != "no-store" && rec.Code != http.StatusNoContent {
		t.Errorf("%s %s: Cache-Control is %q", method, path, cache)
	}
	return rec
}

// answerOf sends a request, checks the status and decodes the body.
func answerOf[T any](t *testing.T, h http.Handler, method, path, body string, status int) (answer T) {
	t.Helper()
	rec := ask(t, h, method, path, body)
	if rec.Code != status {
		t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%s %s: %q: %v", method, path, rec.Body, err)
	}
	return answer
}

// wantCode sends a request and checks that it is refused.
func wantCode(t *testing.T, h http.Handler, method, path, body string, status int, code string, headers ...string) {
	t.Helper()
	rec := ask(t, h, method, path, body, headers...)
	if method == http.MethodHead {
		if rec.Code != status {
			t.Errorf("HEAD %s: %d, want %d", path, rec.Code, status)
		}
		return
	}
	var problem struct{ Code string }
	if err := json.Unmarshal(rec.Body.Bytes(), &problem); err != nil || rec.Code != status || problem.Code != code {
		t.Errorf("%s %s: %d %s, want %d %s", method, path, rec.Code, rec.Body, status, code)
	}
}
