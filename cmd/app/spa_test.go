package app_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cognito-token-handler/cmd/app"
)

// TestNothingUnderOurPrefixesIsTheApp: a call that misses must not get a page with
// 200, which no caller expects. Paths are compared as URLs are (RFC 3986 §6.2.2.1):
// with case, and by whole segments. What is no path of ours may be a page's.
func TestNothingUnderOurPrefixesIsTheApp(t *testing.T) {
	cfg := parsed(t)
	bare, err := app.New(t.Context(), cfg, discard())
	if err != nil {
		t.Fatal(err)
	}
	cfg.SPA.Dir = newSPA(t)
	hosting, err := app.New(t.Context(), cfg, discard())
	if err != nil {
		t.Fatal(err)
	}
	for want, targets := range map[string][]string{
		"404 not_found": {
			"/auth", "/auth/", "/auth/nothing", "/auth/login/", "/auth/Login", "/auth/session/x", "/auth/session;x", "/%61uth/nothing", "/auth/index.html",
			"/storage", "/storage/", "/storage/nothing", "/storage/uploads/", "/storage/Uploads", "/storage/index.html", "/api",
		},
		"401 not_authenticated": {"/api/", "/api/nothing", "/api/index.html", "/api/x;y", "/api/API/"},
		"400 invalid_request": {
			"//api", "//api/x", "/api//", "/api//x", "/api/../x", "/api/./", "/api%2fx", "/api%5cx", "/%61pi/x", "/auth//login", "/auth/../index.html",
			"/auth%2flogin", "/storage//uploads", "//auth/login", "//index.html", "/index.html/..", "/;/index.html",
		},
		"the app": {"/", "/apifoo", "/api-docs", "/apis/x", "/API", "/API/x", "/Api/x", "/Auth/login", "/authx", "/auth;x/login", "/storages", "/api;x/y", "/x/api/y"},
	} {
		for _, target := range targets {
			header := http.Header{"X-Csrf": {"1"}, "Accept": {"text/html"}}
			if got := answered(ask(hosting, http.MethodGet, target, header)); got != want {
				t.Errorf("%s: answered %s, want %s", target, got, want)
			}
			alone := strings.Replace(want, "the app", "404 not_found", 1)
			if got := answered(ask(bare, http.MethodGet, target, header)); got != alone {
				t.Errorf("%s: without the app answered %s, want %s", target, got, alone)
			}
		}
	}
}

// answered is the status and the code of an answer, or that it is the app.
func answered(rec *httptest.ResponseRecorder) string {
	if rec.Code == http.StatusOK && strings.Contains(rec.Body.String(), "<!doctype html>") {
		return "the app"
	}
	return status(rec.Result())
}

func newSPA(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<!doctype html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
