package spa_test

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy/spa"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

const (
	shell   = "<!doctype html><title>the shell</title>"
	planted = "planted secret"
	png     = "\x89PNG\r\n\x1a\n"
	large   = 1<<20 + 1
	// built is the modification time of every file, as in a reproducible image.
	built = 1_000_000_000
)

// newDir returns the directory of a built app.
func newDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dist")
	for name, content := range map[string]string{
		"index.html": shell, "assets/index-BxK3v_9a.js": "import()", "assets/style.css": "p{}", "assets/logo.png": png,
		"logo.svg": "<svg/>", "manifest.json": "{}", "app.wasm": "\x00asm", "inter.woff2": "wOF2", "data.bin": "0123456789",
		"LICENSE": "do as you like", "help/index.html": "<!doctype html>help", "sw.js": "self", "empty.txt": "",
		"a b/ü.txt": "text", "avatar": png, ".well-known/security.txt": "Contact:", "video.mp4": strings.Repeat("x", large),
		".env": planted, ".git/config": planted, "assets/.secret.js": planted, "../outside.txt": planted, "../out/page.html": planted,
	} {
		write(t, filepath.Join(dir, name), content)
	}
	return dir
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, time.Unix(built, 0), time.Unix(built, 0)); err != nil {
		t.Fatal(err)
	}
}

func newSite(t *testing.T, now time.Time) *web.Site {
	t.Helper()
	return web.NewSite(web.Config{
		PublicURL: &url.URL{Scheme: "https", Host: "app.example.com"}, LoginURL: testkit.LoginURL,
		Log: testkit.Logger(t), Now: testkit.NewClock(now).Now,
	})
}

func newApp(t *testing.T, cfg spa.Config) *spa.Handler {
	t.Helper()
	return newAppAt(t, time.Now(), cfg)
}

