package spa_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"cognito-token-handler/oauthproxy/spa"
)

const (
	revalidated = "no-cache"
	immutable   = "public, max-age=31536000, immutable" // RFC 8246 §2
)

func TestCacheControl(t *testing.T) {
	for name, want := range map[string]string{
		"assets/index-BxK3v_9a.js":      immutable, // Vite, Rollup: base64url
		"index--x_K3v9a.css":            immutable,
		"chunk-K3JQXZ5P.js":             immutable, // esbuild: base32
		"main.1a2b3c4d.js":              immutable, // webpack: hexadecimal
		"main.0123456789abcdef0123.css": immutable,
		"inter-CcNx8s-T.woff2":          immutable,
		"logo-DdRmGqkT.svg":             immutable, // no digit

		"index.html":             revalidated,
		"sw.js":                  revalidated,
		"BxK3v_9a.js":            revalidated,
		"index-BxK3v_9a.html":    revalidated, // pages keep their names
		"index-BxK3v_9a.json":    revalidated,
		"index-BxK3v_9.js":       revalidated,
		"index-BxK3v_9a1.js":     revalidated,
		"icon-1280x720.png":      revalidated,
		"icon-1024x768.png":      revalidated,
		"icon-1024x1024.png":     revalidated,
		"foo-20240101.js":        revalidated,
		"report-v-24-01-15.png":  revalidated,
		"my-settings.js":         revalidated,
		"icon-download.svg":      revalidated,
		"icon-Facebook.svg":      revalidated,
		"view-mainPage.js":       revalidated,
		"hero-banner01.jpg":      revalidated,
		"chunk-vendor-1.js":      revalidated,
		"photo-image_01.jpg":     revalidated,
		"error-404-page.png":     revalidated,
		"jquery-3.7.1.min.js":    revalidated,
		"lib-v1234567.js":        revalidated,
		"main.deadbeef.js":       revalidated, // could be a word
		"lib-0123456789.js":      revalidated, // a time stamp
		"favicon-1700000000.ico": revalidated,
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			write(t, filepath.Join(dir, name), "content")
			rec := do(newApp(t, spa.Config{Dir: dir}), "GET", "/"+name)
			wantHeader(t, rec, map[string]string{"Cache-Control": want})
			if tagged := rec.Header().Get("ETag") != ""; rec.Code != http.StatusOK || tagged != (want == revalidated) {
				t.Errorf("answered %d with %v", rec.Code, rec.Header())
			}
		})
	}
}

func TestETag(t *testing.T) {
	dir := newDir(t)
	h := newApp(t, spa.Config{Dir: dir})
	first := do(h, "GET", "/sw.js")
	tag := first.Header().Get("ETag")
	if len(tag) < 18 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		t.Fatalf("ETag %s, want a strong one", tag)
	}
	// In a container image the modification time can be the same for every file: with it
	// a new version would be answered with 304.
	wantHeader(t, first, map[string]string{"Last-Modified": ""})
	for _, tt := range []struct {
		method string
		header []string
		want   int
	}{
		{"GET", []string{"If-None-Match", tag}, 304},
		{"HEAD", []string{"If-None-Match", tag}, 304},
		{"GET", []string{"If-None-Match", "W/" + tag}, 304}, // as a compressing proxy weakens the tag
		{"GET", []string{"If-None-Match", `"other", ` + tag}, 304},
		{"GET", []string{"If-None-Match", "*"}, 304},
		{"GET", []string{"If-None-Match", `"other"`}, 200},
		{"GET", []string{"If-None-Match", strings.Trim(tag, `"`)}, 200},
		{"GET", []string{"If-Modified-Since", "Sun, 09 Sep 2001 01:46:40 GMT"}, 200},
		{"GET", []string{"If-Match", `"other"`}, 412},
	} {
		rec := do(h, tt.method, "/sw.js", tt.header...)
		if rec.Code != tt.want || (rec.Code == http.StatusNotModified && rec.Body.Len() != 0) {
			t.Errorf("%s with %q: answered %d %q, want %d", tt.method, tt.header, rec.Code, rec.Body, tt.want)
		}
		wantHeader(t, rec, map[string]string{"ETag": tag, "Cache-Control": revalidated})
	}

	// In a new container image a file can have the same length and time.
	write(t, filepath.Join(dir, "sw.js"), "SELF")
	changed := do(h, "GET", "/sw.js", "If-None-Match", tag)
	if changed.Code != http.StatusOK || changed.Body.String() != "SELF" || changed.Header().Get("ETag") == tag {
		t.Errorf("a changed file: answered %d %q with ETag %s, before %s", changed.Code, changed.Body, changed.Header().Get("ETag"), tag)
	}
	// After a rollback, and for every file with the same content, the tag is the same.
	write(t, filepath.Join(dir, "sw.js"), "self")
	if rec := do(h, "GET", "/sw.js", "If-None-Match", tag); rec.Code != http.StatusNotModified {
		t.Errorf("the first content again: answered %d with ETag %s, before %s", rec.Code, rec.Header().Get("ETag"), tag)
	}
}

