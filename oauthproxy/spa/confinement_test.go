package spa_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy/spa"
	"cognito-token-handler/test/testkit"
)

func TestConfinement(t *testing.T) {
	dir := newDir(t)
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Dir(dir)
	link(filepath.Join(outside, "outside.txt"), "absolute.txt")
	link("../outside.txt", "relative.txt")
	link("../outside.txt", "page")
	link(filepath.Join(outside, "out"), "folder")
	link("nowhere", "dangling.js")
	link("style.css", "assets/linked.css") // Kubernetes mounts volumes with such links
	h := newApp(t, spa.Config{Dir: dir})
	const served, asShell, notFound, refused = 200, 1, 404, 400
	for _, tt := range []struct {
		target        string
		alone, behind int // status of the handler alone, and behind PlainPath as in the service
	}{
		{"/assets/linked.css", served, served},
		{"/absolute.txt", notFound, notFound},
		{"/relative.txt", notFound, notFound},
		{"/page", asShell, asShell},
		{"/folder", asShell, asShell},
		{"/folder/page.html", notFound, notFound},
		{"/dangling.js", notFound, notFound},
		// Dot files are never served. The response is not index.html either.
		{"/.env", notFound, notFound},
		{"/.git/config", notFound, notFound},
		{"/.git", notFound, notFound},
		{"/%2egit/config", notFound, refused},
		{"/assets/.secret.js", notFound, notFound},
		{"/users/.profile", notFound, notFound},
		{"/.well-known/.env", notFound, notFound},
		{"/.well-known/../.env", notFound, refused},
		// A cleaned path stays in the directory.
		{"/../outside.txt", notFound, refused},
		{"/assets/../../outside.txt", notFound, refused},
		{"/..%2foutside.txt", notFound, refused},
		{"/%2e%2e/outside.txt", notFound, refused},
		{"/%252e%252e/outside.txt", notFound, refused},
		{"/..%5coutside.txt", notFound, refused},
		{"/assets/..%5c..%5coutside.txt", notFound, refused},
		{"/assets%2fstyle.css", served, refused},
		{"//outside.txt", notFound, refused},
		{"/" + strings.ReplaceAll(outside, "/", "%2f") + "%2foutside.txt", notFound, refused},
		{outside + "/outside.txt", notFound, notFound},
		// C functions would end the name at NUL.
		{"/sw.js%00.png", notFound, refused},
		{"/LICENSE%00", asShell, refused},
		{"/.env%00.css", notFound, refused},
		{"/%ff%fe.js", notFound, refused},
		{"/" + strings.Repeat("a", 4096) + ".js", notFound, notFound},
	} {
		for _, run := range []struct {
			name    string
			handler http.Handler
			want    int
		}{{"alone", h, tt.alone}, {"behind", newSite(t, time.Now()).PlainPath(h), tt.behind}} {
			t.Run(run.name+" "+tt.target, func(t *testing.T) {
				rec := do(run.handler, "GET", tt.target)
				if strings.Contains(rec.Body.String(), planted) {
					t.Error("served the secret")
				}
				switch run.want {
				case served:
					if rec.Code != http.StatusOK || rec.Body.String() != "p{}" {
						t.Errorf("answered %d %q", rec.Code, rec.Body)
					}
				case asShell:
					if rec.Code != http.StatusOK || rec.Body.String() != shell {
						t.Errorf("answered %d %q", rec.Code, rec.Body)
					}
				case refused:
					wantProblem(t, rec, http.StatusBadRequest, "invalid_request")
				case notFound:
					wantProblem(t, rec, http.StatusNotFound, "not_found")
				}
			})
		}
	}
}

// Opening a pipe waits for a writer: the request would hang for ever.
func TestPipes(t *testing.T) {
	dir := newDir(t)
	for _, name := range []string{"pipe", "pipe.js"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := newApp(t, spa.Config{Dir: dir})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if rec := do(h, "GET", "/pipe"); rec.Code != http.StatusOK || rec.Body.String() != shell {
			t.Errorf("answered %d %q", rec.Code, rec.Body)
		}
		wantProblem(t, do(h, "GET", "/pipe.js"), http.StatusNotFound, "not_found")
	}()
	testkit.Receive(t, done, "an answer: a request waits for a writer of the pipe")
}