// newAppAt returns an app whose clock stands at now.
func newAppAt(t *testing.T, now time.Time, cfg spa.Config) *spa.Handler {
	t.Helper()
	cfg.Site = newSite(t, now)
	if cfg.Log == nil {
		cfg.Log = testkit.Logger(t)
	}
	h, err := spa.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// do sends a request with pairs of header names and values.
func do(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func wantProblem(t *testing.T, rec *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var p struct {
		Status int
		Code   string
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || rec.Code != status || p.Status != status || p.Code != code {
		t.Errorf("answered %d %q, want %d %s", rec.Code, rec.Body, status, code)
	}
	wantHeader(t, rec, map[string]string{
		"Content-Type": "application/problem+json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"Referrer-Policy":         "no-referrer", "ETag": "", "Last-Modified": "",
	})
}

func wantHeader(t *testing.T, rec *httptest.ResponseRecorder, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := strings.Join(rec.Header().Values(name), " AND "); got != value {
			t.Errorf("%d with %s %q, want %q", rec.Code, name, got, value)
		}
	}
}

func wantType(t *testing.T, rec *httptest.ResponseRecorder, want string) {
	t.Helper()
	if got, _, err := mime.ParseMediaType(rec.Header().Get("Content-Type")); err != nil || got != want {
		t.Errorf("Content-Type %q, want %s", rec.Header().Get("Content-Type"), want)
	}
}

func TestFiles(t *testing.T) {
	h := newApp(t, spa.Config{Dir: newDir(t)})
	for _, tt := range []struct{ target, mediaType, body string }{
		{"/", "text/html", shell},
		{"/index.html", "text/html", shell}, // no redirect to ./, which a service worker's cache could not store
		{"/help/index.html", "text/html", "<!doctype html>help"},
		{"/assets/index-BxK3v_9a.js", "text/javascript", "import()"},
		{"/sw.js?v=2", "text/javascript", "self"},
		{"/assets/style.css", "text/css", "p{}"},
		{"/assets/logo.png", "image/png", png},
		{"/logo.svg", "image/svg+xml", "<svg/>"},
		{"/manifest.json", "application/json", "{}"},
		{"/app.wasm", "application/wasm", "\x00asm"}, // with another type browsers do not compile it while it loads
		{"/inter.woff2", "font/woff2", "wOF2"},
		{"/LICENSE", "text/plain", "do as you like"},
		{"/avatar", "image/png", png}, // detected from the content
		{"/empty.txt", "text/plain", ""},
		{"/a%20b/%C3%BC.txt", "text/plain", "text"},
		{"/.well-known/security.txt", "text/plain", "Contact:"},
		// Pages of the app: a reload requests them.
		{"/users", "text/html", shell},
		{"/users/", "text/html", shell},
		{"/users/42/edit?tab=a.js", "text/html", shell},
		{"/users/jane.doe", "text/html", shell},
		{"/releases/v1.2.3", "text/html", shell},
		{"/mail/jane@example.com", "text/html", shell},
		{"/assets/nothing", "text/html", shell},
		{"/docs/node.js/intro", "text/html", shell},
		{"/caf%C3%A9", "text/html", shell},
		// A directory is not listed. Its own page is served, without a redirect.
		{"/assets", "text/html", shell},
		{"/assets/", "text/html", shell},
		{"/help/", "text/html", "<!doctype html>help"},
		{"/help", "text/html", "<!doctype html>help"},
	} {
		t.Run(tt.target, func(t *testing.T) {
			rec := do(h, "GET", tt.target)
			if rec.Code != http.StatusOK || rec.Body.String() != tt.body {
				t.Errorf("answered %d %q, want %q", rec.Code, rec.Body, tt.body)
			}
			wantType(t, rec, tt.mediaType)
		})
	}
}

// The types of the files that an app needs do not depend on the machine's table.
func TestTypesDoNotDependOnTheMachine(t *testing.T) {
	dir := newDir(t)
	h := newApp(t, spa.Config{Dir: dir})
	for ext, want := range map[string]string{
		".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
		".cjs": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".json": "application/json", ".map": "application/json",
		".wasm": "application/wasm", ".webmanifest": "application/manifest+json", ".svg": "image/svg+xml", ".woff2": "font/woff2",
		".WOFF2": "font/woff2",
	} {
		if err := mime.AddExtensionType(strings.ToLower(ext), "application/x-wrong"); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "file"+ext), "content")
		wantHeader(t, do(h, "GET", "/file"+ext), map[string]string{"Content-Type": want})
	}
}

// A browser with an old page requests a script that no longer exists. With index.html
// in its place the error would be hard to understand, and would be cached under the
// name of the script.
func TestMissingAssets(t *testing.T) {
	h := newApp(t, spa.Config{Dir: newDir(t)})
	for _, name := range []string{
		"assets/index-BxK3v_9b.js", "gone.mjs", "gone.cjs", "gone.css", "gone.js.map", "gone.wasm", "gone.json", "gone.webmanifest",
		"gone.html", "gone.htm", "gone.xml", "robots.txt", "gone.pdf", "favicon.ico", "gone.png", "gone.jpg", "gone.jpeg", "gone.gif",
		"gone.svg", "gone.webp", "gone.avif", "gone.woff", "gone.woff2", "gone.ttf", "gone.otf", "gone.eot", "gone.mp3", "gone.mp4",
		"gone.webm", "gone.ogg", "gone.zip", "gone.gz", "gone.br", "users/gone.JS", "gone.js/", "LOGO.SVG",
		".well-known/change-password", ".well-known/apple-app-site-association",
	} {
		t.Run(name, func(t *testing.T) {
			wantProblem(t, do(h, "GET", "/"+name), http.StatusNotFound, "not_found")
		})
	}
}

func TestAppGone(t *testing.T) {
	dir := newDir(t)
	h := newApp(t, spa.Config{Dir: dir})
	if err := os.Remove(filepath.Join(dir, "index.html")); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, do(h, "GET", "/users"), http.StatusNotFound, "not_found")
}