// index.html has the same tag under every path.
func TestETagOfShell(t *testing.T) {
	h := newApp(t, spa.Config{Dir: newDir(t)})
	tag := do(h, "GET", "/").Header().Get("ETag")
	if rec := do(h, "GET", "/users/jane.doe", "If-None-Match", tag); tag == "" || rec.Code != http.StatusNotModified {
		t.Errorf("answered %d for %s", rec.Code, tag)
	}
}

// A large file would have to be read twice per request. It has only Last-Modified.
func TestLastModified(t *testing.T) {
	h := newApp(t, spa.Config{Dir: newDir(t)})
	const modified = "Sun, 09 Sep 2001 01:46:40 GMT"
	for target, caching := range map[string]string{"/video.mp4": revalidated, "/assets/index-BxK3v_9a.js": immutable} {
		want := map[string]string{"Last-Modified": modified, "ETag": "", "Cache-Control": caching}
		wantHeader(t, do(h, "GET", target), want)
		rec := do(h, "GET", target, "If-Modified-Since", modified)
		if rec.Code != http.StatusNotModified || rec.Body.Len() != 0 {
			t.Errorf("%s: answered %d with %d bytes", target, rec.Code, rec.Body.Len())
		}
		wantHeader(t, rec, want)
	}
}

func TestRange(t *testing.T) {
	h := newApp(t, spa.Config{Dir: newDir(t)})
	tag := do(h, "GET", "/data.bin").Header().Get("ETag")
	for _, tt := range []struct {
		header             []string
		status             int
		body, contentRange string
	}{
		{nil, 200, "0123456789", ""},
		{[]string{"Range", "bytes=2-4"}, 206, "234", "bytes 2-4/10"},
		{[]string{"Range", "bytes=7-"}, 206, "789", "bytes 7-9/10"},
		{[]string{"Range", "bytes=-1"}, 206, "9", "bytes 9-9/10"},
		{[]string{"Range", "bytes=0-99"}, 206, "0123456789", "bytes 0-9/10"},
		{[]string{"Range", "bytes=10-"}, 416, "", "bytes */10"},
		{[]string{"Range", "bytes=2-4", "If-Range", tag}, 206, "234", "bytes 2-4/10"},
		// A range of the new file appended to a part of the old one would match neither.
		{[]string{"Range", "bytes=2-4", "If-Range", `"other"`}, 200, "0123456789", ""},
		{[]string{"Range", "bytes=2-4", "If-Range", "Sun, 09 Sep 2001 01:46:40 GMT"}, 200, "0123456789", ""},
		// Ranges that add up to more than the file are an attack on memory and bandwidth.
		{[]string{"Range", "bytes=0-,0-,0-,0-"}, 200, "0123456789", ""},
	} {
		rec := do(h, "GET", "/data.bin", tt.header...)
		if rec.Code != tt.status || rec.Code < 400 && rec.Body.String() != tt.body {
			t.Errorf("%q: answered %d %q, want %d %q", tt.header, rec.Code, rec.Body, tt.status, tt.body)
		}
		wantHeader(t, rec, map[string]string{"Content-Range": tt.contentRange})
		if rec.Code < 400 {
			wantHeader(t, rec, map[string]string{"Accept-Ranges": "bytes", "ETag": tag})
		}
	}
}