// New opens the directory once. Changes in it are served; another directory in its
// place is not, as the README says.
func TestSwappedFolder(t *testing.T) {
	dir := newDir(t)
	h := newApp(t, spa.Config{Dir: dir})
	write(t, filepath.Join(dir, "index.html"), "changed in place")
	if rec := do(h, "GET", "/"); rec.Body.String() != "changed in place" {
		t.Errorf("answered %d %q", rec.Code, rec.Body)
	}
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "index.html"), "another folder")
	if rec := do(h, "GET", "/"); rec.Body.String() != "changed in place" {
		t.Errorf("answered %d %q", rec.Code, rec.Body)
	}
}

func TestMethods(t *testing.T) {
	h := newApp(t, spa.Config{Dir: newDir(t)})
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"} {
		for _, target := range []string{"/sw.js", "/users", "/gone.js"} {
			t.Run(method+" "+target, func(t *testing.T) {
				rec := do(h, method, target)
				wantProblem(t, rec, http.StatusMethodNotAllowed, "method_not_allowed")
				wantHeader(t, rec, map[string]string{"Allow": "GET, HEAD"})
			})
		}
	}
}

func TestHead(t *testing.T) {
	h := newApp(t, spa.Config{Dir: newDir(t)})
	for _, target := range []string{"/assets/index-BxK3v_9a.js", "/sw.js", "/users/jane.doe", "/gone.js", "/video.mp4"} {
		get, head := do(h, "GET", target), do(h, "HEAD", target)
		if head.Code != get.Code || head.Body.Len() != 0 || get.Body.Len() == 0 || head.Header().Get("Content-Length") == "" {
			t.Errorf("%s: GET %d, HEAD %d with a body of %d and %v", target, get.Code, head.Code, head.Body.Len(), head.Header())
		}
		for name := range get.Header() {
			wantHeader(t, head, map[string]string{name: get.Header().Get(name)})
		}
	}
}

func TestNewRefuses(t *testing.T) {
	empty, folder, escaping := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(folder, "index.html", "x"), "")
	write(t, filepath.Join(empty, "index.htm"), "")
	if err := os.Symlink(filepath.Join(newDir(t), "index.html"), filepath.Join(escaping, "index.html")); err != nil {
		t.Fatal(err)
	}
	loop, pipe := t.TempDir(), t.TempDir()
	if err := os.Symlink("index.html", filepath.Join(loop, "index.html")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(pipe, "index.html"), 0o600); err != nil {
		t.Fatal(err)
	}
	const unbuilt = "opening spa.dir: it has no index.html"
	for name, tt := range map[string]struct{ dir, want string }{
		"missing":       {filepath.Join(empty, "dist"), "opening spa.dir: open " + filepath.Join(empty, "dist") + ": no such file or directory"},
		"a file":        {filepath.Join(empty, "index.htm"), "opening spa.dir: open " + filepath.Join(empty, "index.htm") + ": not a directory"},
		"empty":         {empty, unbuilt},
		"a folder":      {folder, "opening spa.dir: index.html: not a regular file"},
		"a pipe":        {pipe, "opening spa.dir: index.html: not a regular file"},
		"a link out":    {escaping, "opening spa.dir: index.html: reading file status: statat index.html: path escapes from parent"},
		"a loop":        {loop, "opening spa.dir: index.html: reading file status: statat index.html: too many levels of symbolic links"},
		"not given":     {"", "opening spa.dir: open : no such file or directory"},
		"none, but dir": {filepath.Dir(newDir(t)), unbuilt},
	} {
		t.Run(name, func(t *testing.T) {
			if h, err := spa.New(spa.Config{Dir: tt.dir, Site: newSite(t, time.Now())}); h != nil || err == nil || err.Error() != tt.want {
				t.Errorf("New = %v, %v; want %s", h, err, tt.want)
			}
			if err := spa.Check(tt.dir); err == nil || "opening spa.dir: "+err.Error() != tt.want {
				t.Errorf("Check = %v; want %s", err, tt.want)
			}
		})
	}
}
